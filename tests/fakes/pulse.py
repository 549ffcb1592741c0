"""A real PulseAudio server with two microphones, which the test speaks into in real time."""

import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from fakes.fifo_voice import speaking

READY_S: Final = 20.0
"""It is ready within a tenth of a second, on a machine without other work."""


def missing_pulse() -> str | None:
    """Say what this machine lacks, or None."""
    if shutil.which("pulseaudio") is None or shutil.which("pactl") is None:
        return "PulseAudio is not installed: apt install pulseaudio pulseaudio-utils"
    if not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        return "ALSA cannot use PulseAudio: apt install libasound2-plugins"
    return None


class PulseServer:
    """A server with the microphones "one" (the default) and "two". For one thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "pulse.socket"
        (folder / "asound.conf").write_text(
            "</usr/share/alsa/alsa.conf>\n"
            "pcm.pulse { type pulse }\nctl.pulse { type pulse }\n"
            'pcm.!default "pulse"\nctl.!default "pulse"\n'
        )
        (folder / "server.pa").write_text(
            ".fail\n"
            f"load-module module-native-protocol-unix auth-anonymous=1 socket={self._socket}\n"
            + "".join(
                f"load-module module-pipe-source source_name={name} file={self._fifo(name)}"
                " format=s16le rate=16000 channels=1\n"
                for name in ("one", "two")
            )
            + "load-module module-null-sink sink_name=speaker rate=16000 channels=1\n"
            "set-default-source one\nset-default-sink speaker\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Environment of a process that shall use this server, and import what we do."""
        return {
            **os.environ,
            "ALSA_CONFIG_PATH": str(self._folder / "asound.conf"),
            "PULSE_SERVER": f"unix:{self._socket}",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }

    def start(self) -> None:
        """Start it, and wait until it answers."""
        home = str(self._folder)
        self._process = subprocess.Popen(
            [
                "pulseaudio",
                "-n",
                f"-F{self._folder / 'server.pa'}",
                "--daemonize=no",
                "--exit-idle-time=-1",
                "--use-pid-file=no",
                "--realtime=no",
                "--high-priority=no",
            ],
            env={**os.environ, "HOME": home, "XDG_RUNTIME_DIR": home, "PULSE_STATE_PATH": home},
            stderr=subprocess.DEVNULL,
        )
        deadline, pause = time.monotonic() + READY_S, threading.Event()
        while self._ask("info") != 0:
            assert time.monotonic() < deadline, "PulseAudio does not start"
            pause.wait(0.05)

    def stop(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        for left in (self._socket, self._fifo("one"), self._fifo("two")):
            left.unlink(missing_ok=True)

    def choose(self, name: str) -> None:
        """Make another microphone the default, as a person does in the settings."""
        assert self._ask("set-default-source", name) == 0

    def speaking(self, name: str, sound: npt.NDArray[np.int16]) -> AbstractContextManager[None]:
        """Speak into a microphone, again and again, while the block lasts."""
        return speaking(self._fifo(name), sound)

    def _ask(self, *words: str) -> int:
        done = subprocess.run(
            ["pactl", *words], env=self.environment, capture_output=True, check=False
        )
        return done.returncode

    def _fifo(self, name: str) -> Path:
        return self._folder / f"{name}.fifo"
