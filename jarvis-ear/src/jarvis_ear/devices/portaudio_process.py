"""SoundProcess: the sound library in a separate process, which may be killed.

PortAudio, the libraries below it and drivers hang or crash when a device fails at the wrong moment.
A process that hangs or crashes is replaced within a second, and the daemon continues.

The protocol: one request (method, arguments) at a time, one answer (value, error). The program of
the process is ``sound_server``.
"""

import functools
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from jarvis_ear.devices.alsa import CannotOpen
from jarvis_ear.devices.diagnose import SoundCard, SoundCards, marked, source_of_server
from jarvis_ear.devices.sound_library import (
    Device,
    Fed,
    InputStream,
    Kind,
    OutputStream,
    Quiet,
    StreamFailed,
    Taken,
    count_for,
)
from jarvis_ear.devices.sound_server import HOLD, MessagePipe
from jarvis_ear.errors import DeviceError
from jarvis_ear.process import inherited

_LOGGER = logging.getLogger(__name__)

ANSWER_S: Final = 2.0
"""A read of available sound takes less than 1 ms; a slower process is considered hung, unless it
may keep quiet sound back."""

OPEN_S: Final = 5.0
"""To start the process and list all devices takes a second on a slow board or with a server."""

KILL_S: Final = 1.0
"""The kernel ends a process at once, unless the kernel itself waits for hardware."""

STDERR_BYTES: Final = 4096
"""Bytes read from the end of its standard error: the last line gives the cause of a crash."""

CAUSE_LENGTH: Final = 200
"""Characters of a cause in an error text; the debug log has the rest."""

COMMAND: Final = (sys.executable, "-m", "jarvis_ear.devices.sound_server")

KINDS: Final[tuple[Kind, ...]] = ("input", "output")


@dataclass(frozen=True, slots=True)
class _Found:
    """A microphone that PortAudio has found, and what it listed then."""

    wanted: str
    device: Device
    devices: tuple[Device, ...]
    defaults: Mapping[Kind, int]
    cards: tuple[SoundCard, ...]
    """The kernel's list of cards."""

    def is_still(self, wanted: str) -> bool:
        """Return whether ``wanted`` means the same device: no card has come or gone."""
        return wanted == self.wanted and self.cards == SoundCards().all()


@dataclass(frozen=True, slots=True)
class _Child:
    """A running process."""

    process: subprocess.Popen[bytes]
    connection: MessagePipe
    stderr: int
    """File in memory that is its standard error."""
    sending: threading.Lock = field(default_factory=threading.Lock)
    """Held while a message is written: a hold may be sent while another thread awaits an answer."""

    def send(self, message: tuple[str, dict[str, object]]) -> None:
        """Send a message. Any thread."""
        with self.sending:
            self.connection.send(message)

    def cause_of_end(self) -> str:
        """Return what ended the process: its last line, else its signal or exit status."""
        size = os.fstat(self.stderr).st_size
        data = os.pread(self.stderr, STDERR_BYTES, max(0, size - STDERR_BYTES))
        if text := data.decode("utf-8", "replace").strip():
            _LOGGER.debug("the sound process says: %s", text)
            return text.splitlines()[-1][:CAUSE_LENGTH]
        try:
            status = self.process.wait(KILL_S)
        except subprocess.TimeoutExpired:
            return "it closed its connection"
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"

    def kill(self) -> None:
        """Kill the process and release everything."""
        os.close(self.stderr)
        self.connection.close()
        self.process.kill()
        with suppress(subprocess.TimeoutExpired):  # the kernel hangs in the driver
            self.process.wait(KILL_S)


def pipe() -> tuple[MessagePipe, MessagePipe]:
    """Return both ends of a new connection."""
    ours, theirs = socket.socketpair()
    return MessagePipe(ours.detach()), MessagePipe(theirs.detach())


