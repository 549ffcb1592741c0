"""TurnTrace: what happened in one turn, and when, as a pure reducer over events."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import Final, TypeAlias, assert_never

from jarvis_ear.config import HEY_JARVIS, WakeWord
from jarvis_ear.delivery import events as delivery
from jarvis_ear.delivery.playback import (
    Playback,
    PlaybackEnded,
    PlaybackEvent,
    PlaybackReported,
    PlaybackStarted,
    Unheard,
    judge,
)
from jarvis_ear.hearing import events as hearing
from jarvis_ear.hearing.utterance import CapturedUtterance
from jarvis_ear.units import Samples, milliseconds, seconds

DROPPED: Final = "dropped"
"""Outcome of a turn that ended before an utterance was sent."""

KEPT: Final = "kept"
"""Outcome of a turn whose utterance the next run delivers."""

ANNOUNCED: Final = "announced"
"""Outcome of an announcement, which is not a turn."""

FAILURES: Final = frozenset(
    (
        delivery.Verdict.FAILED,
        delivery.Verdict.EXPIRED,
        delivery.Verdict.IN_DOUBT,
        delivery.Verdict.REPLY_LOST,
    )
)
"""Verdicts of commands that failed; the person chose the other ones, except ``DONE``."""

TIMED_OUT: Final = hearing.DeadlinePassed.__name__
"""Reason of a turn that a time-out ended."""


class Stage(StrEnum):
    """The timed moments of a turn, in order. A value names the time before that moment."""

    WAKE = "wake"
    END_OF_SPEECH = "end of speech"
    CAPTURED = "endpoint"
    SENT = "upload"
    PROCESSING = "accepted"
    TRANSCRIPT = "speech-to-text"
    FIRST_AUDIO = "answer"
    DONE = "waiting"


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The turn is over and the ear has left it, or it is no longer followed. Once per turn."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class WordsForgotten:
    """The options no longer allow the words of the turn to be kept in memory."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class TurnForgotten:
    """The turn is the oldest one and makes room for a new one."""

    turn_id: str


TraceEvent: TypeAlias = (
    hearing.Effect
    | delivery.DeliveryEvent
    | PlaybackEvent
    | TurnEnded
    | WordsForgotten
    | TurnForgotten
)


