"""SoundProcess: the sound library in a process of its own, which may be killed.

PortAudio, the libraries below it and drivers hang or crash when a device dies at the wrong moment.
A process that hangs or crashes is replaced within a second, and the ear lives on.
"""

import functools
import logging
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Final

from jarvis_ear.devices.sound_library import (
    Device,
    InputStream,
    Kind,
    OutputStream,
    StreamFailed,
    Taken,
)
from jarvis_ear.errors import DeviceError
from jarvis_ear.process import inherited

_LOGGER = logging.getLogger(__name__)

ANSWER_S: Final = 2.0
"""Reading what has come takes less than a millisecond; so long it takes only who hangs."""

OPEN_S: Final = 5.0
"""Starting the process and looking at every device: a second, on a slow board or in a server."""

KILL_S: Final = 1.0
"""The kernel ends a process at once, unless it waits for hardware itself."""

SAID: Final = 4096
"""Bytes of its last words that are looked at: the cause of a crash stands in the last line."""

CAUSE: Final = 200
"""Characters of a cause that are told: the rest is for whoever debugs."""


COMMAND: Final = (sys.executable, "-m", "jarvis_ear.devices.portaudio_child")


class SoundProcess:
    """A ``SoundLibrary`` that does not hang. Any thread may call it; one call at a time.

    The process is started with the first call, serves one stream at a time, and is replaced when a
    stream fails or an answer does not come. It ends with the thread that started it.
    """

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        self._command = command
        self._lock = threading.Lock()  # protects what follows; nobody holds it longer than OPEN_S
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._stderr: int | None = None  # a file in memory: what the process says of its end
        self.generation = 0
        """Which process it is: a stream belongs to one."""

    def devices(self) -> tuple[Device, ...]:
        """List all devices, as they are now if no stream is open."""
        listed: tuple[Device, ...] = self._ask("devices")
        return listed

    def default(self, kind: Kind) -> int:
        """Index of the default device, -1 if there is none."""
        return int(self._ask("default", kind=kind))

    def open_input(
        self, wanted: str, *, rate: int, latency_s: float, channel: str = "0"
    ) -> tuple[InputStream, Device, int]:
        """Open and start a microphone, as ``SoundLibrary`` says."""
        latency, device, rate = self._ask(
            "open_input", wanted=wanted, rate=rate, latency_s=latency_s, channel=channel
        )
        return RemoteStream(self, latency), device, rate

    def open_output(self, wanted: str, *, latency_s: float) -> tuple[OutputStream, Device, int]:
        """Open and start a speaker, as ``SoundLibrary`` says."""
        latency, device, rate = self._ask("open_output", wanted=wanted, latency_s=latency_s)
        return RemoteStream(self, latency), device, rate

    def ask_stream(self, generation: int, verb: str, **words: object) -> Any:  # noqa: ANN401 - as the verb has it
        """Ask something of the open stream, or raise StreamFailed; then the process is replaced."""
        with self._lock:
            if generation != self.generation or self._connection is None:
                raise StreamFailed("the sound system was started anew")
            try:
                return self._call(ANSWER_S, verb, words)
            except StreamFailed:
                self._end()
                raise
            except DeviceError as error:
                raise StreamFailed(str(error)) from error

    def end(self) -> None:
        """End the process, whatever it is doing. The next call starts another one."""
        with self._lock:
            self._end()

    def _ask(self, verb: str, **words: object) -> Any:  # noqa: ANN401 - as the verb has it
        with self._lock:
            if self._connection is None:
                self._start()
            return self._call(OPEN_S, verb, words)

    def _start(self) -> None:
        ours, theirs = Pipe()
        self._connection = ours
        self.generation += 1
        self._stderr = os.memfd_create("sound-process")
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [*self._command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stderr=self._stderr,
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C in the terminal is for us, and we end it
                env=inherited(os.environ),
            )

    def _call(self, patience_s: float, verb: str, words: dict[str, object]) -> Any:  # noqa: ANN401 - as the verb has it
        connection = self._connection
        assert connection is not None  # noqa: S101 - both callers have looked
        try:
            connection.send((verb, words))
            if not connection.poll(patience_s):
                self._end()
                raise DeviceError(f"the sound system did not answer within {patience_s:g} s")
            value, error = connection.recv()
        except (EOFError, OSError) as error:
            cause = self._cause_of_end()
            self._end()
            raise DeviceError(f"the sound system has crashed ({cause})") from error
        if error is not None:
            raise error
        return value

    def _cause_of_end(self) -> str:
        """Say what ended the process: its last line, else its signal or exit status."""
        said = self._last_words()
        if said:
            _LOGGER.debug("the sound process says: %s", said)
            return said.splitlines()[-1][:CAUSE]
        assert self._process is not None  # noqa: S101 - it was started with the connection
        try:
            status = self._process.wait(KILL_S)
        except subprocess.TimeoutExpired:
            return "it closed its connection"
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"

    def _last_words(self) -> str:
        assert self._stderr is not None  # noqa: S101 - likewise
        size = os.fstat(self._stderr).st_size
        return os.pread(self._stderr, SAID, max(0, size - SAID)).decode("utf-8", "replace").strip()

    def _end(self) -> None:
        if self._stderr is not None:
            os.close(self._stderr)
            self._stderr = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):  # the kernel itself hangs in the driver
                self._process.wait(KILL_S)
            self._process = None


class RemoteStream:
    """A stream in another process. For one thread."""

    def __init__(self, process: SoundProcess, latency: float) -> None:
        self._process = process
        self._generation = process.generation
        self.latency = latency
        """Seconds that sound spends in the buffer."""

    def take(self, least: int, most: int) -> Taken:
        """Take up to ``most`` samples: one question for each piece, which waits over there."""
        taken: Taken = self._ask("take", least=least, most=most)
        return taken

    @property
    def write_available(self) -> int:
        """Samples that can be written without waiting."""
        return int(self._ask("write_available"))

    def write(self, data: bytes) -> None:
        """Write samples."""
        self._ask("write", data=data)

    def close(self) -> None:
        """Give the device back; with the whole process, if it does not let go."""
        try:
            self._ask("close")
        except StreamFailed:
            return  # the process is gone, and its devices with it

    def _ask(self, verb: str, **words: object) -> Any:  # noqa: ANN401 - as the verb has it
        return self._process.ask_stream(self._generation, verb, **words)


@functools.cache
def for_input() -> SoundProcess:
    """Return the process for the microphone, and for lists of devices."""
    return SoundProcess()


@functools.cache
def for_output() -> SoundProcess:
    """Return the process for the speaker. Apart from the other one it can fail alone."""
    return SoundProcess()
