"""SoundProcess: the sound library in a separate process, which may be killed.

PortAudio, the libraries below it and drivers hang or crash when a device fails at the wrong moment.
A process that hangs or crashes is replaced within a second, and the daemon continues.
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
"""A read of available sound takes less than 1 ms; a slower process is considered hung."""

OPEN_S: Final = 5.0
"""To start the process and list all devices takes a second on a slow board or with a server."""

KILL_S: Final = 1.0
"""The kernel ends a process at once, unless the kernel itself waits for hardware."""

SAID: Final = 4096
"""Bytes read from the end of its standard error: the last line gives the cause of a crash."""

CAUSE: Final = 200
"""Characters of a cause in an error text; the debug log has the rest."""


COMMAND: Final = (sys.executable, "-m", "jarvis_ear.devices.portaudio_child")


class SoundProcess:
    """A ``SoundLibrary`` that does not hang. Any thread may call it; one call at a time.

    The first call starts the process, which serves one stream at a time and is replaced when a
    stream fails or an answer is missing. It ends with the thread that started it.
    """

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        self._command = command
        self._lock = threading.Lock()  # protects the fields below; held for at most OPEN_S
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._stderr: int | None = None  # a file in memory: standard error of the process
        self.generation = 0
        """Number of the process; a stream belongs to one process."""

    def devices(self) -> tuple[Device, ...]:
        """List all devices, as they are now if no stream is open."""
        listed: tuple[Device, ...] = self._ask("devices")
        return listed

    def default(self, kind: Kind) -> int:
        """Return the index of the default device, -1 if there is none."""
        return int(self._ask("default", kind=kind))

    def open_input(
        self, wanted: str, *, rate: int, latency_s: float, channel: str = "0"
    ) -> tuple[InputStream, Device, int]:
        """Open and start a microphone, as in ``SoundLibrary``."""
        latency, device, rate = self._ask(
            "open_input", wanted=wanted, rate=rate, latency_s=latency_s, channel=channel
        )
        return RemoteStream(self, latency), device, rate

    def open_output(self, wanted: str, *, latency_s: float) -> tuple[OutputStream, Device, int]:
        """Open and start a speaker, as in ``SoundLibrary``."""
        latency, device, rate = self._ask("open_output", wanted=wanted, latency_s=latency_s)
        return RemoteStream(self, latency), device, rate

    def ask_stream(self, generation: int, verb: str, **words: object) -> Any:  # noqa: ANN401 - as the verb has it
        """Send a request to the open stream; on failure end the process and raise StreamFailed."""
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
        """Kill the process. The next call starts another one."""
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
                process_group=0,  # Ctrl-C in the terminal is for us, and we end the process
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
        """Return what ended the process: its last line, else its signal or exit status."""
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
            with suppress(subprocess.TimeoutExpired):  # the kernel hangs in the driver
                self._process.wait(KILL_S)
            self._process = None


class RemoteStream:
    """A stream in a ``SoundProcess``. For one thread."""

    def __init__(self, process: SoundProcess, latency: float) -> None:
        self._process = process
        self._generation = process.generation
        self.latency = latency
        """Seconds that sound spends in the buffer."""

    def take(self, least: int, most: int) -> Taken:
        """Take up to ``most`` samples with one request, which waits in the other process."""
        taken: Taken = self._ask("take", least=least, most=most)
        return taken

    @property
    def write_available(self) -> int:
        """Samples that can be written without blocking."""
        return int(self._ask("write_available"))

    def write(self, data: bytes) -> None:
        """Write samples."""
        self._ask("write", data=data)

    def close(self) -> None:
        """Close the device; kill the process if it does not respond."""
        try:
            self._ask("close")
        except StreamFailed:
            return  # the process has ended, which closes its devices

    def _ask(self, verb: str, **words: object) -> Any:  # noqa: ANN401 - as the verb has it
        return self._process.ask_stream(self._generation, verb, **words)


@functools.cache
def for_input() -> SoundProcess:
    """Return the process for the microphone and for device lists."""
    return SoundProcess()


@functools.cache
def for_output() -> SoundProcess:
    """Return the process for the speaker, which can fail without the other one."""
    return SoundProcess()
