"""Replayer: an ear that hears recordings as the running ear hears its microphone."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from jarvis_ear import config
from jarvis_ear.audio.frames import Framer
from jarvis_ear.audio.level import frame_levels
from jarvis_ear.devices.models import EarFactory
from jarvis_ear.hearing import events
from jarvis_ear.hearing.ear import Ear
from jarvis_ear.hearing.utterance import EndReason
from jarvis_ear.replay.recordings import LabelledSound
from jarvis_ear.turn_trace.words import state_reason
from jarvis_ear.units import SAMPLE_RATE, Samples, seconds

MAX_ENDS: Final = 8
"""Maximum number of turns that end at the end of a recording; there are two."""

_HEARING: Final = (events.State.LISTENING, events.State.CAPTURING, events.State.FOLLOW_UP)


class ReplayStep(NamedTuple):
    """One step of the wake model."""

    at: Samples
    """First sample after the step."""
    score: float
    """The score that is compared with the threshold, after the second look: 0 ... 1."""
    is_first: bool
    """Whether the gate has just opened, which ends a run of scores."""


class ReplayFrame(NamedTuple):
    """What the ear made of one frame of 20 ms."""

    level: float
    """Energy in dBFS: a full-scale sine is 0."""
    gate: bool
    """Whether it may be speech, according to the speech gate."""
    probability: float | None
    """The word of the speech model, 0 ... 1; None while it does not listen."""
    state: events.State
    silent: Samples
    """Time without speech in the open utterance; 0 outside of one."""


class ReplayEvent(NamedTuple):
    """One event, as it is printed."""

    event: str
    """wake, listen, near_miss, state, utterance, refused, dropped, superseded or abandoned."""
    at: Samples
    """The position it is about: of a wake word, the first sample after the deciding step."""
    heard_at: Samples
    """Position of the ear when it happened."""
    fields: dict[str, Any]
    """What else is known, as in the JSON output."""

    def as_json(self) -> dict[str, Any]:
        """Return the event as JSON; its names are stable."""
        place = {"event": self.event, "sample": self.at, "s": round(seconds(self.at), 3)}
        return {**place, "heard_at_s": round(seconds(self.heard_at), 3), **self.fields}


@dataclass(slots=True)
class Pauses:
    """The pauses inside one utterance. Owned by its maker."""

    start: Samples
    """Where its speech starts."""
    inner: list[Samples] = field(default_factory=list)
    """Pauses of 100 ms and more after which the person continued."""


@dataclass(slots=True)
class ReplayTrace:
    """Everything that an ear made of one recording. Owned by its maker."""

    recording: LabelledSound
    steps: list[ReplayStep] = field(default_factory=list)
    frames: list[ReplayFrame] = field(default_factory=list)
    events: list[ReplayEvent] = field(default_factory=list)
    utterances: list[Pauses] = field(default_factory=list)
    samples: Samples = Samples(0)  # noqa: RUF009 - a number
    """Length of the recording."""

    @property
    def best_score(self) -> float:
        """The highest score."""
        return max((step.score for step in self.steps), default=0.0)


class Replayer:
    """Loads the models once, and lets a new ear hear each recording. For one thread.

    The backend of these ears answers every utterance without sound, as soon as the sentence cannot
    go on any more (`hearing.endpointing.go_on_ms`).
    """

    def __init__(self, hearing: config.HearingOptions) -> None:
        """Load the models, or raise ConfigError."""
        self._models = EarFactory()
        self._models.load(hearing)

    def hear(self, recording: LabelledSound, hearing: config.HearingOptions) -> ReplayTrace:
        """Let a new ear hear a recording from beginning to end. Raises InputError."""
        ear = self._models.make(hearing)
        ear.prove_model()
        scribe = _Scribe(ear, ReplayTrace(recording))
        framer = Framer()
        for block in recording.blocks():
            for frame in framer.push(block):
                scribe.note(ear.hear(frame))
                scribe.note_frame(frame_levels(frame.pcm)[0])
                scribe.answer()
            scribe.trace.samples = block.end
        for _ in range(MAX_ENDS):
            if ear.state in _HEARING:
                scribe.note(ear.tell(events.SoundEnded(ear.now)))
            elif not scribe.answer(at_end=True):
                break
        return scribe.trace


class _Scribe:
    """Writes down what an ear does, and answers its turns. For one thread."""

    def __init__(self, ear: Ear, trace: ReplayTrace) -> None:
        self._ear = ear
        self.trace = trace
        self._turns: dict[str, int] = {}
        self._sent = ""  # the turn that is to be answered
        self._was_closed = True
        self._silent = Samples(0)

    def answer(self, *, at_end: bool = False) -> bool:
        """End the turn in progress if its time has come; return whether it did."""
        ear = self._ear
        is_due = ear.state is events.State.THINKING and (at_end or not ear.expects_more)
        if is_due and self._sent:
            turn_id, self._sent = self._sent, ""
            self.note(ear.tell(events.ReplyEnded(turn_id)))
            return True
        return False

    def note_frame(self, level: float) -> None:
        """Write down the newest frame and the steps that were scored with it."""
        ear = self._ear
        for judgement in ear.judged:
            step = ReplayStep(judgement.at, judgement.score, self._was_closed)
            self.trace.steps.append(step)
            self._was_closed = False
        if not ear.gate_is_open:
            self._was_closed = True
        evidence = ear.evidence
        probability = None if evidence is None else evidence.probability
        is_open = ear.state is events.State.CAPTURING
        silent = ear.silent_for if is_open else Samples(0)
        if is_open and self.trace.utterances:
            self._note_pause(silent)
        self._silent = silent
        self.trace.frames.append(ReplayFrame(level, ear.speech, probability, ear.state, silent))

    def _note_pause(self, silent: Samples) -> None:
        if silent < self._silent and self._silent >= SAMPLE_RATE // 10:
            self.trace.utterances[-1].inner.append(self._silent)

    def note(self, effects: tuple[events.Effect, ...]) -> None:
        """Write down the effects of one frame or event."""
        for effect in effects:
            for event in self._events(effect):
                self.trace.events.append(event)

    def _events(self, effect: events.Effect) -> Iterator[ReplayEvent]:
        now = self._ear.now
        fields: dict[str, Any]
        match effect:
            case events.TurnOpened(turn_id, at=at):
                name = "listen" if effect.score is None else "wake"
                yield ReplayEvent(name, at, now, {"turn": self._turn(turn_id), **_word(effect)})
            case events.NearMiss(at, score, sound):
                fields = {"word": effect.word.name, "score": score, **_sound(sound)}
                yield ReplayEvent("near_miss", at, now, fields)
            case events.StateChanged(old, new, at):
                if new is events.State.CAPTURING:
                    self.trace.utterances.append(Pauses(at))
                fields = {"from": str(old), "to": str(new), "why": state_reason(effect)}
                yield ReplayEvent("state", now, now, fields)
            case events.SendUtterance(turn_id, utterance):
                self._sent = turn_id
                start, end = utterance.speech_start, utterance.speech_end
                fields = {"turn": self._turn(turn_id), "ended_by": str(utterance.reason)}
                fields |= {
                    "speech_start": start,
                    "speech_end": end,
                    "speech_s": seconds(end - start),
                }
                fields |= {"hangover_s": _hangover(utterance.reason, now - end)}
                yield ReplayEvent("utterance", end, now, fields)
            case events.SpeechRefused(turn_id, refusal, below_db):
                fields = {"turn": self._turn(turn_id), "why": str(refusal)}
                fields["below_wake_word_db"] = round(below_db, 1)
                yield ReplayEvent("refused", now, now, fields)
            case events.TurnDropped(turn_id, reason):
                yield ReplayEvent("dropped", now, now, {"turn": self._turn(turn_id), "why": reason})
            case events.SupersedeTurn(turn_id, by):
                fields = {"turn": self._turn(turn_id), "by": self._turn(by)}
                yield ReplayEvent("superseded", now, now, fields)
            case events.AbandonTurn(turn_id, reason):
                fields = {"turn": self._turn(turn_id), "why": reason}
                yield ReplayEvent("abandoned", now, now, fields)

    def _turn(self, turn_id: str) -> int:
        """Return the number of a turn in this recording, from 1 on; ids are random."""
        return self._turns.setdefault(turn_id, len(self._turns) + 1)


def _word(opened: events.TurnOpened) -> dict[str, Any]:
    if opened.score is None:
        return {}
    scores = {"score": opened.score, "second_look": opened.second_look}
    sound = {} if opened.sound is None else _sound(opened.sound)
    return {"word": opened.word.name, **scores, "verifier": opened.verifier, **sound}


def _sound(sound: events.WordSound) -> dict[str, float]:
    return {"level_dbfs": round(sound.level, 1), "noise_floor_dbfs": round(sound.noise_floor, 1)}


def _hangover(reason: EndReason, silent: int) -> float | None:
    """Return the silence that ended an utterance, in seconds; None: something else ended it."""
    return seconds(silent) if reason is EndReason.HANGOVER else None
