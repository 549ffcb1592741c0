"""TurnTrace: what happened in one turn, and when."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Protocol

from jarvis_ear.delivery.events import DeliveryEvent, Finished, Sent
from jarvis_ear.delivery.playback import Heard, Playback, Unheard, judge
from jarvis_ear.hearing.events import Effect
from jarvis_ear.hearing.utterance import CapturedUtterance
from jarvis_ear.units import Samples, milliseconds, seconds


class Stage(StrEnum):
    """The moments of a turn that are timed, in their order.

    Values are words for people: what the time before such a moment was spent on.
    """

    WAKE = "wake"
    END_OF_SPEECH = "end of speech"
    CAPTURED = "pause"
    SENT = "sending"
    PROCESSING = "taking"
    TRANSCRIPT = "understanding"
    FIRST_AUDIO = "answering"
    DONE = "waiting"


@dataclass(slots=True)
class TurnStory:
    """One turn as far as it has come. Owned by the turn log, under its lock.

    All times count from the end of speech, which is what a person waits from. Sound has its own
    clock: that moment is as long before the utterance was handed over as samples follow the speech.
    A stage that was not reached, or is not known, is not there.
    """

    turn_id: str
    session_id: str = ""
    wake_at: Samples | None = None
    """Position of the wake word; None for a follow-up."""
    score: float | None = None
    backend: str = ""
    """Address of the backend that was reached last."""
    utterance: CapturedUtterance | None = None
    sent: Sent | None = None
    finished: Finished | None = None
    playback: Playback | None = None
    """What the loudspeaker made of the reply so far."""
    ended: bool = False
    """The reply was played to its end."""
    stopped: Unheard = Unheard.NOTHING
    """Why nobody waited for that end."""
    stamps: dict[Stage, float] = field(default_factory=dict)
    """When a stage was reached, in seconds of the turn log's clock."""

    def reach(self, stage: Stage, now: float) -> None:
        """Note a stage; the first time counts."""
        self.stamps.setdefault(stage, now)

    def capture(self, utterance: CapturedUtterance, now: float) -> None:
        """Note the utterance, as it is handed over for delivery."""
        self.utterance = utterance
        silence_ms = milliseconds(utterance.end - utterance.speech_end)
        self.reach(Stage.END_OF_SPEECH, now - silence_ms / 1000)
        self.reach(Stage.CAPTURED, now)

    def end(self) -> None:
        """Note that the reply was played to its end."""
        self.ended = not self.stopped

    def stop(self, why: Unheard) -> None:
        """Note that nobody waits for the end of the reply; one that was heard before counts."""
        if not self.ended:
            self.stopped = why

    def wait_on(self) -> None:
        """Note that somebody waits for the reply after all."""
        self.stopped = Unheard.NOTHING

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen in it."""
        finished = self.finished
        needs_no_sound = self.ended or bool(self.stopped)
        return finished is not None and (finished.chunks == 0 or needs_no_sound)

    def heard(self) -> tuple[Heard, Unheard] | None:
        """Say how much of the reply was heard, and why not all; None while there is no verdict.

        Asked before the reply is over, the ear is stopping.
        """
        if self.finished is None:
            return None
        stopped = Unheard.NOTHING if self.ended else self.stopped or Unheard.STOPPING
        begun = Stage.FIRST_AUDIO in self.stamps
        return judge(self.finished, self.playback, stopped=stopped, begun=begun)

    @property
    def speech_s(self) -> float | None:
        """Seconds of speech, if there was any."""
        utterance = self.utterance
        return None if utterance is None else seconds(utterance.speech_end - utterance.speech_start)

    def latencies_ms(self) -> dict[Stage, int]:
        """Return the stages in order, in milliseconds from the end of speech (wake: before)."""
        return dict(self._latencies())

    def _latencies(self) -> Iterator[tuple[Stage, int]]:
        began = self.stamps.get(Stage.END_OF_SPEECH)
        if began is None or self.utterance is None:
            return
        if self.wake_at is not None:
            yield Stage.WAKE, -milliseconds(self.utterance.speech_end - self.wake_at)
        for stage in Stage:
            if stage in self.stamps:
                yield stage, round((self.stamps[stage] - began) * 1000)

    def answer_ms(self) -> int | None:
        """How long a person waited: for the first sound, or for the end if there was none."""
        latencies = self.latencies_ms()
        return latencies.get(Stage.FIRST_AUDIO, latencies.get(Stage.DONE))

    def spent_ms(self) -> dict[Stage, int]:
        """Return on what that time was spent, in order."""
        latencies = self.latencies_ms()
        last = Stage.FIRST_AUDIO if Stage.FIRST_AUDIO in latencies else Stage.DONE
        stages = list(Stage)
        counted = stages[stages.index(Stage.END_OF_SPEECH) : stages.index(last) + 1]
        reached = [stage for stage in counted if stage in latencies]
        return {stage: latencies[stage] - latencies[before] for before, stage in pairwise(reached)}

    def ids(self) -> dict[str, object]:
        """Return the fields that every line about this turn carries."""
        session = {"SESSION_ID": self.session_id} if self.session_id else {}
        return {"TURN_ID": self.turn_id, **session}

    def fields(self) -> dict[str, object]:
        """Return everything that is known, as fields of the journal."""
        known: dict[str, object] = self.ids()
        if self.score is not None:
            known["WAKE_SCORE"] = round(self.score, 3)
        if self.backend:
            known["BACKEND"] = self.backend
        if self.utterance is not None:
            known |= _heard(self.utterance)
        if self.sent is not None:
            known |= sizes(self.sent)
        if self.finished is not None:
            known |= {"OUTCOME": str(self.finished.verdict), "CAUSE": self.finished.code}
            known["REPLY_CHUNKS"] = self.finished.chunks
        heard = self.heard()
        if heard is not None:
            known |= {"HEARD": str(heard[0]), "HEARD_REASON": str(heard[1])}
        return known | self._latency_fields()

    def _latency_fields(self) -> dict[str, object]:
        known: dict[str, object] = {
            f"LATENCY_{stage.name}_MS": after_ms
            for stage, after_ms in self.latencies_ms().items()
            if stage is not Stage.END_OF_SPEECH  # where the count begins
        }
        if self.answer_ms() is not None:
            known["LATENCY_ANSWER_MS"] = self.answer_ms()
        return known


def _heard(utterance: CapturedUtterance) -> dict[str, object]:
    """Return what was said, as fields of the journal."""
    return {
        "SPEECH_MS": milliseconds(utterance.speech_end - utterance.speech_start),
        "LOST_MS": milliseconds(utterance.lost),
        "ENDED_BY": str(utterance.reason),
    }


def sizes(sent: Sent) -> dict[str, object]:
    """Return what went up, as fields of the journal."""
    return {
        "BYTES_RAW": sent.raw_bytes,
        "BYTES_WAV": sent.wav_bytes,
        "BYTES_BASE64": sent.base64_bytes,
    }


class Observer(Protocol):
    """Somebody who takes it down. No call blocks."""

    def effect(self, effect: Effect) -> None:
        """Note what the ear decided."""

    def delivery(self, event: DeliveryEvent) -> None:
        """Note what became of an utterance."""

    def reply_started(self, turn_id: str) -> None:
        """Note the first sound of a reply."""

    def reply_heard(self, turn_id: str, playback: Playback) -> None:
        """Note what the loudspeaker made of a reply so far."""

    def reply_ended(self, turn_id: str) -> None:
        """Note the last sound of a reply."""


class FanOut:
    """Tells each of them, in order. Each method is called by whoever may call theirs."""

    def __init__(self, *all_of_them: Observer) -> None:
        self._all = all_of_them

    def effect(self, effect: Effect) -> None:
        """Tell what the ear decided."""
        for chronicle in self._all:
            chronicle.effect(effect)

    def delivery(self, event: DeliveryEvent) -> None:
        """Tell what became of an utterance."""
        for chronicle in self._all:
            chronicle.delivery(event)

    def reply_started(self, turn_id: str) -> None:
        """Tell of the first sound of a reply."""
        for chronicle in self._all:
            chronicle.reply_started(turn_id)

    def reply_heard(self, turn_id: str, playback: Playback) -> None:
        """Tell what the loudspeaker made of a reply so far."""
        for chronicle in self._all:
            chronicle.reply_heard(turn_id, playback)

    def reply_ended(self, turn_id: str) -> None:
        """Tell of the last sound of a reply."""
        for chronicle in self._all:
            chronicle.reply_ended(turn_id)
