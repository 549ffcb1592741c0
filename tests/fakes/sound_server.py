"""A real sound server with two microphones, which the test speaks into in real time."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from fakes.voice_server import wait_until

Plugin: TypeAlias = Literal["pulse", "pipewire"]
"""Which of ALSA's plug-ins leads to the server."""

PIPEWIRE: Final = ("pipewire", "wireplumber", "pipewire-pulse")
"""PipeWire, its session manager and its stand-in for PulseAudio."""

MICROPHONES: Final = ("one", "two")

PIECE_SAMPLES: Final = 160
"""10 ms: what a microphone hands over at once."""

READY_S: Final = 20.0
"""It is ready within a second, on a machine without other work."""


def missing_pulse() -> str | None:
    """Say what this machine lacks for a PulseServer, or None."""
    if shutil.which("pulseaudio") is None or shutil.which("pactl") is None:
        return "PulseAudio is not installed: apt install pulseaudio pulseaudio-utils"
    return _missing_plugin("pulse")


def missing_pipewire(plugin: Plugin) -> str | None:
    """Say what this machine lacks for a PipeWireServer, or None."""
    absent = [name for name in (*PIPEWIRE, "dbus-run-session", "pactl") if not shutil.which(name)]
    if absent:
        return f"PipeWire is not installed: {', '.join(absent)} missing"
    return _missing_plugin(plugin)


def _missing_plugin(plugin: Plugin) -> str | None:
    if list(Path("/usr/lib").glob(f"*/alsa-lib/libasound_module_pcm_{plugin}.so")):
        return None
    if plugin == "pipewire":
        return "ALSA's plug-in for PipeWire is not there (Debian's cannot stand beside PulseAudio)"
    return "ALSA cannot use PulseAudio: apt install libasound2-plugins"


class SoundServer(ABC):
    """Serves the microphones "one" (the default) and "two" inside a ``with``. For one thread."""

    def __init__(self, folder: Path, plugin: Plugin = "pulse") -> None:
        self._folder = folder
        self._run = folder / "run"
        (folder / "asound.conf").write_text(
            "</usr/share/alsa/alsa.conf>\n"
            f"pcm.{plugin} {{ type {plugin} }}\nctl.{plugin} {{ type {plugin} }}\n"
            f'pcm.!default "{plugin}"\nctl.!default "{plugin}"\n'
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """Environment of a process that shall use this server, and import what we do."""
        return {
            **self._server_environment(),
            "ALSA_CONFIG_PATH": str(self._folder / "asound.conf"),
            "PULSE_SERVER": f"unix:{self._run}/pulse/native",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }

    def start(self) -> None:
        self._run.mkdir(mode=0o700)
        self._process = subprocess.Popen(
            self._command(),
            env=self._server_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(self._is_ready, READY_S)
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
        assert self._ask("set-default-source", name)

    def speaking(self, name: str, sound: npt.NDArray[np.int16]) -> AbstractContextManager[None]:
        """Speak into a microphone again and again, whether there is a server or not."""
        return speaking_into(self._fifo(name), sound)

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the command that runs it."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether it answers and has its microphones."""

    def _server_environment(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self._folder), "XDG_RUNTIME_DIR": str(self._run)}

    def _microphone(self, name: str) -> list[str]:
        pipe = ["module-pipe-source", f"source_name={name}", f"file={self._fifo(name)}"]
        return [*pipe, "format=s16le", "rate=16000", "channels=1"]

    def _ask(self, *words: str) -> bool:
        asked = ["pactl", *words]
        done = subprocess.run(asked, env=self.environment, capture_output=True, check=False)
        return done.returncode == 0

    def _fifo(self, name: str) -> Path:
        return self._folder / f"{name}.fifo"


class PulseServer(SoundServer):
    """PulseAudio; its loudspeaker has a monitor."""

    def _command(self) -> list[str]:
        script = self._folder / "server.pa"
        socket = f"auth-anonymous=1 socket={self._run}/pulse/native"
        lines = [
            ".fail",
            f"load-module module-native-protocol-unix {socket}",
            *(f"load-module {' '.join(self._microphone(name))}" for name in MICROPHONES),
            "load-module module-null-sink sink_name=speaker rate=16000 channels=1",
            "set-default-sink speaker",
        ]
        script.write_text("\n".join([*lines, ""]))
        flags = ["--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        return ["pulseaudio", "-n", f"-F{script}", *flags, "--realtime=no", "--high-priority=no"]

    def _is_ready(self) -> bool:
        return self._ask("info")

    def _server_environment(self) -> dict[str, str]:
        return {**super()._server_environment(), "PULSE_STATE_PATH": str(self._folder)}


class PipeWireServer(SoundServer):
    """PipeWire with its companions, under a message bus of their own."""

    def _command(self) -> list[str]:
        return ["dbus-run-session", "--", "sh", "-c", f"{' & '.join(PIPEWIRE)} & wait"]

    def _is_ready(self) -> bool:
        return self._ask("info") and all(self._plug(name) for name in MICROPHONES)

    def _plug(self, name: str) -> bool:
        return self._fifo(name).exists() or self._ask("load-module", *self._microphone(name))


@contextmanager
def speaking_into(fifo: Path, sound: npt.NDArray[np.int16]) -> Iterator[None]:
    """Speak into the pipe of a microphone again and again, whether anything reads it or not."""
    over = threading.Event()
    mouth = threading.Thread(target=_speak, args=(fifo, sound, over), daemon=True)
    mouth.start()
    try:
        yield
    finally:
        over.set()
        mouth.join()


def _speak(fifo: Path, sound: npt.NDArray[np.int16], over: threading.Event) -> None:
    due, at = time.monotonic(), 0
    while not over.is_set():
        _say(fifo, np.take(sound, range(at, at + PIECE_SAMPLES), mode="wrap"))
        at = (at + PIECE_SAMPLES) % len(sound)
        due += PIECE_SAMPLES / 16_000
        over.wait(max(0.0, due - time.monotonic()))


def _say(fifo: Path, piece: npt.NDArray[np.int16]) -> None:
    try:
        pipe = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # the server is not there: it does not hear
        return
    try:
        os.write(pipe, piece.astype("<i2").tobytes())
    except (BlockingIOError, BrokenPipeError):
        pass
    finally:
        os.close(pipe)
