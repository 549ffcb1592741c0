"""Earcons: short sounds that tell a person in the room how their turn ended.

Every turn ends in one thing that a person can perceive: its reply, one sound, or what they do
themselves (they speak again, hush the ear, or mute it).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final

from jarvis_ear.config import Config
from jarvis_ear.delivery.events import Cause, LinkDown, LinkUp, Verdict
from jarvis_ear.delivery.playback import Heard, Unheard
from jarvis_ear.hearing.events import (
    ListenRequested,
    SendUtterance,
    State,
    StateChanged,
    TurnConfirmed,
    TurnOpened,
)
from jarvis_ear.log.throttle import Throttle
from jarvis_ear.mute import CLOCK
from jarvis_ear.turn_trace.trace import DROPPED, TIMED_OUT, TraceEvent, TurnEnded, TurnTrace


class Earcon(StrEnum):
    """A sound. The values are names of options (``sounds.wake``) and of files: never rename."""

    WAKE = "wake"
    """The wake word was detected, or the ear was asked to listen."""
    CAPTURED = "captured"
    """The end of the utterance was detected."""
    NOTHING_HEARD = "nothing_heard"
    """No command followed the wake word."""
    NOT_UNDERSTOOD = "not_understood"
    """The backend recognised no words."""
    FAILED = "failed"
    """The command was not run, or its reply did not come; or the backend is away."""
    REFUSED = "refused"
    """The backend reported an error."""
    EXPIRED = "expired"
    """The command became too old while it waited for the backend, and was not run."""
    DONE = "done"
    """The command was run, and its reply has no speech."""
    FOLLOW_UP = "follow_up"
    """The ear listens for more without the wake word."""
    MUTED = "muted"
    UNMUTED = "unmuted"
    MICROPHONE_LOST = "microphone_lost"
    """Sound no longer comes from the microphone."""


_BY_VERDICT: Final[Mapping[str, Earcon | None]] = {
    Verdict.DONE: Earcon.FAILED,  # a reply with speech of which nothing was heard
    Verdict.FAILED: Earcon.FAILED,
    Verdict.EXPIRED: Earcon.EXPIRED,
    Verdict.IN_DOUBT: Earcon.FAILED,
    Verdict.REPLY_LOST: Earcon.FAILED,
    Verdict.REPLACED: None,  # the person spoke again, or hushed the ear
    Verdict.SUPERSEDED: None,
    Verdict.ABANDONED: None,
}
_BY_CAUSE: Final[Mapping[str, Earcon | None]] = {
    Cause.NO_AUDIO: Earcon.NOT_UNDERSTOOD,
    Cause.NOT_UNDERSTOOD: Earcon.NOT_UNDERSTOOD,
    Cause.STT_UNAVAILABLE: Earcon.REFUSED,
    Cause.STT_FAILED: Earcon.REFUSED,
    Cause.ANSWERED_ELSEWHERE: None,
    Cause.BACKEND_TIMEOUT: Earcon.REFUSED,
    Cause.BACKEND_ERROR: Earcon.REFUSED,
}
"""The sounds of failed turns, if they are special."""

AGAIN_S: Final = 60.0
"""Least seconds between two sounds about a lost microphone, and after the start: a loose plug comes
and goes, and a microphone that was never there is not lost."""


def end_sound(trace: TurnTrace) -> Earcon | None:
    """Return the sound that tells how a turn ended; None if the person perceives it otherwise."""
    if trace.outcome == DROPPED:
        return Earcon.NOTHING_HEARD if trace.cause == TIMED_OUT else None
    heard, why = trace.heard()
    if heard not in ("", Heard.NONE) or trace.cause == Cause.STOPPING:
        return None
    if trace.stopped is Unheard.TOO_LONG:
        return Earcon.FAILED
    if why == Unheard.NO_SPEECH and trace.outcome == Verdict.DONE:
        return Earcon.DONE
    sound = _BY_VERDICT.get(trace.outcome)
    return _BY_CAUSE.get(trace.cause, sound) if trace.outcome == Verdict.FAILED else sound


class EarconView:
    """Plays a sound where an event needs one. Called by ``TurnHistory``.

    ``muted_by`` returns who mutes the microphone: quiet hours are quiet. With ``is_one_of_many``,
    ears in other rooms hear the same wake word: only the one that answers plays its sound.
    """

    def __init__(
        self,
        *,
        muted_by: Callable[[], Sequence[str]],
        is_one_of_many: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._play: Callable[[str], None] = lambda _name: None
        self._muted_by = muted_by
        self._is_one_of_many = is_one_of_many
        self._now = now
        self._is_unanswered = False  # nothing followed a wake word; the next state decides
        self._is_away = True  # until the first link
        self._told_away: set[str] = set()  # turns whose person knows that the backend is away
        self._losses = Throttle(AGAIN_S, AGAIN_S)
        self._losses.allows(now())
        self._is_night = False

    def connect(self, play: Callable[[str], None]) -> None:
        """Set the player of sounds, which takes their names and must not block."""
        self._play = play

    def change(self, options: Config) -> None:
        """Nothing depends on the options: the player knows which sounds are wanted."""

    def draw(self, event: TraceEvent, trace: TurnTrace | None) -> None:
        """Play the sound of the event, if it has one."""
        match event:
            case TurnOpened(score=float(), word=word) if not self._is_one_of_many:
                self._play(word.sound)
            case TurnConfirmed():
                self._play(Earcon.WAKE if trace is None else trace.wake_word.sound)
            case SendUtterance(turn_id):
                self._captured(turn_id)
            case LinkUp():
                self._is_away = False
            case LinkDown():
                self._is_away = True
            case StateChanged(old, new, why=why):
                self._change_state(old, new)
                if why == ListenRequested.__name__:
                    self._play(Earcon.WAKE)
            case TurnEnded(turn_id) if trace is not None:
                self._end(turn_id, trace)

    def _captured(self, turn_id: str) -> None:
        """Tell at once that the backend is away: the verdict may take half a minute."""
        if self._is_away:
            self._told_away.add(turn_id)
        self._play(Earcon.FAILED if self._is_away else Earcon.CAPTURED)

    def _change_state(self, old: State, new: State) -> None:
        was_unanswered, self._is_unanswered = self._is_unanswered, False
        if was_unanswered and new is not State.SPEAKING:  # else the reply goes on
            self._play(Earcon.NOTHING_HEARD)
        match old, new:
            case _, State.MUTED:
                self._is_night = tuple(self._muted_by()) == (CLOCK,)
                if not self._is_night:
                    self._play(Earcon.MUTED)
            case _, State.FOLLOW_UP:
                self._play(Earcon.FOLLOW_UP)
            case State.MUTED, _ if not self._is_night:
                self._play(Earcon.UNMUTED)
            case _, State.DEAF if self._losses.allows(self._now()):
                self._play(Earcon.MICROPHONE_LOST)

    def _end(self, turn_id: str, trace: TurnTrace) -> None:
        is_told = turn_id in self._told_away
        self._told_away.discard(turn_id)
        sound = end_sound(trace)
        if sound is Earcon.NOTHING_HEARD:
            self._is_unanswered = True
        elif sound is not None and not (is_told and sound is Earcon.EXPIRED):
            self._play(sound)
