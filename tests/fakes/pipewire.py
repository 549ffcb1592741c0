"""A real PipeWire with two microphones, which the test speaks into in real time.

PipeWire, its session manager and its stand-in for PulseAudio, under a message bus of their own.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fakes.fifo_voice import speaking

Road: TypeAlias = Literal["pulse", "pipewire"]
"""Which of ALSA's plug-ins leads to it."""

PROGRAMS: Final = ("pipewire", "wireplumber", "pipewire-pulse")
MICROPHONES: Final = ("one", "two")

READY_S: Final = 20.0
"""It is ready within a second, on a machine without other work."""


def missing_pipewire(road: Road) -> str | None:
    """Say what this machine lacks, or None."""
    absent = [name for name in (*PROGRAMS, "dbus-run-session", "pactl") if not shutil.which(name)]
    if absent:
        return f"PipeWire is not installed: {', '.join(absent)} missing"
    if not list(Path("/usr/lib").glob(f"*/alsa-lib/libasound_module_pcm_{road}.so")):
        if road == "pipewire":
            return (
                "ALSA's plug-in for PipeWire is not there (Debian's cannot stand beside PulseAudio)"
            )
        return "ALSA cannot use PulseAudio: apt install libasound2-plugins"
    return None


class PipeWireServer:
    """A server with the microphones "one" (the default) and "two". For one thread."""

    def __init__(self, folder: Path, road: Road) -> None:
        self._folder = folder
        self._run = folder / "run"
        (folder / "asound.conf").write_text(
            "</usr/share/alsa/alsa.conf>\n"
            f"pcm.{road} {{ type {road} }}\nctl.{road} {{ type {road} }}\n"
            f'pcm.!default "{road}"\nctl.!default "{road}"\n'
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Environment of a process that shall use this server, and import what we do."""
        return {
            **os.environ,
            **self._places(),
            "ALSA_CONFIG_PATH": str(self._folder / "asound.conf"),
            "PULSE_SERVER": f"unix:{self._run}/pulse/native",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }

    def start(self) -> None:
        """Start it, and wait until it has its microphones."""
        self._run.mkdir(mode=0o700)
        together = " & ".join(PROGRAMS)
        self._process = subprocess.Popen(
            ["dbus-run-session", "--", "sh", "-c", f"{together} & wait"],
            env={**os.environ, **self._places()},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline, pause = time.monotonic() + READY_S, threading.Event()
        while not self._has_microphones():
            assert time.monotonic() < deadline, "PipeWire does not start"
            pause.wait(0.1)
        self.choose("one")

    def stop(self) -> None:
        """End it at once, all of it, as a crash does."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        shutil.rmtree(self._run, ignore_errors=True)
        for name in MICROPHONES:
            self._fifo(name).unlink(missing_ok=True)

    def choose(self, name: str) -> None:
        """Make another microphone the default, as a person does in the settings."""
        assert self._ask("set-default-source", name) == 0

    def speaking(self, name: str, sound: npt.NDArray[np.int16]) -> AbstractContextManager[None]:
        """Speak into a microphone, again and again, while the block lasts."""
        return speaking(self._fifo(name), sound)

    def _has_microphones(self) -> bool:
        return self._ask("info") == 0 and all(self._plug(name) for name in MICROPHONES)

    def _plug(self, name: str) -> bool:
        return self._fifo(name).exists() or not self._ask(
            "load-module",
            "module-pipe-source",
            f"source_name={name}",
            f"file={self._fifo(name)}",
            "format=s16le",
            "rate=16000",
            "channels=1",
        )

    def _places(self) -> dict[str, str]:
        return {"HOME": str(self._folder), "XDG_RUNTIME_DIR": str(self._run)}

    def _ask(self, *words: str) -> int:
        done = subprocess.run(
            ["pactl", *words], env=self.environment, capture_output=True, check=False
        )
        return done.returncode

    def _fifo(self, name: str) -> Path:
        return self._folder / f"{name}.fifo"
