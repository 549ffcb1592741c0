"""Events and effects of the turn machine.

Events are past facts, the input; effects are the output. Both are plain values that may cross
threads; the objects that create them may not.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from jarvis_ear.config import HEY_JARVIS, WakeWord
from jarvis_ear.hearing.utterance import CapturedUtterance
from jarvis_ear.units import Dbfs, Samples


class State(StrEnum):
    """State of the ear. Only ``TurnMachine`` changes it."""

    IDLE = "idle"
    """Waiting for the wake word."""
    LISTENING = "listening"
    """The wake word was detected, or listening was requested; no speech yet."""
    CAPTURING = "capturing"
    """A person is speaking; every sample is kept."""
    THINKING = "thinking"
    """The utterance is being delivered or answered."""
    SPEAKING = "speaking"
    """The reply is being played."""
    FOLLOW_UP = "follow_up"
    """The reply is over; speech needs no wake word for a moment."""
    MUTED = "muted"
    """Muted by the owner."""
    DEAF = "deaf"
    """No microphone, or a microphone without sound."""


@dataclass(frozen=True, slots=True)
class WordSound:
    """How loud a word was at the microphone, and in which noise."""

    level: Dbfs
    """Level of its loudest syllable, 100 ms, on the scale where a full-scale sine is 0."""
    noise_floor: Dbfs
    """Noise floor of the half minute before."""
    clipped: float
    """Share of its samples that are clipped, 0 ... 1."""


@dataclass(frozen=True, slots=True)
class WakeDetected:
    """The wake word was detected."""

    at: Samples
    """First sample after the step that decided it."""
    score: float
    """Score of that step, 0 ... 1, after the second look."""
    second_look: float | None = None
    """Score of the wake model in the second look, 0 ... 1; None if there was none."""
    verifier: float | None = None
    """Output of the verifier, the logarithm of odds; None if there is no verifier."""
    sound: WordSound | None = None
    """How loud it was; None: not measured."""
    word: WakeWord = HEY_JARVIS
    """Which word it was."""


@dataclass(frozen=True, slots=True)
class ListenRequested:
    """A request to listen without the wake word: by a button, for example."""

    at: Samples
    """Position in the stream at that time. The sound before it may still be on its way."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """A person began to speak."""

    at: Samples
    """First sample of the speech."""


class RefusalReason(StrEnum):
    """Why speech is not that of the person who said the wake word."""

    TOO_QUIET = "too_quiet"
    """It is much quieter than the wake word."""
    TALK = "talk"
    """It is no louder than people who talked before the wake word, the television for example."""
    NOISE = "noise"
    """It is hardly speech, or short and no louder than the noise before the wake word."""


@dataclass(frozen=True, slots=True)
class SpeechDiscarded:
    """The speech was too short for a command, or it is refused."""

    at: Samples
    refusal: RefusalReason | None = None
    """Why it is refused; None: it was too short."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """An utterance is complete."""

    at: Samples
    """First sample after the last speech."""
    utterance: CapturedUtterance


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """The person continues the sentence whose end was just detected."""

    at: Samples
    """First sample of the further speech."""


@dataclass(frozen=True, slots=True)
class ResumptionDiscarded:
    """The further speech was too short or too quiet: the sentence had ended after all."""

    at: Samples


@dataclass(frozen=True, slots=True)
class SoundEnded:
    """The source has no more sound: the end of a file."""

    at: Samples


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The state has reached its maximum duration."""

    at: Samples


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """The first sound of a reply is being played."""

    turn_id: str


class FollowUp(StrEnum):
    """Whether speech after a reply needs no wake word."""

    AS_CONFIGURED = "as configured"
    """For ``hearing.follow_up_ms`` after the reply to a turn, and not after an announcement."""
    ASKED = "asked"
    """The backend asks for an answer: for ``hearing.asked_follow_up_ms``."""
    DECLINED = "declined"
    """The person has ended the conversation: it needs the wake word."""


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    """The reply is complete and has been played to its end."""

    turn_id: str
    follow_up: FollowUp = FollowUp.AS_CONFIGURED


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
    """The owner ended this turn, both the utterance and the reply."""

    by_voice: bool = False
    """Whether the stop word was detected during the reply."""


@dataclass(frozen=True, slots=True)
class AnsweredHere:
    """No ear in another room answers the wake word of this turn."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class AnsweredElsewhere:
    """An ear in another room, which heard the wake word better, answers it."""

    turn_id: str
    ear: str
    """Name of that ear."""


@dataclass(frozen=True, slots=True)
class MicrophoneLost:
    """Sound no longer comes from the microphone."""


@dataclass(frozen=True, slots=True)
class MicrophoneSilent:
    """The microphone works, but its sound is not that of a room: it is muted, for example."""


@dataclass(frozen=True, slots=True)
class MicrophoneFound:
    """Sound comes from the microphone (again)."""


Event: TypeAlias = (
    WakeDetected
    | ListenRequested
    | SpeechStarted
    | SpeechDiscarded
    | SpeechEnded
    | SpeechResumed
    | ResumptionDiscarded
    | SoundEnded
    | DeadlinePassed
    | ReplyStarted
    | ReplyEnded
    | Failed
    | Muted
    | Unmuted
    | Hushed
    | AnsweredHere
    | AnsweredElsewhere
    | MicrophoneLost
    | MicrophoneSilent
    | MicrophoneFound
)


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The ear changed its state."""

    old: State
    new: State
    at: Samples
    why: str
    """Name of the event that caused it, with its reason if it has one."""


