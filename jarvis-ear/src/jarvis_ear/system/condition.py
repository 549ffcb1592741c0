"""Condition: how the ear is, in one line for whoever looks at the service."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

from jarvis_ear.hearing.events import State

LONGEST: Final = 120
"""Characters of a reason that are worth their place: the log has the whole of it."""

_STATES: Final[Mapping[State, str]] = {
    State.IDLE: "listening",
    State.LISTENING: "heard the wake word",
    State.CAPTURING: "capturing a sentence",
    State.THINKING: "thinking",
    State.SPEAKING: "speaking",
    State.FOLLOW_UP: "listening for a follow-up",
    State.MUTED: "muted",
    State.DEAF: "deaf",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """What tells how the ear is, at one moment."""

    state: State
    """What the ear is doing."""
    hearing: bool = True
    """Whether sound comes from the microphone."""
    proofs: int = 1
    """How often the wake model has answered. 0: it is not warm yet."""
    lost: str = ""
    """Why there is no microphone; empty while there is one."""
    silence: str = ""
    """What is wrong with the sound of a microphone that works; empty: nothing."""
    retry_s: float = 0.0
    """After so long, at most, it is looked for again."""
    muted_by: tuple[str, ...] = ()
    """Who wants the microphone closed."""
    muted_until: str = ""
    """The time of the clock at which it opens by itself; empty: it does not."""
    stuck: tuple[str, ...] = ()
    """Parts that should move and do not."""
    backend: str = ""
    """What is wrong with the backend; empty: nothing."""
    speaker: str = ""
    """Why replies are not heard although they should be; empty: no reason known."""
    reload: str = ""
    """What became of a reload that is not simply done; empty: nothing to say."""
    reload_waits: bool = False
    """Whether a new configuration is not in force yet."""

    @property
    def is_ready(self) -> bool:
        """Whether the start is over: it hears, or is known to have no microphone to hear with."""
        return self.proofs > 0 and (self.hearing or self.state in (State.DEAF, State.MUTED))


def status(condition: Condition) -> str:
    """Describe it: short, true, and the same words as long as nothing has changed."""
    said = [_ear(condition), condition.backend]
    if condition.speaker:
        said.append(f"no loudspeaker ({_short(condition.speaker)})")
    stuck = [part for part in condition.stuck if condition.hearing or part != "sound"]
    if stuck:
        said.append(f"stuck: {', '.join(stuck)}")
    line = ", ".join(filter(None, said))
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
    """Return the first part of a reason, cut where it is too long for a status."""
    first = reason.partition("\n")[0].partition("; ")[0]
    return first if len(first) <= LONGEST else f"{first[: LONGEST - 3]}..."
