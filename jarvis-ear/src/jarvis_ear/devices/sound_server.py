"""SoundServer: the program of the sound process, which serves one stream of the sound library.

It imports little: each MiB of this process counts in a quiet room. The process is this module:
``python -m jarvis_ear.devices.sound_server DESCRIPTOR``.
"""

import ctypes
import functools
import os
import pickle
import select
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Self

from jarvis_ear.devices.alsa import open_alsa
from jarvis_ear.devices.quiet_hold import QuietHold
from jarvis_ear.devices.sound_library import Device, Quiet, SoundLibrary, StreamFailed
from jarvis_ear.errors import DeviceError
from jarvis_ear.process import PR_SET_NAME, forbid_dumps

PR_SET_PDEATHSIG: Final = 1
"""From linux/prctl.h: the signal that a process gets when the thread that started it ends."""

HOLD: Final = "hold"
"""The one message without an answer: it sets how the open stream keeps quiet sound back."""

OPENINGS: Final = ("open_alsa", "open_input", "open_output")

LENGTH: Final = struct.Struct("!I")
"""Before each message: its length in bytes."""


class MessagePipe:
    """One end of a connection to another process, which carries pickled values.

    For one sender and one receiver at a time. Like ``multiprocessing.connection.Connection``, with
    1 MiB less to import. Raises EOFError if the other end is closed, and OSError.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._arrivals = select.poll()
        self._arrivals.register(descriptor, select.POLLIN)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def send(self, value: object) -> None:
        """Send a value; block while the other end reads nothing and the pipe is full."""
        data = pickle.dumps(value)
        rest = memoryview(LENGTH.pack(len(data)) + data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def poll(self, seconds: float) -> bool:
        """Wait for a value, or for the end; return whether there is one."""
        return bool(self._arrivals.poll(round(1000 * seconds)))

    def receive(self) -> Any:  # noqa: ANN401 - whatever the other end sends
        """Return the next value; block until it is complete."""
        (length,) = LENGTH.unpack(self._read(LENGTH.size))
        return pickle.loads(self._read(length))  # noqa: S301 - from our own process

    def close(self) -> None:
        """Close this end. Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = os.read(self._descriptor, size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)


class SoundServer:
    """Answers requests from ``connection`` until its other end is closed.

    Owned by the main thread of its process. Holds at most one stream. ``load`` returns the library
    for everything but a stream of ALSA; it is called when first needed.
    """

    def __init__(self, connection: MessagePipe, load: Callable[[], SoundLibrary]) -> None:
        self._connection = connection
        self._load = functools.cache(load)
        self._stream: Any = None  # a QuietHold or an OutputStream

    def serve(self) -> None:
        """Answer each request with (value, None) or (None, error)."""
        with suppress(EOFError):
            while True:
                method, arguments = self._connection.receive()
                if method == HOLD:
                    self._hold(**arguments)
                    continue
                answer: tuple[object, Exception | None]
                try:
                    answer = self._call(method, arguments), None
                except (DeviceError, StreamFailed) as error:
                    answer = None, error
                self._connection.send(answer)

    def _call(self, method: str, arguments: dict[str, Any]) -> object:
        """Call a method, or read a property, of the library or of the open stream."""
        if method in OPENINGS:
            return self._open(method, arguments)
        owner = self._load() if method in ("devices", "default", "find_input") else self._stream
        found = getattr(owner, method)
        return found(**arguments) if callable(found) else found

    def _open(self, method: str, arguments: dict[str, Any]) -> tuple[Device, int, int, float]:
        opened: Any
        if method == "open_alsa":
            opened = open_alsa(**arguments)
        else:
            opened = getattr(self._load(), method)(**arguments)
        self._stream = opened if method == "open_output" else QuietHold(opened, self._pause)
        channels = 1 if method == "open_output" else opened.channels
        return opened.device, opened.rate, channels, opened.latency

    def _pause(self, seconds: float) -> bool:
        """Wait; return early, and True, if a message arrives: it can only be a hold."""
        if not self._connection.poll(seconds):
            return False
        _, arguments = self._connection.receive()
        self._hold(**arguments)
        return True

    def _hold(self, quiet: Quiet) -> None:
        if isinstance(self._stream, QuietHold):
            self._stream.hold(quiet)


def _load_portaudio() -> SoundLibrary:
    from jarvis_ear.devices.portaudio import PortAudio  # noqa: PLC0415 - 20 MiB that ALSA needs not

    return PortAudio()


def main() -> None:
    """Serve the parent process, and end with it, even inside a driver."""
    forbid_dumps()
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_NAME, b"jarvis-ear")
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the parent, which ends this process
        signal.signal(number, signal.SIG_IGN)
    # PortAudio may flood standard error after a fault: only Python may write to it.
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    SoundServer(MessagePipe(int(sys.argv[1])), _load_portaudio).serve()


if __name__ == "__main__":
    main()