@dataclass(frozen=True, slots=True)
class TurnTrace:
    """One turn so far.

    All latencies count from the end of speech, which is where a person's wait begins. Sound has its
    own clock, so that moment is computed: the samples after the speech precede the hand-over.
    """

    turn_id: str
    began_at: float = 0.0
    """Seconds since 1970."""
    backend: str = ""
    """Address of the backend that was reached last."""
    session_id: str = ""
    score: float | None = None
    """Score of the wake word; None for a follow-up."""
    word: hearing.WordSound | None = None
    """How loud the wake word was; None for a follow-up."""
    wake_word: WakeWord = HEY_JARVIS
    """Which one it was; of no meaning without a score."""
    second_look: float | None = None
    """Score of the second look at the wake word; None if there was none."""
    verifier: float | None = None
    """Output of the verifier for the wake word; None if there was none."""
    wake_at: Samples | None = None
    """Position of the wake word; None for a follow-up."""
    continues: str = ""
    """Id of the turn with the beginning of the sentence, or empty."""
    superseded_by: str = ""
    """Id of the turn with the whole sentence, or empty."""
    answered_by: str = ""
    """Name of the ear in another room that answered instead, or empty."""
    resumed: int = 0
    """How often it was held, and continued because nothing newer was said."""
    self_echoes: int = 0
    """How often the ear ignored its own wake word in the reply."""
    refused: int = 0
    """How often speech after the wake word was refused, because it was not the person's."""
    ducked_s: float = 0.0
    """Seconds in which the reply was quieter, because a person spoke."""
    ducked_since: float | None = None
    """Monotonic time since which it is; None: it is not."""
    utterance: CapturedUtterance | None = None
    """The utterance, without its sound."""
    sent: delivery.Sent | None = None
    provider: str = ""
    """What the backend asked for the reply."""
    chunks: int = 0
    """Chunks of the reply so far."""
    partial: str = ""
    """Partial transcript; empty once there is a final one."""
    transcript: str = ""
    reply: str = ""
    """Text of the reply."""
    characters: int | None = None
    """Length of the transcript so far; None: there is none."""
    reply_characters: int | None = None
    """Length of the text of the reply; None: there is none."""
    finished: delivery.Finished | None = None
    outcome: str = ""
    """A ``Verdict``, ``DROPPED`` or ``KEPT``; empty while there is none. The first one counts."""
    cause: str = ""
    """Why it ended so: a ``Cause``, or for a dropped turn the name of the ear's event."""
    playback: Playback | None = None
    """The loudspeaker's last report on the reply."""
    is_played: bool = False
    """Whether the reply was played to its end."""
    stopped: Unheard = Unheard.NOTHING
    """Why the reply is no longer awaited."""
    stamps: Mapping[Stage, float] = field(default_factory=dict)
    """Monotonic times in seconds; absent if not reached. The first time counts."""
    ended_at: float | None = None
    """Monotonic time of ``TurnEnded`` in seconds; None while the turn is followed."""

    def after(self, event: TraceEvent, now: float) -> "TurnTrace":
        """Return the trace after ``event`` at the monotonic time ``now``.

        A trace that has ended changes no more, except that its words may be forgotten.
        """
        if self.ended_at is not None and not isinstance(event, WordsForgotten):
            return self
        trace = self._next(event, now)
        if trace.finished is None or not trace.is_over:
            return trace
        return replace(trace, stamps={Stage.DONE: now, **trace.stamps})

    def _next(  # noqa: C901, PLR0911, PLR0912 - one case for each event
        self, event: TraceEvent, now: float
    ) -> "TurnTrace":
        match event:
            case hearing.TurnOpened(session_id=session_id, at=at, score=score):
                wake_at = None if score is None else at
                trace = replace(self, session_id=session_id, score=score, wake_at=wake_at)
                trace = replace(trace, second_look=event.second_look, verifier=event.verifier)
                trace = replace(trace, wake_word=event.word)
                return replace(trace, continues=event.continues, word=event.sound)
            case hearing.SendUtterance(_, utterance):
                return self._capture(utterance, now)
            case hearing.TurnDropped(_, reason, answered_by):
                return replace(self._finish(DROPPED, reason), answered_by=answered_by)
            case hearing.SelfEchoIgnored():
                return replace(self, self_echoes=self.self_echoes + 1)
            case hearing.SpeechRefused():
                return replace(self, refused=self.refused + 1)
            case hearing.PersonOverReply(_, speaks):
                return self._duck(now, speaks=speaks)
            case hearing.ResumeTurn():
                return replace(self, resumed=self.resumed + 1)
            case hearing.SupersedeTurn(_, by):
                trace = replace(self, superseded_by=by)
                return trace if self.is_played else replace(trace, stopped=Unheard.INTERRUPTED)
            case hearing.AbandonTurn(_, reason):
                why = Unheard.TOO_LONG if reason == TIMED_OUT else Unheard.INTERRUPTED
                return self if self.is_played else replace(self, stopped=why)
            case delivery.LinkUp(url):
                return replace(self, backend=url)
            case delivery.Sent():
                return replace(self, sent=event, stamps={Stage.SENT: now, **self.stamps})
            case delivery.ProcessingStarted():
                return replace(self, stamps={Stage.PROCESSING: now, **self.stamps})
            case delivery.PartlyTranscribed(_, text):
                return replace(self, partial=text, characters=len(text))
            case delivery.Transcribed(_, text):
                trace = replace(self, partial="", transcript=text, characters=len(text))
                return replace(trace, stamps={Stage.TRANSCRIPT: now, **self.stamps})
            case delivery.ThinkingStarted(_, provider):
                return replace(self, provider=provider)
            case delivery.Answered(_, text):
                return replace(self, reply=text, reply_characters=len(text))
            case delivery.StillWaiting():
                return replace(self, stopped=Unheard.NOTHING)
            case delivery.ReplyAudio():
                return replace(self, chunks=self.chunks + 1)
            case delivery.Finished(_, verdict, code):
                return self._finish(str(verdict), code, event)
            case delivery.Announced(turn_id, sounds, missing):
                chunks = len(sounds)
                said = delivery.Finished(turn_id, delivery.Verdict.DONE, "", chunks, missing)
                return replace(self._finish(ANNOUNCED, finished=said), chunks=chunks)
            case delivery.Kept():
                return self._finish(KEPT)
            case PlaybackStarted():
                return replace(self, stamps={Stage.FIRST_AUDIO: now, **self.stamps})
            case PlaybackReported(_, playback):
                return replace(self, playback=playback)
            case PlaybackEnded():
                return replace(self, is_played=not self.stopped)
            case TurnEnded():
                return replace(self._duck(now, speaks=False), ended_at=now)
            case WordsForgotten():
                return replace(self, partial="", transcript="", reply="")
            case (
                hearing.StateChanged()
                | hearing.UtteranceGrew()
                | hearing.TurnConfirmed()
                | hearing.HoldTurn()
                | hearing.StopSpeaking()
                | hearing.NearMiss()
                | hearing.ShadowDiffered()
                | hearing.Ignored()
                | TurnForgotten()
            ):
                return self
            case (
                delivery.LinkDown()
                | delivery.Refused()
                | delivery.ChunksMissing()
                | delivery.UnaskedSpeech()
            ):
                return self
            case _:
                assert_never(event)

    def _capture(self, utterance: CapturedUtterance, now: float) -> "TurnTrace":
        """Keep the utterance without its sound, and compute the end of speech."""
        ended = now - seconds(utterance.end - utterance.speech_end)
        stamps = {Stage.END_OF_SPEECH: ended, Stage.CAPTURED: now, **self.stamps}
        return replace(self, utterance=replace(utterance, pcm=b""), stamps=stamps)

    def _duck(self, now: float, *, speaks: bool) -> "TurnTrace":
        since = self.ducked_since
        if speaks:
            return replace(self, ducked_since=now if since is None else since)
        spent_s = 0.0 if since is None else now - since
        return replace(self, ducked_s=self.ducked_s + spent_s, ducked_since=None)

    def _finish(
        self, outcome: str, cause: str = "", finished: delivery.Finished | None = None
    ) -> "TurnTrace":
        if self.outcome:
            return self
        return replace(self, outcome=outcome, cause=cause, finished=finished)

    @property
    def is_announcement(self) -> bool:
        """Whether it is an announcement and no turn."""
        return self.outcome == ANNOUNCED

    @property
    def is_over(self) -> bool:
        """Whether there is an outcome, and no sound to wait for."""
        if self.finished is None:
            return bool(self.outcome)
        return self.finished.chunks == 0 or self.is_played or bool(self.stopped)

    def heard(self) -> tuple[str, str]:
        """Return the values of ``Heard`` and ``Unheard``; both are empty without a verdict.

        A reply that is not over counts as cut short by a stop of the ear.
        """
        if self.finished is None:
            return "", ""
        stopped = Unheard.NOTHING if self.is_played else self.stopped or Unheard.STOPPING
        begun = Stage.FIRST_AUDIO in self.stamps
        heard, why = judge(self.finished, self.playback, stopped=stopped, begun=begun)
        return heard.value, why.value

    @property
    def speech_s(self) -> float | None:
        """Seconds of speech; None without an utterance."""
        utterance = self.utterance
        return None if utterance is None else seconds(utterance.speech_end - utterance.speech_start)

    def latencies_ms(self) -> dict[Stage, int]:
        """Return the stages in order, in milliseconds from the end of speech (wake: negative)."""
        if self.utterance is None:
            return {}
        began = self.stamps[Stage.END_OF_SPEECH]
        latencies = {
            stage: round((self.stamps[stage] - began) * 1000)
            for stage in Stage
            if stage in self.stamps
        }
        if self.wake_at is None:
            return latencies
        return {Stage.WAKE: -milliseconds(self.utterance.speech_end - self.wake_at), **latencies}

    def answer_ms(self) -> int | None:
        """Return the wait for the first sound, or for the end if there was none, in ms."""
        latencies = self.latencies_ms()
        return latencies.get(Stage.FIRST_AUDIO, latencies.get(Stage.DONE))

    def spent_ms(self) -> dict[Stage, int]:
        """Return how ``answer_ms`` is divided among the stages, in order."""
        latencies = self.latencies_ms()
        latencies.pop(Stage.WAKE, None)
        if Stage.FIRST_AUDIO in latencies:
            latencies.pop(Stage.DONE, None)
        return {
            stage: latencies[stage] - latencies[before] for before, stage in pairwise(latencies)
        }