@dataclass(frozen=True, slots=True)
class TurnOpened:
    """A turn begins: by the wake word, on request, or by speech after a reply."""

    turn_id: str
    session_id: str
    at: Samples
    score: float | None
    """Score of the wake word; None if there was none."""
    continues: str = ""
    """Id of the turn that holds the beginning of the sentence, or empty."""
    sound: WordSound | None = None
    """How loud the wake word was; None if there was none."""
    second_look: float | None = None
    """Score of the second look at the wake word; None if there was none."""
    verifier: float | None = None
    """Output of the verifier for the wake word; None if there was none."""
    word: WakeWord = HEY_JARVIS
    """The wake word that opened the session."""


@dataclass(frozen=True, slots=True)
class UtteranceGrew:
    """Speech in progress: the sound since the last such effect.

    The whole utterance is sent with ``SendUtterance``; this effect is for consumers that must not
    lose its beginning.
    """

    turn_id: str
    offset: int
    """Where ``pcm`` begins in the utterance, in bytes. 0: the beginning, perhaps repeated."""
    pcm: bytes


@dataclass(frozen=True, slots=True)
class SendUtterance:
    """Deliver the utterance to the backend."""

    turn_id: str
    utterance: CapturedUtterance
    agent_id: str = ""
    """Agent that the wake word names; empty: the configured one."""
    wake_word: str = ""
    """``WakeWord.id`` of the word that began the session; empty: it began without one."""


@dataclass(frozen=True, slots=True)
class TurnDropped:
    """The turn ended without an utterance being sent."""

    turn_id: str
    reason: str
    answered_by: str = ""
    """Name of the ear in another room that answers instead, or empty."""


@dataclass(frozen=True, slots=True)
class TurnConfirmed:
    """The person waits for a sign that the ear listens, and no ear in another room answers."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class AbandonTurn:
    """The reply to this turn is no longer wanted."""

    turn_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class HoldTurn:
    """Play no more of this turn's reply, and do not commit its utterance, until further notice.

    The next effect about the turn is ``ResumeTurn``, ``SupersedeTurn`` or ``AbandonTurn``.
    """

    turn_id: str
    goes_on: bool
    """Whether the sentence of the turn continues; else a wake word was detected."""


@dataclass(frozen=True, slots=True)
class ResumeTurn:
    """Nothing was said after all: continue the turn where it was held."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class SupersedeTurn:
    """The turn holds only the beginning of a sentence, the whole of which is another turn."""

    turn_id: str
    by: str
    """Id of the turn with the whole sentence."""


@dataclass(frozen=True, slots=True)
class SelfEchoIgnored:
    """The ear heard its own wake word from the loudspeaker, and ignored it."""

    turn_id: str
    """The open turn, or empty."""
    at: Samples
    """Position of the detection."""
    score: float


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A stretch of sound was nearly the wake word, and the ear did not wake."""

    at: Samples
    """First sample after the step with the best score. The stretch ended up to 4 s later."""
    score: float
    """The best score, 0 ... 1."""
    sound: WordSound
    word: WakeWord = HEY_JARVIS
    """The word that it nearly was."""


@dataclass(frozen=True, slots=True)
class ShadowDiffered:
    """The shadow threshold would have decided otherwise about a stretch of sound."""

    at: Samples
    """First sample after the step of the first decision. The stretch ended up to 1.5 s later."""
    score: float
    """The best score from then on, 0 ... 1."""
    woke: bool
    """Whether the ear woke; else only the shadow threshold would have."""


@dataclass(frozen=True, slots=True)
class SpeechRefused:
    """Speech after the wake word was refused, and the ear continues to listen."""

    turn_id: str
    refusal: RefusalReason
    below_word_db: float
    """How much quieter than the wake word it is."""


@dataclass(frozen=True, slots=True)
class PersonOverReply:
    """A person began, or stopped, speaking while the loudspeaker plays."""

    turn_id: str
    """The open turn, or empty."""
    speaks: bool


@dataclass(frozen=True, slots=True)
class StopSpeaking:
    """Stop playback at once."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event without an effect in this state: for debugging only."""

    state: State
    event: Event


Effect: TypeAlias = (
    StateChanged
    | TurnOpened
    | UtteranceGrew
    | SendUtterance
    | TurnDropped
    | TurnConfirmed
    | HoldTurn
    | ResumeTurn
    | SupersedeTurn
    | AbandonTurn
    | StopSpeaking
    | SelfEchoIgnored
    | NearMiss
    | ShadowDiffered
    | SpeechRefused
    | PersonOverReply
    | Ignored
)
