"""The ear: combines all parts of hearing."""

from typing import Final, assert_never

import numpy as np

from jarvis_ear import config
from jarvis_ear.audio.filters import Conditioner
from jarvis_ear.audio.frames import Frame
from jarvis_ear.hearing.endpoint import GRACE, Endpoint, Endpointer, SpeechOver
from jarvis_ear.hearing.events import (
    DeadlinePassed,
    Effect,
    Event,
    Hushed,
    Ignored,
    ListenRequested,
    MicrophoneLost,
    MicrophoneSilent,
    PersonOverReply,
    RefusalReason,
    ReplyEnded,
    ReplyStarted,
    ResumptionDiscarded,
    SelfEchoIgnored,
    SoundEnded,
    SpeechDiscarded,
    SpeechEnded,
    SpeechRefused,
    SpeechResumed,
    SpeechStarted,
    State,
    UtteranceGrew,
    WakeDetected,
)
from jarvis_ear.hearing.gate import Evidence, SpeechGate, SpeechModel
from jarvis_ear.hearing.near_misses import NearMisses
from jarvis_ear.hearing.own_voice import OwnVoice
from jarvis_ear.hearing.person_level import BEFORE_WORD, RECALL, REPLY_TAIL, PersonLevel, loudest
from jarvis_ear.hearing.shadow import ShadowThreshold
from jarvis_ear.hearing.turns import TurnMachine
from jarvis_ear.hearing.utterance import GROWTH_MS, Collector, EndReason, HeardFrame, RecentFrames
from jarvis_ear.hearing.wake import (
    LEAST_SPEECH,
    LEAST_STOP,
    LONGEST_WORD,
    NO_WORD,
    WORD_WINDOW,
    WakeDecider,
    WakeJudgement,
    WakeModel,
    find_word_end,
)
from jarvis_ear.hearing.wake_detector import MAX_WAITING_STEPS, NEAR_ZERO, WakeDetector
from jarvis_ear.units import STEP_SAMPLES, Samples, samples

_HEARS_ENDPOINTS: Final = (State.LISTENING, State.CAPTURING, State.FOLLOW_UP)
_HEARS_NOTHING: Final = (State.MUTED, State.DEAF)
_MAY_GO_ON: Final = (State.THINKING, State.IDLE)
"""States in which a sentence may continue: it is being answered, or was answered without sound."""

CALM: Final = (State.IDLE, *_HEARS_NOTHING)
"""States without a conversation, in which the ear may be replaced."""


