"""Playback: how much of a reply was heard, and why not all of it.

It is independent of the verdict, which says whether the command was run.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from jarvis_ear.delivery.events import Cause, Finished, Verdict


class Heard(StrEnum):
    """How much of a reply was heard. Part of the contract: add, never rename."""

    ALL = "all"
    """Every chunk, to its end."""
    PART = "part"
    """Some of it."""
    NONE = "none"
    """Nothing."""
    INTERRUPTED = "interrupted"
    """The person spoke, or hushed the ear, during playback."""


class Unheard(StrEnum):
    """Why not all of it was heard. Part of the contract: add, never rename."""

    NOTHING = ""
    """All of it was heard."""
    NO_REPLY = "no_reply"
    """The turn ended without a reply played by this run of the ear; see the verdict."""
    NO_SPEECH = "no_speech"
    """The reply has no speech."""
    CHUNKS_MISSING = "sentences_missing"
    """The backend announced more chunks than arrived."""
    BROKEN_OFF = "broken_off"
    """The reply broke off; see the verdict."""
    NOT_PLAYABLE = "not_playable"
    """The ear cannot decode the format of the sound."""
    QUEUE_FULL = "queue_full"
    """The reply exceeded the queue of the loudspeaker."""
    NO_SPEAKER = "no_speaker"
    """`speaker.device` is `none`."""
    SPEAKER_UNAVAILABLE = "speaker_unavailable"
    """The loudspeaker could not be opened."""
    SPEAKER_LOST = "speaker_lost"
    """The loudspeaker was lost during playback."""
    INTERRUPTED = "interrupted"
    """The person spoke, or hushed the ear."""
    TOO_LONG = "too_long"
    """The ear stopped waiting: the reply did not begin, or did not end, in time."""
    STOPPING = "stopping"
    """The ear was stopped."""


FAULTS: Final = frozenset(
    {
        Unheard.CHUNKS_MISSING,
        Unheard.BROKEN_OFF,
        Unheard.NOT_PLAYABLE,
        Unheard.QUEUE_FULL,
        Unheard.SPEAKER_UNAVAILABLE,
        Unheard.SPEAKER_LOST,
    }
)
"""Reasons that need someone's attention."""


@dataclass(frozen=True, slots=True)
class Playback:
    """Report of a loudspeaker on the chunks it was given."""

    audible: bool = True
    """Whether any sound was played."""
    left_out: int = 0
    """Chunks that were not played, or not to their end."""
    reason: Unheard = Unheard.NOTHING
    """Why the first of those was not played."""


def judge(
    finished: Finished,
    playback: Playback | None = None,
    *,
    stopped: Unheard = Unheard.NOTHING,
    begun: bool = False,
) -> tuple[Heard, Unheard]:
    """Return how much of a reply was heard, and why not all of it.

    ``playback`` is the loudspeaker's report so far; None: no fault reported. With ``stopped`` the
    reply was not played to its end, and ``begun`` says whether its first sound was.
    """
    if finished.chunks == 0:
        return Heard.NONE, _without_sound(finished)
    if playback is not None and not playback.audible:
        return Heard.NONE, playback.reason or stopped or Unheard.NO_SPEECH
    if stopped and not begun:
        return Heard.NONE, stopped
    if stopped is Unheard.INTERRUPTED:
        return Heard.INTERRUPTED, stopped
    why = stopped or _not_whole(finished, playback or Playback())
    return Heard.PART if why else Heard.ALL, why


def _not_whole(finished: Finished, playback: Playback) -> Unheard:
    if playback.left_out:
        return playback.reason
    if finished.missing:
        return Unheard.CHUNKS_MISSING
    return Unheard.NOTHING if finished.verdict is Verdict.DONE else _broken_off(finished)


def _without_sound(finished: Finished) -> Unheard:
    if finished.verdict is not Verdict.DONE:
        return _broken_off(finished, else_=Unheard.NO_REPLY)
    return Unheard.CHUNKS_MISSING if finished.missing else Unheard.NO_SPEECH


def _broken_off(finished: Finished, else_: Unheard = Unheard.BROKEN_OFF) -> Unheard:
    if finished.verdict is not Verdict.ABANDONED:
        return else_
    stopping = finished.code == Cause.STOPPING
    return Unheard.STOPPING if stopping else Unheard.INTERRUPTED


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    """The first sound of a reply is being played."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class PlaybackReported:
    """The loudspeaker reports on the chunks of a reply so far."""

    turn_id: str
    playback: Playback


@dataclass(frozen=True, slots=True)
class PlaybackEnded:
    """The last sound of a reply was played. Not emitted for a reply that is stopped."""

    turn_id: str


PlaybackEvent: TypeAlias = PlaybackStarted | PlaybackReported | PlaybackEnded
