"""Status: whether the link is up, for the threads that want to know."""

import threading


class Status:
    """Set by the network thread, read by any."""

    def __init__(self) -> None:
        self._up = threading.Event()
        self._tried = threading.Event()

    @property
    def connected(self) -> bool:
        """Whether an utterance could go up now."""
        return self._up.is_set()

    def reached(self) -> None:
        """Note that the link is up."""
        self._up.set()
        self._tried.set()

    def missed(self) -> None:
        """Note that the link is down, or that an attempt to bring it up has failed."""
        self._up.clear()
        self._tried.set()

    def forget(self) -> None:
        """Start anew: nothing has been tried."""
        self._up.clear()
        self._tried.clear()

    def wait_tried(self, timeout_s: float) -> bool:
        """Wait for the outcome of the first attempt, and return whether the link is up."""
        self._tried.wait(timeout_s)
        return self.connected