class Ear:
    """Turns frames into effects. Owned by the ear thread, which alone may call it."""

    def __init__(
        self,
        hearing: config.HearingOptions,
        *,
        gate: SpeechGate,
        wake: WakeModel,
        speech: SpeechModel,
        machine: TurnMachine,
        growth_ms: int = GROWTH_MS,
        own_voice: OwnVoice | None = None,
        may_interrupt: bool = True,
        lag: Samples = Samples(0),  # noqa: B008 - a number
    ) -> None:
        """Without ``may_interrupt``, a wake word over sound of the loudspeaker has no effect.

        ``lag``: time by which the loudspeaker is late, see ``speaker.lag_ms``.
        """
        endpointing = hearing.endpointing
        self._vad = gate
        self._detector = WakeDetector(hearing, wake)
        self._speech_model = speech
        self._machine = machine
        self._own_voice = own_voice
        self._may_interrupt = may_interrupt
        self._is_person = False  # a person speaks over the loudspeaker
        self._stop_decider = WakeDecider(hearing.wake.all_words[0], hearing.wake.refractory_ms)
        self._near_misses = NearMisses()
        self._shadow = ShadowThreshold(hearing.wake)
        self._endpointer = Endpointer(endpointing)
        self._collector = Collector(growth_ms)
        self._pre_roll = samples(endpointing.pre_roll_ms)
        lookback = samples(endpointing.pre_roll_ms + endpointing.onset_ms) + RECALL
        lag_of_score = STEP_SAMPLES * MAX_WAITING_STEPS
        self._recent = RecentFrames(max(lookback, BEFORE_WORD) + lag_of_score)
        self._for_models = Conditioner(hearing.heard.high_pass_hz, hearing.heard.gain_db)
        self._for_backend = Conditioner(hearing.sent.high_pass_hz, hearing.sent.gain_db)
        self.now = Samples(0)
        """Position after the last frame: the only clock of the ear."""
        self.speech = False
        """Whether the newest frame may be speech, according to the speech gate."""
        self._go_on = samples(endpointing.go_on_ms and endpointing.go_on_ms + endpointing.onset_ms)
        self._go_on_until = Samples(0)
        self._is_resumed = False  # the open utterance is a sentence that goes on
        self._rest_level = 0.0  # of the loudest syllable of the rest of a sentence, at least
        self.judged: tuple[WakeJudgement, ...] = ()
        """Judgements of the steps that were scored with the newest frame, for a replay."""
        self.evidence: Evidence | None = None
        """What the endpointer heard in the newest frame; None while it does not listen."""
        self._word = NO_WORD
        self._lag = lag
        self._level = PersonLevel(endpointing.below_wake_word_db)
        self._played_until = Samples(0)  # sound of the loudspeaker
        self.refused = 0
        """Number of utterances after a wake word that were refused."""

    @property
    def state(self) -> State:
        """State of the turn machine."""
        return self._machine.state

    @property
    def score(self) -> float:
        """Score of the newest step; 0 while the gate is closed."""
        return self._detector.score

    @property
    def gate_is_open(self) -> bool:
        """Whether the wake model hears what the microphone delivers."""
        return self._detector.gate_is_open

    @property
    def proofs(self) -> int:
        """Number of valid scores from the wake model."""
        return self._detector.proofs

    @property
    def silent_for(self) -> Samples:
        """Time since the last sound of the open utterance; the hangover ends it."""
        return Samples(self.now - self._endpointer.last_spoken)

    def hear(self, frame: Frame) -> tuple[Effect, ...]:
        """Process the next frame; usually returns ``()``."""
        self.judged, self.evidence = (), None
        if frame.start != self.now:
            self._reset_filters()
        self.now = frame.end
        if self.state in _HEARS_NOTHING:
            self._reset_filters()
            return ()
        missed: tuple[Effect, ...] = self._near_misses.hear(frame) + self._shadow.hear(frame)
        frame = frame if self._own_voice is None else self._own_voice.clean(frame)
        conditioned = self._for_models.push(frame)
        self.speech = self._vad.is_speech(conditioned.pcm)
        heard = HeardFrame(conditioned, self._for_backend.push(frame), self.speech)
        self._recent.append(heard)
        if self.state is State.SPEAKING:
            self._played_until = Samples(self.now + self._lag)
        effects = self._notice_person() + self._collect(heard.sent) + self._find_endpoint(heard)
        return missed + effects + self._listen_for_wake(heard) + self._check_deadline()

    def play(self, pcm: bytes, position: Samples) -> None:
        """Note sound that leaves the loudspeaker at ``position``: PCM16 of any length."""
        if self._own_voice is not None:
            self._own_voice.play(pcm, position)

    @property
    def own_voice(self) -> OwnVoice | None:
        """What the loudspeaker plays; None without one."""
        return self._own_voice

    def tell(self, event: Event) -> tuple[Effect, ...]:
        """Process an event from elsewhere: a reply, a mute, a lost microphone, a file's end."""
        ends = isinstance(event, SoundEnded | MicrophoneLost | MicrophoneSilent)
        effects = self._judge(self._detector.flush()) if ends else ()
        if self.state is State.CAPTURING and ends:
            over = isinstance(event, SoundEnded)
            reason = EndReason.SOUND_ENDED if over else EndReason.MICROPHONE_LOST
            effects += self._apply(self._endpointer.finish(reason))
        effects += self._advance(event)
        if self.state in _HEARS_NOTHING:
            self._clear_sound()
            effects += self._notice_person()
        return effects + self._check_deadline()  # a follow-up of length zero ends at once

    def _reset_filters(self) -> None:
        """Clear filters and gate after a gap or a mute: the next frame does not continue them."""
        self._detector.reset()
        self._for_models.reset()
        self._for_backend.reset()
        self.speech = False

    def _clear_sound(self) -> None:
        """Drop all sound from before a mute, so that it cannot be used afterwards."""
        self._reset_filters()
        self._near_misses.forget()
        self._shadow.forget()
        self._recent.clear()
        self._end_sentence()

    def _listen_for_wake(self, heard: HeardFrame) -> tuple[Effect, ...]:
        is_idle = self.state is State.IDLE  # in a turn, the wake word interrupts
        was_open = self._detector.gate_is_open
        judged = self._detector.hear(heard.frame, speech=heard.speech, may_wait=is_idle)
        if self._detector.gate_is_open and not was_open:
            self._shadow.restart()
        if self._detector.needs_proof:
            self.prove_model()
        return self._judge(judged)

    @property
    def needs_live_sound(self) -> bool:
        """Whether sound is needed as it arrives: in a turn, or if a wake word may be under way."""
        return self._detector.is_near or self.state not in CALM or self.expects_more

    @property
    def expects_more(self) -> bool:
        """Whether the sentence of the newest utterance may still continue."""
        return self.now < self._go_on_until and self.state in _MAY_GO_ON

    def _judge(self, judged: tuple[WakeJudgement, ...]) -> tuple[Effect, ...]:
        """Act on the judgements of the steps that were scored now."""
        self.judged = judged
        if not judged:
            return ()
        effects: tuple[Effect, ...] = ()
        if max(judgement.score for judgement in judged) >= NEAR_ZERO:
            self._speech_model.load()
        for judgement in judged:
            self._near_misses.judge(judgement, self.state)
            self._shadow.judge(judgement)
            if judgement.detected is not None:
                effects += self._wake(judgement.detected)
        return effects + self._listen_for_stop(judged)

    def _listen_for_stop(self, judged: tuple[WakeJudgement, ...]) -> tuple[Effect, ...]:
        """Stop the reply at the stop word, which counts only while the reply is played."""
        if self.state is not State.SPEAKING:
            self._stop_decider.restart()
            return ()
        for score, step in zip(self._detector.stop_scores(), judged, strict=False):  # or no model
            if self._stop_decider.decide(score, step.at):
                return self._advance(Hushed(by_voice=True))
        return ()

    def _wake(self, detected: WakeDetected) -> tuple[Effect, ...]:
        """Listen anew, unless the wake word is a part of a longer sentence."""
        own_voice = self._own_voice
        if own_voice is not None and own_voice.is_own(detected.at):
            return (SelfEchoIgnored(self._machine.turn_id, detected.at, detected.score),)
        is_part = self.state is State.CAPTURING and self._endpointer.spoken > LONGEST_WORD
        is_over_sound = own_voice is not None and own_voice.is_playing
        if is_part or (is_over_sound and not self._may_interrupt):
            return (Ignored(self.state, detected),)
        return self._advance(self._near_misses.measured(detected))

    def _notice_person(self) -> tuple[Effect, ...]:
        own_voice = self._own_voice if self.state not in _HEARS_NOTHING else None
        speaks = own_voice is not None and own_voice.hears_person(self.now, speech=self.speech)
        if speaks == self._is_person:
            return ()
        self._is_person = speaks
        return (PersonOverReply(self._machine.turn_id, speaks),)

    def _collect(self, sent: Frame) -> tuple[Effect, ...]:
        if self.state is State.CAPTURING:
            self._collector.add(sent)
            return self._grow()
        if self.expects_more:
            self._collector.add(sent)
        elif self._go_on_until:
            self._end_sentence()
        return ()

    def _grow(self) -> tuple[Effect, ...]:
        growth = self._collector.growth()
        return () if growth is None else (UtteranceGrew(self._machine.turn_id, *growth),)

    def prove_model(self) -> None:
        """Test an idle wake model with a step of silence.

        The gate has been closed for a minute, so the speech model is not needed either.
        """
        self._speech_model.unload()
        self._detector.prove(self.now)

    def _find_endpoint(self, heard: HeardFrame) -> tuple[Effect, ...]:
        if self.state not in _HEARS_ENDPOINTS and not self.expects_more:
            return ()
        pcm = heard.frame.pcm
        sound = np.frombuffer(pcm, np.int16).astype(np.float32)
        level = float(np.dot(sound, sound)) / len(sound)
        probability = self._speech_model.probability(pcm, self._level.gain)
        own_voice = self._own_voice if self.state is State.FOLLOW_UP else None
        is_own = own_voice is not None and own_voice.masks(level)
        self.evidence = Evidence(heard.speech and not is_own, probability, level)
        found = self._endpointer.hear(heard.frame, self.evidence)
        return () if found is None else self._apply(found)

    def _apply(self, found: Endpoint) -> tuple[Effect, ...]:
        match found:
            case SpeechStarted() if self.expects_more:
                return self._resume_sentence(found.at)
            case SpeechStarted():
                return self._begin_utterance(found)
            case SpeechDiscarded() if self._is_resumed:
                effects = self._advance(ResumptionDiscarded(found.at))
                self._await_more()
                return effects
            case SpeechDiscarded():
                refused = self._refuse(found.refusal)
                self._endpointer.listen(self.now, self._level.demand, first=self._level.first)
                return refused + self._advance(found)
            case SpeechOver(at=at, reason=reason):
                return self._end_utterance(at, reason)
            case _:
                assert_never(found)

    def _refuse(self, refusal: RefusalReason | None) -> tuple[Effect, ...]:
        if refusal is None:
            return ()
        self.refused += 1
        below_db = self._level.below_word_db(self._endpointer.loudness)
        return (SpeechRefused(self._machine.turn_id, refusal, below_db),)

    def _end_utterance(self, at: Samples, reason: EndReason) -> tuple[Effect, ...]:
        effects = self._advance(SpeechEnded(at, self._collector.finish(at, reason)))
        if reason is EndReason.HANGOVER:
            self._go_on_until = Samples(self.now + self._go_on)
            self._rest_level = self._level.rest(self._endpointer.peak)
            self._await_more()
        else:
            self._end_sentence()
        return effects

    def _await_more(self) -> None:
        """Wait for the rest of a sentence: speech about as loud as the wake word."""
        self._is_resumed = False
        self._endpointer.listen(self.now, self._level.demand_of_rest, first=self._rest_level)

    def _resume_sentence(self, at: Samples) -> tuple[Effect, ...]:
        self._is_resumed = True
        self._go_on_until = Samples(max(self._go_on_until, self.now))
        self._collector.resume()
        self._endpointer.begin(self._collector.start, LEAST_SPEECH)
        return self._advance(SpeechResumed(at)) + self._grow()

    def _end_sentence(self) -> None:
        """Drop the sound of the newest utterance: its sentence does not continue."""
        self._go_on_until = Samples(0)
        self._is_resumed = False
        self._collector.forget()

    def _begin_utterance(self, started: SpeechStarted) -> tuple[Effect, ...]:
        self._end_sentence()
        first = self._word.first_sample(started.at, self._pre_roll)
        before = [heard.sent for heard in self._recent.since(first)]
        self._collector.begin(started.at, before)
        apart = LEAST_STOP if self._machine.interrupts_reply else LEAST_SPEECH
        until = Samples((self._machine.deadline or self.now) + GRACE)
        self._endpointer.begin(before[0].start, self._word.least(started.at, apart), until)
        return self._advance(started) + self._grow()

    def _check_deadline(self) -> tuple[Effect, ...]:
        deadline = self._machine.deadline
        if deadline is None or self.now < deadline:
            return ()
        return self._advance(DeadlinePassed(self.now))

    def _advance(self, event: Event) -> tuple[Effect, ...]:
        before = self.state
        now = max(self.now, event.at) if isinstance(event, ListenRequested) else self.now
        effects = self._machine.advance(event, now)
        if self._go_on_until and self.state not in (*_MAY_GO_ON, State.CAPTURING):
            self._end_sentence()
        if isinstance(event, WakeDetected) and self.state is State.LISTENING:
            return effects + self._listen_after_wake(event.at)
        if isinstance(event, ReplyStarted) and not self._machine.turn_id:
            self._level.forget_session()  # an announcement begins another session
        is_asked = isinstance(event, ListenRequested) and self.state is State.LISTENING
        is_follow_up = isinstance(event, ReplyEnded) and self.state is State.FOLLOW_UP
        if is_asked and self.state is not before:
            self._level.forget_session()
            self._listen_without_word(now)
        elif is_follow_up and self.state is not before:
            tail = loudest(self._recent.models_hear(now - REPLY_TAIL))
            self._listen_without_word(Samples(now + self._lag), tail=tail)
        return effects

    def _listen_without_word(self, since: Samples, *, tail: float = 0.0) -> None:
        """Wait for speech about as loud as the last wake word of the session, if there is one.

        Speech that continues without a pause from before ``since`` has to be as loud as ``tail``.
        """
        self._word = NO_WORD
        self._level.expect_no_word()
        self._listen(since, tail=tail)

    def _listen_after_wake(self, at: Samples) -> tuple[Effect, ...]:
        """Start the endpointer in the past: speech may follow the wake word without a pause."""
        self._word = find_word_end(self._recent.models_hear(at - WORD_WINDOW), at)
        before = self._recent.models_hear(at - BEFORE_WORD)
        self._level.note_word(before, at, self._speech_model, played_until=self._played_until)
        self._listen(self._word.silence_from)
        effects: tuple[Effect, ...] = ()
        for heard in self._recent.since(at - RECALL):
            effects += self._find_endpoint(heard)
        return effects

    def _listen(self, since: Samples, *, tail: float = 0.0) -> None:
        self._speech_model.reset()
        first = self._level.first
        self._endpointer.listen(since, self._level.demand, first=first, tail=tail)
