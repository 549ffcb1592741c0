"""ExclusiveStream: a stream that is used only while nobody else is inside the library."""

from typing import Any

from jarvis_ear.devices.library_lock import LibraryLock


class ExclusiveStream:
    """Passes every call on to a stream of sounddevice, one caller at a time. For one thread.

    Everything may raise LibraryBusy, besides what the stream itself raises. Polled streams never
    wait inside the library, so nobody is kept from it for longer than a moment.
    """

    def __init__(self, stream: Any, lock: LibraryLock) -> None:  # noqa: ANN401 - sounddevice has no types
        self._stream = stream
        self._lock = lock
        self.latency: float = stream.latency
        """Seconds that sound spends in the buffer."""

    @property
    def read_available(self) -> int:
        """Samples that can be read without waiting."""
        with self._lock:
            return int(self._stream.read_available)

    def read(self, count: int) -> tuple[bytes, bool]:
        """Read samples, and say whether some were lost before them."""
        with self._lock:
            data, overflowed = self._stream.read(count)
        return bytes(data), bool(overflowed)

    @property
    def write_available(self) -> int:
        """Samples that can be written without waiting."""
        with self._lock:
            return int(self._stream.write_available)

    def write(self, data: bytes) -> None:
        """Write samples."""
        with self._lock:
            self._stream.write(data)

    def end(self) -> None:
        """Drop what is buffered, and give the device back.

        Never by ``stop()``: that one waits for sound that may never come (42 s were measured).
        """
        with self._lock:
            self._stream.abort(ignore_errors=True)
            self._stream.close(ignore_errors=True)
