"""What happened (events) and what is to be done about it (effects).

Events are past facts that the ear is told; effects are what it answers with. Both are plain values:
they may cross threads, the objects that make them may not.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from jarvis_ear.hearing.utterance import Utterance
from jarvis_ear.units import Samples


class State(StrEnum):
    """What the ear is doing. Nothing but ``TurnMachine`` changes it."""

    IDLE = "idle"
    """Waiting for the wake word."""
    LISTENING = "listening"
    """The wake word was heard; nobody has spoken since."""
    CAPTURING = "capturing"
    """Somebody is speaking; every sample is kept."""
    THINKING = "thinking"
    """The utterance is on its way or being answered."""
    SPEAKING = "speaking"
    """The reply is being played."""
    FOLLOW_UP = "follow_up"
    """The reply is over; speech needs no wake word for a moment."""
    MUTED = "muted"
    """Its owner does not want to be heard."""
    DEAF = "deaf"
    """There is no microphone, or no sound in what it gives."""


@dataclass(frozen=True, slots=True)
class WakeDetected:
    """The wake word was heard."""

    at: Samples
    """First sample after the step that decided it."""
    score: float
    """0 ... 1: the score of that step."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody began to speak to us."""

    at: Samples
    """First sample of the speech."""


@dataclass(frozen=True, slots=True)
class SpeechDiscarded:
    """What seemed to be speech was too little to be a command."""

    at: Samples


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """An utterance is complete."""

    at: Samples
    """First sample after the last speech."""
    utterance: Utterance


@dataclass(frozen=True, slots=True)
class SoundEnded:
    """The source has no more sound: a file's end."""

    at: Samples


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The state has lasted as long as it may."""

    at: Samples


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """The first sound of a reply is being played."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    """The reply is complete and everything of it has been played."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The turn ended without a (whole) reply."""

    turn_id: str
    code: str


@dataclass(frozen=True, slots=True)
class Muted:
    """The owner muted the ear."""


@dataclass(frozen=True, slots=True)
class Unmuted:
    """The owner unmuted the ear."""


@dataclass(frozen=True, slots=True)
class Hushed:
    """The owner wants no more of this turn: not of what is said, and not of what is spoken."""


@dataclass(frozen=True, slots=True)
class MicrophoneLost:
    """No sound comes from the microphone any more."""


@dataclass(frozen=True, slots=True)
class MicrophoneSilent:
    """The microphone works, and what it gives is no sound of a room: it is muted, for example."""


@dataclass(frozen=True, slots=True)
class MicrophoneFound:
    """Sound comes from the microphone (again)."""


Event: TypeAlias = (
    WakeDetected
    | SpeechStarted
    | SpeechDiscarded
    | SpeechEnded
    | SoundEnded
    | DeadlinePassed
    | ReplyStarted
    | ReplyEnded
    | Failed
    | Muted
    | Unmuted
    | Hushed
    | MicrophoneLost
    | MicrophoneSilent
    | MicrophoneFound
)


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The ear does something else now."""

    old: State
    new: State
    at: Samples
    why: str
    """Name of the event that did it, with its reason where it has one."""


@dataclass(frozen=True, slots=True)
class TurnOpened:
    """A turn begins: the wake word was heard, or speech followed a reply."""

    turn_id: str
    session_id: str
    at: Samples
    score: float | None
    """Of the wake word; None for a follow-up."""


@dataclass(frozen=True, slots=True)
class UtteranceGrew:
    """Somebody is speaking, and this is what they said since the last such effect.

    What is sent is the whole utterance of ``SendUtterance``; this is for whoever must not lose the
    beginning of it.
    """

    turn_id: str
    offset: int
    """Where ``pcm`` begins in the utterance, in bytes. 0: it begins, perhaps once more."""
    pcm: bytes


@dataclass(frozen=True, slots=True)
class SendUtterance:
    """Deliver this to the backend."""

    turn_id: str
    utterance: Utterance


@dataclass(frozen=True, slots=True)
class TurnDropped:
    """The turn ends here: nothing was sent, nothing will be."""

    turn_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class AbandonTurn:
    """Nobody waits for this reply any more."""

    turn_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class StopSpeaking:
    """Silence, at once."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that means nothing in this state: worth a line for whoever debugs, nothing else."""

    state: State
    event: Event


Effect: TypeAlias = (
    StateChanged
    | TurnOpened
    | UtteranceGrew
    | SendUtterance
    | TurnDropped
    | AbandonTurn
    | StopSpeaking
    | Ignored
)
