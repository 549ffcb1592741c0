"""LibraryLock: one thread at a time inside PortAudio."""

import threading
from typing import Final

from jarvis_ear.errors import DeviceError

LOCK_S: Final = 5.0
"""Opening takes 10 to 100 ms; whoever waits longer is behind somebody who hangs."""


class LibraryBusy(DeviceError):
    """Somebody has been inside the sound system for too long."""


class LibraryLock:
    """Held around every call of the library, whichever stream it concerns. For any thread.

    PortAudio keeps the error it is about to return in a variable of the process: a second thread
    inside it overwrites that, an opening that failed counts as done, and the process dies of it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        """Wait for the others, but not for ever: raises LibraryBusy."""
        if not self._lock.acquire(timeout=LOCK_S):
            raise LibraryBusy(f"the sound system did not answer within {LOCK_S:g} s")

    def __exit__(self, *_: object) -> None:
        """Let the next one in."""
        self._lock.release()
