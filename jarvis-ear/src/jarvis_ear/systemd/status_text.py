"""Status text: the state of the ear, for the service manager."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from math import ceil
from typing import Final

from jarvis_ear.health.liveness import Watchdog
from jarvis_ear.hearing.events import State
from jarvis_ear.systemd.notify import Notifier

MAX_REASON: Final = 120
"""Maximum characters of a reason; the log has the full text."""

_STATES: Final[Mapping[State, str]] = {
    State.IDLE: "listening",
    State.LISTENING: "heard the wake word",
    State.CAPTURING: "capturing an utterance",
    State.THINKING: "thinking",
    State.SPEAKING: "speaking",
    State.FOLLOW_UP: "listening for a follow-up",
    State.MUTED: "muted",
    State.DEAF: "deaf",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """State of the ear at one moment. A value."""

    state: State
    """State of the ear."""
    hearing: bool = True
    """Whether sound comes from the microphone."""
    proofs: int = 1
    """Number of scores from the wake model; 0: it is not warm yet."""
    lost: str = ""
    """Why there is no microphone; empty: there is one."""
    silence: str = ""
    """What is wrong with the sound of a working microphone; empty: nothing."""
    retry_s: float = 0.0
    """Maximum seconds until the next attempt to open the microphone."""
    muted_by: tuple[str, ...] = ()
    """Who muted the microphone."""
    muted_until: str = ""
    """Wall-clock time at which the mute ends; empty: it has no end."""
    stuck: tuple[str, ...] = ()
    """Parts that do not make progress in time."""
    backend: str = ""
    """What is wrong with the backend; empty: nothing."""
    speaker: str = ""
    """Why replies cannot be heard; empty: no reason known."""
    reload: str = ""
    """Result of a reload that was not simply applied; empty: nothing to report."""
    reload_waits: bool = False
    """Whether a new configuration waits to take effect."""

    @property
    def is_ready(self) -> bool:
        """Whether the start is complete: the ear hears, or is known to be deaf or muted."""
        return self.proofs > 0 and (self.hearing or self.state in (State.DEAF, State.MUTED))


def status(condition: Condition) -> str:
    """Return a short description, which stays the same until something changes."""
    parts = [_ear(condition), condition.backend]
    if condition.speaker:
        parts.append(f"no loudspeaker ({_short(condition.speaker)})")
    stuck = [part for part in condition.stuck if condition.hearing or part != "sound"]
    if stuck:
        parts.append(f"stuck: {', '.join(stuck)}")
    line = ", ".join(filter(None, parts))
    return f"{line}; {condition.reload}" if condition.reload else line


def _ear(condition: Condition) -> str:
    if condition.muted_by or condition.state is State.MUTED:
        return _muted(condition)
    if condition.state is State.DEAF:
        return _deaf(condition)
    if condition.proofs == 0:
        return "starting: the wake model is not warm yet"
    if not condition.hearing and condition.state is State.IDLE:
        return "waiting for the microphone"
    return _STATES[condition.state]


def _muted(condition: Condition) -> str:
    by = f" by the {' and the '.join(condition.muted_by)}" if condition.muted_by else ""
    return f"muted{by}{f' until {condition.muted_until}' if condition.muted_until else ''}"


def _deaf(condition: Condition) -> str:
    if condition.silence and not condition.lost:
        return f"deaf: {_short(condition.silence)}"
    short = _short(condition.lost)
    retry = f", retry in {ceil(condition.retry_s)} s" if condition.retry_s else ""
    return f"deaf: no microphone{f' ({short})' if short else ''}{retry}"


def _short(reason: str) -> str:
    """Return the first part of a reason, cut to ``MAX_REASON`` characters."""
    first = reason.partition("\n")[0].partition("; ")[0]
    return first if len(first) <= MAX_REASON else f"{first[: MAX_REASON - 3]}..."


GRACE_S: Final = 2.0
"""Seconds; a link that is replaced, or connects for the first time, is down for less."""


class BackendOutage:
    """Tracks since when the link is down. Owned by the main thread."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._down_at: float | None = None
        self._since = ""

    def look(self, *, connected: bool, refused: bool) -> str:
        """Return what is wrong with the backend, or nothing. Called several times a second."""
        if connected:
            self._down_at = None
            return ""
        if self._down_at is None:
            self._down_at = self._monotonic()
            self._since = f"{self._wall():%H:%M}"
        if refused:
            return "the backend does not accept the password"
        down_s = self._monotonic() - self._down_at
        return f"backend away since {self._since}" if down_s >= GRACE_S else ""


class _Phase(Enum):
    """State of the service as the service manager knows it."""

    STARTING = "starting"
    RUNNING = "running"
    RELOADING = "reloading"
    STOPPING = "stopping"


class Service:
    """Reports changes to the service manager, and feeds its watchdog. Owned by the main thread.

    The service becomes ready when the ear hears or is known to be unable to. ``reloading`` revokes
    that until the reload is complete. After ``stopping`` nothing is sent.
    """

    def __init__(
        self, notifier: Notifier, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._notifier = notifier
        self._monotonic = monotonic
        self._status = ""
        self._phase = _Phase.STARTING

    @property
    def is_waiting(self) -> bool:
        """Whether the end of a start or of a reload is still to be reported."""
        return self._phase in (_Phase.STARTING, _Phase.RELOADING)

    def starting(self) -> None:
        """Report that the program starts."""
        self._send_status("starting: loading the models")

    def look(self, condition: Condition, watchdog: Watchdog) -> None:
        """Report the current condition. Called about once a second."""
        if self._phase is _Phase.STOPPING:
            return
        self._send_status(status(condition))
        if self._is_complete(condition):
            self._phase = _Phase.RUNNING
            self._notifier.tell("READY=1", f"STATUS={self._status}")
        if watchdog.is_due():
            self._notifier.tell("WATCHDOG=1")

    def reloading(self) -> None:
        """Report the start of a reload; ``look`` reports its end."""
        if self._phase not in (_Phase.RUNNING, _Phase.RELOADING):
            return
        self._phase = _Phase.RELOADING
        microseconds = int(self._monotonic() * 1e6)
        self._notifier.tell("RELOADING=1", f"MONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """Report that the program stops. Idempotent; a signal handler may call it."""
        if self._phase is not _Phase.STOPPING:
            self._phase = _Phase.STOPPING
            self._notifier.tell("STOPPING=1", "STATUS=stopping")

    def _is_complete(self, condition: Condition) -> bool:
        """Whether the start or reload that the service manager waits for is complete."""
        if self._phase is _Phase.STARTING:
            return condition.is_ready
        return self._phase is _Phase.RELOADING and not condition.reload_waits

    def _send_status(self, text: str) -> None:
        if text != self._status:
            self._status = text
            self._notifier.tell(f"STATUS={text}")
