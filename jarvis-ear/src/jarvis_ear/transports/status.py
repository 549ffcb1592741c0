"""Status: how things stand with the link, for the threads that want to know."""

import threading
from enum import StrEnum


class LinkState(StrEnum):
    """How things stand with the link."""

    TRYING = "trying"
    """Nothing has been heard of the backend yet."""
    CONNECTED = "connected"
    """An utterance could go up now."""
    DISCONNECTED = "disconnected"
    """The backend cannot be reached, or does not behave like one."""
    AUTH_FAILED = "auth_failed"
    """The backend does not accept the password: somebody has to change it."""


class Status:
    """Set by the network thread, read by any."""

    def __init__(self) -> None:
        self._tried = threading.Event()
        self.state = LinkState.TRYING
        """The newest state."""
        self.trouble = ("", "")
        """Why the last attempt failed, and what to do about it; both empty: it did not."""

    @property
    def connected(self) -> bool:
        """Whether an utterance could go up now."""
        return self.state is LinkState.CONNECTED

    def reached(self) -> None:
        """Note that the link is up."""
        self.trouble = ("", "")
        self._note(LinkState.CONNECTED)

    def failed(self, reason: str, advice: str) -> None:
        """Note why an attempt has failed or a link has ended, before what that means."""
        self.trouble = (reason, advice)

    def missed(self) -> None:
        """Note that the link is down, or that an attempt to bring it up has failed."""
        self._note(LinkState.DISCONNECTED)

    def refused(self) -> None:
        """Note that the password is not accepted."""
        self._note(LinkState.AUTH_FAILED)

    def forget(self) -> None:
        """Start anew: nothing has been tried."""
        self.state = LinkState.TRYING
        self.trouble = ("", "")
        self._tried.clear()

    def wait_tried(self, timeout_s: float) -> bool:
        """Wait for the outcome of the first attempt, and return whether the link is up."""
        self._tried.wait(timeout_s)
        return self.connected

    def _note(self, state: LinkState) -> None:
        self.state = state
        self._tried.set()
