"""Program of a ``SoundProcess``: executes requests with PortAudio, one at a time.

Started only by ``SoundProcess``: ``python -m jarvis_ear.devices.portaudio_child DESCRIPTOR``.
"""

import ctypes
import os
import signal
import sys
from multiprocessing.connection import Connection
from typing import Any, Final

from jarvis_ear.devices.portaudio import PortAudio
from jarvis_ear.devices.sound_library import SoundLibrary, StreamFailed
from jarvis_ear.errors import DeviceError
from jarvis_ear.process import forbid_dumps

PR_SET_PDEATHSIG: Final = 1
"""From linux/prctl.h: the signal that a process gets when the thread that started it ends."""

PR_SET_NAME: Final = 15
"""Likewise: the process name, shown as the program that holds the microphone."""


LISTING: Final = ("devices", "default")
OPENING: Final = ("open_input", "open_output")


class SoundServer:
    """Answers requests from ``connection`` until its other end is closed.

    Owned by the main thread of its process. Holds at most one stream.
    """

    def __init__(self, connection: "Connection[Any, Any]", library: SoundLibrary) -> None:
        self._connection = connection
        self._library = library
        self._stream: Any = None  # an InputStream or an OutputStream

    def serve(self) -> None:
        """Answer each request with (value, None) or (None, error)."""
        while True:
            try:
                verb, words = self._connection.recv()
            except EOFError:
                return
            answer: tuple[object, Exception | None]
            try:
                answer = self._do(verb, words), None
            except (DeviceError, StreamFailed) as error:
                answer = None, error
            self._connection.send(answer)

    def _do(self, verb: str, words: dict[str, Any]) -> object:
        """Call a method or read a property of ``SoundLibrary`` or of the open stream."""
        if verb in OPENING:
            self._stream, device, rate = getattr(self._library, verb)(**words)
            return self._stream.latency, device, rate
        asked = getattr(self._library if verb in LISTING else self._stream, verb)
        return asked(**words) if callable(asked) else asked


def main() -> None:
    """Serve the parent process, and end with it, even inside a driver."""
    forbid_dumps()
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_NAME, b"jarvis-ear")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(
            number, signal.SIG_IGN
        )  # they are meant for the parent, which ends this process
    _silence_libraries()
    SoundServer(Connection(int(sys.argv[1])), PortAudio()).serve()


def _silence_libraries() -> None:
    """Let only Python write to standard error: PortAudio may flood it after a fault."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


if __name__ == "__main__":
    main()