class SoundProcess:
    """A ``SoundLibrary`` that does not hang. Any thread may call it; one call at a time.

    The first call starts the process, which serves one stream at a time and is replaced when a
    stream fails or an answer is missing. It ends with the thread that started it.
    """

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        self._command = command
        self._lock = threading.Lock()  # protects the fields below; held for at most OPEN_S
        self._child: _Child | None = None
        self._looking = threading.RLock()  # held while a microphone is found and opened
        self._found: _Found | None = None  # the last device that was opened without PortAudio
        self._is_listed = False  # while its stream is open
        self.generation = 0
        """Number of the process; a stream belongs to one process."""

    def start(self) -> None:
        """Start the process without waiting for it; otherwise the first call starts it."""
        with self._lock, suppress(DeviceError):
            self._child = self._child or self._start()

    def devices(self) -> tuple[Device, ...]:
        """List all devices, as they are now if no stream is open."""
        with self._looking:
            if self._is_listed and self._found is not None:
                return marked(self._found.devices, source_of_server)
            listed: tuple[Device, ...] = self._request("devices")
            return listed

    def default(self, kind: Kind) -> int:
        """Return the index of the default device, -1 if there is none."""
        with self._looking:
            if self._is_listed and self._found is not None:
                return self._found.defaults[kind]
            return int(self._request("default", kind=kind))

    def open_input(
        self, wanted: str, *, rate: int, latency_s: float, channel: str = "0"
    ) -> InputStream:
        """Open and start a microphone, as in ``SoundLibrary``.

        A device of ALSA is read from ALSA, in a process that never loads PortAudio (20 MiB).
        PortAudio finds it, unless the one that was found last is still the right one, and opens
        what ALSA cannot open as we need it.
        """
        with self._looking:
            return self._open_input(wanted, rate=rate, latency_s=latency_s, channel=channel)

    def _open_input(self, wanted: str, *, rate: int, latency_s: float, channel: str) -> InputStream:
        known, self._found = self._found, None
        is_same = known is not None and known.is_still(wanted)
        found = known if is_same and known is not None else self._find(wanted)
        count = count_for(channel, found.device)
        if found.device.host_api != "ALSA":
            return self._open(
                "open_input", wanted=wanted, rate=rate, latency_s=latency_s, channel=channel
            )
        if not is_same:
            self.end()
        try:
            opened = self._open(
                "open_alsa", device=found.device, rate=rate, count=count, latency_s=latency_s
            )
        except CannotOpen:
            if is_same:
                return self._open_input(wanted, rate=rate, latency_s=latency_s, channel=channel)
            return self._open(
                "open_input", wanted=wanted, rate=rate, latency_s=latency_s, channel=channel
            )
        self._found, self._is_listed = found, True
        return opened

    def _find(self, wanted: str) -> "_Found":
        device: Device = self._request("find_input", wanted=wanted)
        defaults = {kind: self.default(kind) for kind in KINDS}
        return _Found(wanted, device, self.devices(), defaults, SoundCards().all())

    def open_output(self, wanted: str, *, latency_s: float) -> OutputStream:
        """Open and start a speaker, as in ``SoundLibrary``."""
        return self._open("open_output", wanted=wanted, latency_s=latency_s)

    def request_stream(
        self, generation: int, timeout_s: float, method: str, **arguments: object
    ) -> Any:  # noqa: ANN401 - as the method has it
        """Send a request to the open stream; on failure end the process and raise StreamFailed."""
        with self._lock:
            if generation != self.generation or self._child is None:
                raise StreamFailed("the sound system was restarted")
            if method == "close":
                self._is_listed = False
            try:
                return self._call(self._child, timeout_s, method, arguments)
            except StreamFailed:
                self._end()
                raise
            except DeviceError as error:
                raise StreamFailed(str(error)) from error

    def hold(self, generation: int, quiet: Quiet) -> None:
        """Set how the open stream keeps quiet sound back. Never waits, not even for a request."""
        child = self._child
        if child is not None and generation == self.generation:
            with suppress(OSError):  # the process has ended: the next request notices
                child.send((HOLD, {"quiet": quiet}))

    def end(self) -> None:
        """Kill the process. The next call starts another one."""
        with self._lock:
            self._end()

    def _open(self, method: str, **arguments: object) -> "RemoteStream":
        return RemoteStream(self, *self._request(method, **arguments))

    def _request(self, method: str, **arguments: object) -> Any:  # noqa: ANN401 - as the method has it
        with self._lock:
            self._child = self._child or self._start()
            return self._call(self._child, OPEN_S, method, arguments)

    def _start(self) -> _Child:
        ours, theirs = pipe()
        self.generation += 1
        stderr = os.memfd_create("sound-process")
        try:
            with theirs:
                process = subprocess.Popen(  # noqa: S603 - our own program
                    [*self._command, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stderr=stderr,
                    pass_fds=[theirs.fileno()],
                    process_group=0,  # Ctrl-C in the terminal is for us, and we end the process
                    env=inherited(os.environ),
                )
        except OSError as error:
            ours.close()
            os.close(stderr)
            raise DeviceError(f"the sound system cannot be started: {error.strerror}") from error
        return _Child(process, ours, stderr)

    def _call(
        self, child: _Child, timeout_s: float, method: str, arguments: dict[str, object]
    ) -> Any:  # noqa: ANN401 - as the method has it
        try:
            child.send((method, arguments))
            if not child.connection.poll(timeout_s):
                self._end()
                raise DeviceError(f"the sound system did not answer within {timeout_s:g} s")
            value, error = child.connection.receive()
        except (EOFError, OSError) as error:
            cause = child.cause_of_end()
            self._end()
            raise DeviceError(f"the sound system has crashed ({cause})") from error
        if error is not None:
            raise error
        return value

    def _end(self) -> None:
        child, self._child, self._is_listed = self._child, None, False
        if child is not None:
            child.kill()


class RemoteStream:
    """A stream in a ``SoundProcess``. For one thread, but ``hold`` for any."""

    def __init__(
        self, process: SoundProcess, device: Device, rate: int, channels: int, latency: float
    ) -> None:
        self._process = process
        self._generation = process.generation
        self._longest_s = 0.0  # of the longest hold so far
        self.device = device
        self.rate = rate
        self.channels = channels
        self.latency = latency

    def hold(self, quiet: Quiet) -> None:
        """Set how quiet sound is kept back; a ``take`` that waits obeys it at once. Any thread."""
        self._longest_s = max(self._longest_s, quiet.longest_s)
        self._process.hold(self._generation, quiet)

    def take(self, least: int, most: int) -> Taken:
        """Take sound with one request, which waits in the other process."""
        taken: Taken = self._request("take", self._longest_s, least=least, most=most)
        return taken

    def feed(self, data: bytes, most: int) -> Fed:
        """Write samples until ``most`` of them wait in the buffer, with one request."""
        fed: Fed = self._request("feed", data=data, most=most)
        return fed

    def close(self) -> None:
        """Close the device; kill the process if it does not respond."""
        with suppress(StreamFailed):  # the process has ended, which closes its devices
            self._request("close")

    def _request(self, method: str, longer_s: float = 0.0, **arguments: object) -> Any:  # noqa: ANN401 - as the method has it
        timeout_s = ANSWER_S + longer_s
        return self._process.request_stream(self._generation, timeout_s, method, **arguments)


@functools.cache
def for_input() -> SoundProcess:
    """Return the process for the microphone and for device lists."""
    return SoundProcess()


@functools.cache
def for_output() -> SoundProcess:
    """Return the process for the speaker, which can fail without the other one."""
    return SoundProcess()
