"""The ear on models that read their answers from the sound; the real ones: test_ear_hears.py."""

import itertools
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fakes.hearing import (
    Kind,
    ScriptedEar,
    ScriptedGate,
    ScriptedSpeech,
    ScriptedWake,
    hear,
    written,
)
from jarvis_ear import config
from jarvis_ear.audio.frames import Block, Framer
from jarvis_ear.hearing.ear import Ear
from jarvis_ear.hearing.events import (
    AbandonTurn,
    Effect,
    Failed,
    FollowUp,
    HoldTurn,
    Ignored,
    ListenRequested,
    MicrophoneFound,
    MicrophoneLost,
    MicrophoneSilent,
    Muted,
    RefusalReason,
    ReplyEnded,
    ReplyStarted,
    ResumeTurn,
    SendUtterance,
    SoundEnded,
    SpeechRefused,
    State,
    StateChanged,
    StopSpeaking,
    SupersedeTurn,
    TurnDropped,
    TurnOpened,
    Unmuted,
    UtteranceGrew,
    WakeDetected,
)
from jarvis_ear.hearing.person_level import MOST_GAIN
from jarvis_ear.hearing.turns import TurnMachine
from jarvis_ear.hearing.utterance import CapturedUtterance, EndReason
from jarvis_ear.units import Samples, samples

SILENCE, MURMUR, NOISE, SOFT, VOICE, WORD, STOP = Kind

CALL = (SILENCE, 1000, VOICE, 320, WORD, 80, SILENCE, 700)
COMMAND = (*CALL, VOICE, 1500, SILENCE, 1500)


def utterances(heard: list[tuple[Samples, Effect]]) -> list[CapturedUtterance]:
    return [effect.utterance for _, effect in heard if isinstance(effect, SendUtterance)]


def times(heard: list[tuple[Samples, Effect]], kind: type[Effect]) -> list[int]:
    return [at for at, effect in heard if isinstance(effect, kind)]


def kinds(effects: tuple[Effect, ...]) -> list[type[Effect]]:
    return [type(effect) for effect in effects]


def hear_new(source: bytes, hearing: config.HearingOptions | None = None):
    """Every effect of a new ear that hears this."""
    return hear(ScriptedEar(hearing).ear, source)


@pytest.fixture
def scripted():
    return ScriptedEar()


@pytest.fixture
def capturing(scripted):
    """An ear in the middle of an utterance: 2.1 s heard, the last second of it speech."""
    hear(scripted.ear, written(*CALL[:-1], 500, VOICE, 1000))
    assert scripted.ear.state is State.CAPTURING
    return scripted


def growth(heard) -> list[tuple[Samples, UtteranceGrew]]:
    return [(at, effect) for at, effect in heard if isinstance(effect, UtteranceGrew)]


# One turn


def test_the_wake_word_a_pause_and_a_command_are_one_turn():
    source = written(*COMMAND)
    heard = hear_new(source)
    [utterance] = utterances(heard)
    assert utterance == CapturedUtterance(
        start=samples(2100 - 500),
        speech_start=samples(2100),
        speech_end=samples(3600),
        end=samples(4400),
        pcm=source[2 * samples(1600) : 2 * samples(4400)],
        reason=EndReason.HANGOVER,
        lost=Samples(0),
    )
    assert times(heard, SendUtterance) == [samples(4400)]
    effects = tuple(effect for _, effect in heard if not isinstance(effect, UtteranceGrew))
    assert kinds(effects) == [TurnOpened, StateChanged, StateChanged, SendUtterance, StateChanged]


@pytest.mark.parametrize("growth_ms", [500, 100])
def test_speech_is_handed_over_while_it_grows(growth_ms):
    heard = hear(ScriptedEar(growth_ms=growth_ms).ear, written(*COMMAND))
    [utterance] = utterances(heard)
    grown = growth(heard)
    assert {grew.turn_id for _, grew in grown} == {"id1"}
    handed = b""
    for _, grew in grown:
        assert grew.offset == len(handed)
        handed += grew.pcm
    assert utterance.pcm.startswith(handed)
    assert len(utterance.pcm) - len(handed) < 2 * samples(growth_ms)
    whens = [at for at, _ in grown]
    assert {later - earlier for earlier, later in pairwise(whens)} == {samples(growth_ms)}
    assert whens[0] == times(heard, StateChanged)[1]  # with the pre-roll, when speech begins


def test_speech_that_begins_again_is_handed_over_from_its_beginning(scripted):
    heard = hear(scripted.ear, written(*CALL, VOICE, 120, SILENCE, 1000))
    heard += hear(scripted.ear, written(VOICE, 1000, SILENCE, 1000))
    starts = [grew for _, grew in growth(heard) if grew.offset == 0]
    assert len(starts) == 2
    assert utterances(heard)[0].pcm.startswith(starts[1].pcm)


@given(st.lists(st.sampled_from([SILENCE, NOISE, VOICE, MURMUR]), max_size=10))
def test_without_the_wake_word_nothing_opens(rooms):
    room = [value for kind in rooms for value in (kind, 300)]
    assert hear_new(written(SILENCE, 100, *room)) == []


def test_the_wake_word_alone_is_dropped_when_the_window_is_over():
    heard = hear_new(written(*CALL, SILENCE, 8000))
    [opened] = times(heard, TurnOpened)
    end = Samples(opened + samples(5000))
    assert heard[2:] == [
        (end, TurnDropped("id1", "DeadlinePassed")),
        (end, StateChanged(State.LISTENING, State.IDLE, end, "DeadlinePassed")),
    ]


@pytest.mark.parametrize("sound", [(VOICE, 120), (SILENCE, 800, MURMUR, 600)])
def test_a_cough_or_the_television_after_the_wake_word_is_no_command(scripted, sound):
    """It is discarded, and the person who then speaks is heard, within the same window."""
    assert utterances(hear(scripted.ear, written(*CALL, *sound, SILENCE, 1000))) == []
    assert scripted.ear.state is State.LISTENING
    spoken_at = scripted.ear.now
    [utterance] = utterances(hear(scripted.ear, written(VOICE, 1000, SILENCE, 1000)))
    assert utterance.speech_start == spoken_at


def test_noise_after_the_wake_word_is_no_command():
    heard = hear_new(written(*CALL, NOISE, 6000))
    assert utterances(heard) == []
    assert times(heard, TurnDropped)


def test_a_command_that_never_ends_is_cut_at_the_longest():
    source = written(*CALL, VOICE, 40_000)
    utterance = utterances(hear_new(source))[0]
    assert utterance.reason is EndReason.MAX_LENGTH
    assert utterance.end - utterance.start == samples(28_000)
    assert utterance.pcm == source[2 * utterance.start : 2 * utterance.end]


def test_two_commands_are_two_turns(scripted):
    first = utterances(hear(scripted.ear, written(*COMMAND)))
    assert scripted.speech.resets == 1
    scripted.ear.tell(Failed(scripted.machine.turn_id, "test"))
    second = utterances(hear(scripted.ear, written(*COMMAND)))
    assert [one.speech_start for one in first + second] == [samples(2100), samples(5100 + 2100)]


@pytest.mark.parametrize("hangover_ms", [100, 800])
def test_a_short_command_may_be_over_before_the_word_is_noticed(hangover_ms):
    """A detection may come 480 ms late; an impatient ear has found the end of speech by then."""
    endpointing = config.EndpointingOptions(onset_ms=20, hangover_ms=hangover_ms)
    scripted = ScriptedEar(config.HearingOptions(endpointing=endpointing))
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(0, 900, samples(80)))
    spectrum[: len(spectrum) // 2] = 0
    s = np.fft.irfft(spectrum).clip(-990, 990).astype("<i2").tobytes()
    after = written(VOICE, 280, SILENCE, 100, WORD, 20, SILENCE, 60) + written(SILENCE, 900)
    assert len(utterances(hear(scripted.ear, written(SILENCE, 1000) + s + after))) == 1
    assert scripted.ear.state is State.THINKING


# Delivery


BLOCKS = st.lists(st.integers(1, 9000), min_size=1, max_size=30)
SOURCE = written(
    *CALL, NOISE, 500, VOICE, 900, MURMUR, 300, SILENCE, 900, VOICE, 400, WORD, 80, VOICE, 600
)


def by_blocks(source: bytes, lengths: list[int]) -> list[tuple[Samples, Effect]]:
    """Hear ``source`` as it comes out of a framer that is given such blocks, over and over."""
    ear, framer = ScriptedEar().ear, Framer()
    heard, at = [], 0
    for length in itertools.cycle(lengths):
        if at >= len(source):
            return heard
        for frame in framer.push(Block(Samples(at // 2), source[at : at + 2 * length])):
            heard += [(frame.end, effect) for effect in ear.hear(frame)]
        at += 2 * length
    raise AssertionError


@hypothesis_settings(max_examples=40)
@given(BLOCKS)
def test_the_same_sound_in_any_blocks_has_the_same_effects(lengths):
    assert by_blocks(SOURCE, lengths) == hear_new(SOURCE)


@hypothesis_settings(max_examples=40)
@given(st.integers(0, 400), st.sampled_from([0, 100, 500, 2000]), st.sampled_from([0, 300, 1500]))
def test_an_utterance_is_a_piece_of_the_source_to_the_sample(shift_ms, pre_roll_ms, pause_ms):
    endpointing = config.EndpointingOptions(pre_roll_ms=pre_roll_ms)
    call = (SILENCE, 500 + shift_ms, VOICE, 240, WORD, 60)
    source = written(*call, SILENCE, pause_ms, VOICE, 800, SILENCE, 900)
    hearing = config.HearingOptions(endpointing=endpointing)
    [utterance] = utterances(hear_new(source, hearing))
    assert utterance.pcm == source[2 * utterance.start : 2 * utterance.end]
    begun = samples(800 + shift_ms + pause_ms)
    assert utterance.start <= begun
    assert utterance.end >= begun + samples(800)


# What the wake model hears


def test_the_speech_model_is_loaded_for_a_wake_word_and_freed_a_minute_after_the_last_sound(
    scripted,
):
    states = []
    for sound in (
        written(VOICE, 1000, SILENCE, 6000),
        written(WORD, 80, SILENCE, 6000),
        written(SILENCE, 70_000),
    ):
        hear(scripted.ear, sound)
        states.append(scripted.speech.is_loaded)
    assert states == [False, True, False]


@pytest.mark.parametrize(("quiet_ms", "proofs"), [(4_980, 0), (190_000, 4)])
def test_a_model_hears_nothing_of_a_silent_room_but_a_proof_a_minute(scripted, quiet_ms, proofs):
    hear(scripted.ear, written(SILENCE, quiet_ms))
    assert scripted.wake.stretches == [bytes(2560)] * proofs  # after 5, 65, 125 and 185 s
    assert scripted.ear.proofs == proofs
    assert scripted.ear.score == 0.0


def test_a_model_that_runs_needs_no_other_proof(scripted):
    hear(scripted.ear, written(NOISE, 16_000))
    assert scripted.wake.resets == 1
    assert 198 <= scripted.ear.proofs <= 200  # the last steps wait for a third one


def test_steps_wait_for_each_other_while_no_wake_word_is_near(scripted):
    calls, score = [], scripted.wake.score
    scripted.wake.score = lambda pcm: calls.append(len(pcm) // 2560) or score(pcm)
    hear(scripted.ear, written(NOISE, 2000))
    assert set(calls[1:]) == {3}
    scripted.wake.score = lambda pcm: calls.append(len(pcm) // 2560) or [0.1] * (len(pcm) // 2560)
    hear(scripted.ear, written(NOISE, 2000), start=samples(2000))
    assert set(calls[-20:]) == {1}


@pytest.mark.parametrize(("score", "live"), [(0.001, False), (0.1, True), (float("nan"), False)])
def test_live_sound_is_needed_while_a_wake_word_may_be_under_way(scripted, score, live):
    assert not scripted.ear.needs_live_sound
    scripted.wake.score = lambda pcm: [score] * (len(pcm) // 2560)
    hear(scripted.ear, written(NOISE, 1000))
    assert scripted.ear.needs_live_sound is live
    hear(scripted.ear, written(SILENCE, 5000), start=samples(1000))
    assert not scripted.ear.needs_live_sound


def test_a_wake_word_at_the_end_of_the_sound_is_heard(scripted):
    assert hear(scripted.ear, written(NOISE, 560, WORD, 80)) == []
    assert TurnOpened in kinds(scripted.ear.tell(SoundEnded(scripted.ear.now)))


def test_an_answer_that_is_no_number_is_no_proof(scripted):
    scripted.wake.score = lambda _pcm: [float("nan")]
    hear(scripted.ear, written(SILENCE, 11_000))
    assert scripted.ear.proofs == 0


def test_a_proof_changes_no_effect_that_follows():
    effects = []
    for quiet_ms in (4_800, 5_100):
        scripted = ScriptedEar()
        hear(scripted.ear, written(SILENCE, quiet_ms))
        asked = scripted.wake.resets
        heard = hear(scripted.ear, written(WORD, 400, SILENCE, 1000, VOICE, 600))
        effects.append(kinds(tuple(effect for _, effect in heard)))
        assert scripted.wake.resets == asked + 2
    assert effects[0] == effects[1]


def test_the_heard_and_the_sent_sound_can_differ():
    source = written(*COMMAND)
    [plain] = utterances(hear_new(source))
    hearing = config.HearingOptions(sent=config.SentOptions(gain_db=-6.0))
    [sent] = utterances(hear_new(source, hearing))
    assert (sent.start, sent.end) == (plain.start, plain.end)
    before = np.frombuffer(plain.pcm, np.int16)
    assert np.abs(np.frombuffer(sent.pcm, np.int16) - before * 10 ** (-6 / 20)).max() <= 0.51


@pytest.mark.parametrize(("gain_db", "count"), [(20.0, 1), (-20.0, 0)])
def test_the_gain_of_the_heard_sound_does_not_change_the_sent_sound(gain_db, count):
    hearing = config.HearingOptions(heard=config.HeardOptions(gain_db=gain_db))
    loud = np.frombuffer(written(*COMMAND), np.int16)
    source = (loud // 10 if gain_db > 0 else loud).astype("<i2").tobytes()
    sent = utterances(hear_new(source, hearing))  # none, if too quiet for the scripted models
    assert [one.pcm in source for one in sent] == [True] * count


def test_no_sound_from_before_a_mute_is_sent_after_it(scripted):
    hear(scripted.ear, written(VOICE, 2000))
    scripted.ear.tell(Muted())
    scripted.ear.tell(Unmuted())
    muted_at = scripted.ear.now
    [utterance] = utterances(hear(scripted.ear, written(WORD, 320, VOICE, 600, SILENCE, 1500)))
    assert utterance.start >= muted_at


def test_every_stretch_resets_the_model_and_includes_sound_from_before_the_noise(scripted):
    source = written(SILENCE, 1000, NOISE, 20)
    hear(scripted.ear, source)
    assert scripted.wake.stretches == [source[-2 * samples(320) :]]
    hear(scripted.ear, written(SILENCE, 2000, NOISE, 100, SILENCE, 1000))
    assert scripted.wake.resets == 2


def test_the_verdict_of_the_gate_and_the_score_can_be_shown(scripted):
    for kind in (SILENCE, VOICE, SILENCE):
        hear(scripted.ear, written(kind, 1000))
        assert scripted.ear.speech is (kind is VOICE)
    hear(scripted.ear, written(WORD, 80))
    assert scripted.ear.score == 1.0
    hear(scripted.ear, written(SILENCE, 600))
    assert scripted.ear.score == 0.0


def test_one_word_in_two_stretches_of_sound_is_one_detection():
    """The refractory period outlives the gate."""
    gate = config.GateOptions(hangover_ms=0)
    scripted = ScriptedEar(config.HearingOptions(gate=gate))
    heard = hear(scripted.ear, written(*CALL[:-1], 300, VOICE, 320, WORD, 80))
    assert scripted.wake.resets == 2
    assert len(times(heard, TurnOpened)) == 1


def test_patience_counts_no_steps_from_before_a_reset():
    hearing = config.HearingOptions(
        gate=config.GateOptions(hangover_ms=0, lookback_ms=80), wake=config.WakeOptions(patience=3)
    )
    scripted = ScriptedEar(hearing)
    heard = hear(
        scripted.ear, written(SILENCE, 1000, WORD, 60, SILENCE, 1000, WORD, 20, SILENCE, 200)
    )
    assert scripted.wake.resets == 2
    assert heard == []


# Gaps


@pytest.mark.parametrize(("gap_ms", "resets"), [(20, 2), (0, 1)])
def test_a_gap_resets_the_model(scripted, gap_ms, resets):
    hear(scripted.ear, written(NOISE, 1000))
    hear(scripted.ear, written(NOISE, 240), start=samples(1000 + gap_ms))
    assert scripted.wake.resets == resets
    assert scripted.wake.stretches[1:] == [written(NOISE, 240)] * (resets - 1)


def test_a_gap_in_an_utterance_is_counted(capturing):
    rest = written(VOICE, 300, SILENCE, 1000)
    heard = hear(capturing.ear, rest, start=capturing.ear.now + 500)
    [utterance] = utterances(heard)
    assert utterance.lost == 500
    assert utterance.end - utterance.start == len(utterance.pcm) // 2 + 500
    assert utterance.pcm.endswith(rest[: 2 * samples(1100)])


def test_the_deadline_passes_in_a_gap_too(scripted):
    hear(scripted.ear, written(*CALL))
    heard = hear(scripted.ear, written(SILENCE, 20), start=samples(20_000))
    assert kinds(tuple(effect for _, effect in heard)) == [TurnDropped, StateChanged]


# Events


@pytest.mark.parametrize(
    ("event", "reason", "states"),
    [
        (SoundEnded(samples(3100)), EndReason.SOUND_ENDED, [State.THINKING]),
        (MicrophoneLost(), EndReason.MICROPHONE_LOST, [State.THINKING, State.DEAF]),
        (MicrophoneSilent(), EndReason.MICROPHONE_LOST, [State.THINKING, State.DEAF]),
    ],
)
def test_the_end_of_sound_during_an_utterance_sends_it(capturing, event, reason, states):
    sent, *changes = capturing.ear.tell(event)
    assert isinstance(sent, SendUtterance)
    assert (sent.utterance.reason, sent.utterance.end) == (reason, capturing.ear.now)
    assert [one.new for one in changes if isinstance(one, StateChanged)] == states
    ignored = [one for one in changes if isinstance(one, Ignored)]
    assert len(ignored) == (event == SoundEnded(samples(3100)))


@pytest.mark.parametrize("event", [SoundEnded(Samples(0)), MicrophoneLost(), MicrophoneSilent()])
def test_too_little_speech_is_not_sent_at_the_end_of_sound(scripted, event):
    hear(scripted.ear, written(*CALL, VOICE, 100))
    assert scripted.ear.state is State.CAPTURING
    effects = kinds(scripted.ear.tell(event))
    assert SendUtterance not in effects
    assert TurnDropped in effects


def test_muting_during_an_utterance_drops_it(capturing):
    ear = capturing.ear
    assert kinds(ear.tell(Muted())) == [TurnDropped, StateChanged]
    assert hear(ear, written(VOICE, 1000, SILENCE, 1000, *COMMAND)) == []
    ear.tell(Unmuted())
    assert len(utterances(hear(ear, written(*COMMAND)))) == 1


@pytest.mark.parametrize(
    ("off", "on"),
    [(Muted(), Unmuted())]
    + [(lost(), MicrophoneFound()) for lost in (MicrophoneLost, MicrophoneSilent)],
)
def test_an_ear_that_was_off_knows_nothing_of_that_time(scripted, off, on):
    hear(scripted.ear, written(NOISE, 1000))
    scripted.ear.tell(off)
    hear(scripted.ear, written(VOICE, 2000))
    assert scripted.ear.now == samples(3000)
    scripted.ear.tell(on)
    hear(scripted.ear, written(NOISE, 240))
    before, after = scripted.wake.stretches
    assert written(NOISE, 960).startswith(before)
    assert after == written(NOISE, 240)


def replying(*, lag_ms=0, **hearing) -> Ear:
    """An ear during the reply to a command."""
    ear = ScriptedEar(config.HearingOptions(**hearing), lag=samples(lag_ms)).ear
    hear(ear, written(*COMMAND))
    ear.tell(ReplyStarted("id1"))
    return ear


def test_the_wake_word_interrupts_a_reply():
    ear = replying()
    heard = hear(ear, written(SILENCE, 500, VOICE, 320, WORD, 80))
    effects = kinds(tuple(effect for _, effect in heard))
    assert effects == [HoldTurn, TurnOpened, StateChanged]
    heard = hear(ear, written(SILENCE, 500, VOICE, 900, SILENCE, 900))
    [utterance] = utterances(heard)
    assert utterance.speech_start == samples(5100 + 1400)
    assert times(heard, AbandonTurn) == times(heard, SendUtterance)


def test_a_reply_goes_on_if_nothing_is_said_after_the_wake_word():
    ear = replying()
    heard = hear(ear, written(SILENCE, 500, VOICE, 320, WORD, 80, SILENCE, 6000))
    assert [effect for _, effect in heard if isinstance(effect, ResumeTurn)] == [ResumeTurn("id1")]
    assert times(heard, AbandonTurn) == []
    assert ear.state is State.SPEAKING


# Sentences that go on

HALF = (*CALL, VOICE, 700)


def test_a_sentence_with_a_pause_is_sent_whole_and_supersedes_its_beginning():
    source = written(*HALF, SILENCE, 1300, VOICE, 900, SILENCE, 900)
    heard = hear_new(source)
    half, whole = utterances(heard)
    assert (whole.start, whole.speech_start) == (half.start, half.speech_start)
    assert whole.pcm == source[2 * whole.start : 2 * whole.end]
    assert whole.speech_end == samples(2100 + 700 + 1300 + 900)
    [held] = [effect for _, effect in heard if isinstance(effect, HoldTurn)]
    [superseded] = [effect for _, effect in heard if isinstance(effect, SupersedeTurn)]
    assert held == HoldTurn("id1", goes_on=True)
    assert superseded == SupersedeTurn("id1", by="id3")
    assert times(heard, SupersedeTurn) == [whole.end]
    handed = b"".join(grew.pcm for _, grew in growth(heard) if grew.turn_id == "id3")
    assert whole.pcm.startswith(handed)


def test_a_sentence_may_go_on_more_than_once():
    rest = (SILENCE, 1300, VOICE, 500)
    *_, whole = utterances(hear_new(written(*HALF, *rest, *rest, SILENCE, 900)))
    assert whole.speech_end - whole.speech_start == samples(700 + 2 * 1800)


@pytest.mark.parametrize(("pause_ms", "sent"), [(2200, 2), (2500, 1)])
def test_a_sentence_goes_on_within_the_time_after_its_end_was_called(pause_ms, sent):
    source = written(*HALF, SILENCE, pause_ms, VOICE, 900, SILENCE, 900)
    assert len(utterances(hear_new(source))) == sent


@pytest.mark.parametrize(
    "rest", [(MURMUR, 900), (NOISE, 900), (VOICE, 60)], ids=["quieter", "noise", "short"]
)
def test_other_sound_after_an_utterance_changes_nothing(rest):
    heard = hear_new(written(*HALF, SILENCE, 1200, *rest, SILENCE, 900))
    assert len(utterances(heard)) == 1
    assert times(heard, HoldTurn) == []


def test_a_little_speech_after_an_utterance_holds_its_turn_for_a_moment():
    heard = hear_new(written(*HALF, SILENCE, 1200, VOICE, 120, SILENCE, 900))
    effects = [effect for _, effect in heard if isinstance(effect, HoldTurn | ResumeTurn)]
    assert effects == [HoldTurn("id1", goes_on=True), ResumeTurn("id1")]
    assert len(utterances(heard)) == 1


def test_a_sentence_does_not_go_on_if_that_is_off_or_its_reply_has_begun(scripted):
    off = config.HearingOptions(endpointing=config.EndpointingOptions(go_on_ms=0))
    source = written(*HALF, SILENCE, 1300, VOICE, 900, SILENCE, 900)
    assert len(utterances(hear_new(source, off))) == 1
    hear(scripted.ear, written(*HALF, SILENCE, 1000))
    scripted.ear.tell(ReplyStarted("id1"))
    assert utterances(hear(scripted.ear, written(SILENCE, 200, VOICE, 900, SILENCE, 900))) == []


def test_a_sentence_goes_on_although_its_beginning_was_not_understood(scripted):
    hear(scripted.ear, written(*HALF, SILENCE, 1000))
    scripted.ear.tell(Failed("id1", "not_understood"))
    assert scripted.ear.needs_live_sound
    [whole] = utterances(hear(scripted.ear, written(SILENCE, 300, VOICE, 900, SILENCE, 900)))
    assert whole.speech_end - whole.speech_start == samples(700 + 1300 + 900)


@pytest.mark.parametrize("off", [Muted(), MicrophoneLost()])
def test_a_muted_ear_keeps_nothing_of_the_sentence(scripted, off):
    hear(scripted.ear, written(*HALF, SILENCE, 1000))
    assert scripted.ear.expects_more
    scripted.ear.tell(off)
    assert not scripted.ear.expects_more
    assert scripted.ear._collector._frames == []


# The wake word again

AGAIN = (VOICE, 720, WORD, 80)


@pytest.mark.parametrize("gap_ms", [1600, 2000, 2500])
@pytest.mark.parametrize("pause_ms", [0, 900, 1500])
def test_a_wake_word_that_is_said_twice_begins_one_command(gap_ms, pause_ms):
    said = (SILENCE, 1000, *AGAIN, SILENCE, gap_ms, *AGAIN, SILENCE, pause_ms)
    heard = hear_new(written(*said, VOICE, 900, SILENCE, 900))
    [utterance] = utterances(heard)
    begins = sum(said[1::2])
    assert utterance.speech_end == samples(begins + 900)
    assert abs(utterance.speech_start - samples(begins)) <= samples(100)
    assert [effect.turn_id for _, effect in heard if isinstance(effect, TurnDropped)] == ["id1"]


def test_a_wake_word_in_follow_up_begins_the_command_anew():
    ear = replying(follow_up_ms=8000)
    ear.tell(ReplyEnded("id1"))
    said = (SILENCE, 1500, *AGAIN, SILENCE, 1000)
    [utterance] = utterances(hear(ear, written(*said, VOICE, 900, SILENCE, 900)))
    assert utterance.speech_end - utterance.speech_start == samples(900)


def test_a_wake_word_in_the_middle_of_a_sentence_is_a_part_of_it():
    said = (*CALL, VOICE, 1600, WORD, 80, VOICE, 900)
    heard = hear_new(written(*said, SILENCE, 900))
    [utterance] = utterances(heard)
    assert utterance.speech_end - utterance.speech_start == samples(1600 + 80 + 900)
    [ignored] = [effect for _, effect in heard if isinstance(effect, Ignored)]
    assert isinstance(ignored.event, WakeDetected)


def test_a_wake_word_right_after_a_command_is_not_the_rest_of_it():
    said = (*HALF, SILENCE, 1300, *AGAIN, SILENCE, 900, VOICE, 900, SILENCE, 900)
    heard = hear_new(written(*said))
    half, newer = utterances(heard)
    assert half.speech_end < newer.start
    assert AbandonTurn("id1", "WakeDetected") in [effect for _, effect in heard]


def test_after_a_reply_the_ear_is_idle():
    ear = replying(endpointing=config.EndpointingOptions(onset_ms=20))
    effects = ear.tell(ReplyEnded("id1"))
    assert [effect.new for effect in effects] == [State.IDLE]
    assert hear(ear, written(VOICE, 3000)) == []


def test_a_follow_up_needs_no_wake_word():
    ear = replying(follow_up_ms=8000)
    hear(ear, written(SILENCE, 1000))
    ear.tell(ReplyEnded("id1"))
    source, at = written(SILENCE, 2000, VOICE, 900, SILENCE, 900), ear.now
    [utterance] = utterances(hear(ear, source))
    assert utterance.start == at + samples(1500)
    assert utterance.pcm == source[2 * samples(1500) : 2 * samples(3700)]


@pytest.mark.parametrize("pause_ms", [200, 1000, 4000])
@pytest.mark.parametrize("stop_ms", [160, 240, 400])
def test_a_bare_stop_after_the_wake_word_ends_the_old_reply_for_good(pause_ms, stop_ms):
    ear = replying()
    said = (SILENCE, 500, *AGAIN, SILENCE, pause_ms, VOICE, stop_ms, SILENCE, 900)
    heard = [effect for _, effect in hear(ear, written(*said))]
    [sent] = [effect for effect in heard if isinstance(effect, SendUtterance)]
    assert sent.utterance.speech_end - sent.utterance.speech_start == samples(stop_ms)
    assert AbandonTurn("id1", "WakeDetected") in heard
    assert not any(isinstance(effect, ResumeTurn) for effect in heard)


def test_the_stop_word_stops_a_reply_and_nothing_else():
    said = written(SILENCE, 500, VOICE, 400, STOP, 80, SILENCE, 2000)
    ear = replying()
    heard = [effect for _, effect in hear(ear, said)]
    assert heard[:2] == [StopSpeaking("id1"), AbandonTurn("id1", "Hushed(stop_word)")]
    assert ear.state is State.IDLE
    assert hear(ear, said) == []
    hear(ear, written(*COMMAND))
    assert ear.state is State.THINKING
    hear(ear, said)
    assert ear.state is State.THINKING


@pytest.mark.parametrize("lag_ms", [0, 300, 800])
def test_what_a_late_loudspeaker_still_says_is_no_follow_up(lag_ms):
    ear = replying(lag_ms=lag_ms, follow_up_ms=1000)
    hear(ear, written(VOICE, 1000))
    ear.tell(ReplyEnded("id1"))
    assert hear(ear, written(VOICE, lag_ms, SILENCE, 800)) == []
    assert len(utterances(hear(ear, written(VOICE, 900, SILENCE, 900)))) == 1


def test_a_backend_that_asks_gets_an_answer_without_the_wake_word(scripted):
    hear(scripted.ear, written(*COMMAND))
    scripted.ear.tell(ReplyStarted("id1"))
    scripted.ear.tell(ReplyEnded("id1", FollowUp.ASKED))
    answer = written(SILENCE, 7000, VOICE, 900, SILENCE, 900)
    assert len(utterances(hear(scripted.ear, answer))) == 1


@pytest.mark.parametrize("pause_ms", [0, 200])
def test_a_quiet_voice_is_no_follow_up_to_a_louder_wake_word(pause_ms):
    ear = replying(follow_up_ms=8000)
    ear.tell(ReplyEnded("id1"))
    assert hear(ear, written(SILENCE, pause_ms, MURMUR, 900, SILENCE, 900)) == []
    assert len(utterances(hear(ear, written(VOICE, 900, SILENCE, 900)))) == 1


def asked_and_answered(ear: Ear) -> None:
    """A turn without the wake word, up to its reply."""
    ear.tell(ListenRequested(ear.now))
    hear(ear, written(SILENCE, 500, VOICE, 900, SILENCE, 1500))
    ear.tell(ReplyStarted("id1"))


@pytest.mark.parametrize("pause_ms", [0, 20, 200])
def test_the_tail_of_the_reply_in_the_room_is_no_follow_up(pause_ms):
    """Without a wake word to compare with, quiet speech counts after a pause."""
    ear = ScriptedEar(config.HearingOptions(follow_up_ms=8000)).ear
    asked_and_answered(ear)
    hear(ear, written(VOICE, 1000))
    ear.tell(ReplyEnded("id1"))
    heard = hear(ear, written(SILENCE, pause_ms, MURMUR, 300, SILENCE, 900))
    assert len(utterances(heard)) == (pause_ms > 0)


def test_who_talks_into_the_end_of_the_reply_is_heard_if_the_reply_is_not_louder():
    ear = ScriptedEar(config.HearingOptions(follow_up_ms=8000)).ear
    asked_and_answered(ear)
    hear(ear, written(MURMUR, 1000))
    ear.tell(ReplyEnded("id1"))
    assert len(utterances(hear(ear, written(VOICE, 900, SILENCE, 900)))) == 1


@pytest.mark.parametrize("held_ms", [0, 4000])
def test_a_request_to_listen_counts_from_its_own_time(scripted, held_ms):
    """The sound before it may be on its way still, and does not use up the time for speech."""
    ear, asked = scripted.ear, samples(1000 + held_ms)
    hear(ear, written(SILENCE, 1000))
    opened, changed = ear.tell(ListenRequested(asked))
    assert opened == TurnOpened("id1", "id2", asked, None)
    assert changed.new is State.LISTENING
    assert ear.needs_live_sound
    [utterance] = utterances(hear(ear, written(SILENCE, held_ms + 4800, MURMUR, 900, SILENCE, 900)))
    assert utterance.speech_end - utterance.speech_start == samples(900)


def test_a_request_to_listen_does_not_hear_what_was_said_before_it(scripted):
    ear = scripted.ear
    hear(ear, written(SILENCE, 1000))
    ear.tell(ListenRequested(samples(3000)))
    heard = hear(ear, written(VOICE, 1900, SILENCE, 5080))
    assert [effect for _, effect in heard if isinstance(effect, TurnDropped)] == []
    assert hear(ear, written(SILENCE, 40))[0][1] == TurnDropped("id1", "DeadlinePassed")


def test_a_request_to_listen_in_a_turn_leaves_the_turn_alone(capturing):
    asked = ListenRequested(capturing.ear.now)
    assert capturing.ear.tell(asked) == (Ignored(State.CAPTURING, asked),)
    assert len(utterances(hear(capturing.ear, written(VOICE, 500, SILENCE, 900)))) == 1


def test_speech_during_the_reply_is_no_follow_up():
    ear = replying(follow_up_ms=1000)
    hear(ear, written(VOICE, 1000))
    ear.tell(ReplyEnded("id1"))
    assert utterances(hear(ear, written(SILENCE, 2000))) == []
    assert ear.state is State.IDLE


# Speech that is not the person's


MUMBLE = (SILENCE, 1000, VOICE, 320, WORD, 80, SILENCE, 700, MURMUR, 900, SILENCE, 900)


def refusals(heard: list[tuple[Samples, Effect]]) -> list[SpeechRefused]:
    return [effect for _, effect in heard if isinstance(effect, SpeechRefused)]


def test_speech_much_quieter_than_the_wake_word_is_refused_and_the_ear_listens_on(scripted):
    heard = hear(scripted.ear, written(*MUMBLE))
    assert utterances(heard) == []
    [refusal] = refusals(heard)
    assert (refusal.turn_id, refusal.refusal) == ("id1", RefusalReason.TOO_QUIET)
    assert 16 < refusal.below_word_db < 20
    assert (scripted.ear.refused, scripted.ear.state) == (1, State.LISTENING)
    [utterance] = utterances(hear(scripted.ear, written(VOICE, 900, SILENCE, 900)))
    assert utterance.speech_end - utterance.speech_start == samples(900)


def test_only_refused_speech_ends_the_turn_as_silence_does(scripted):
    heard = hear(scripted.ear, written(*MUMBLE, SILENCE, 5000))
    [opened] = times(heard, TurnOpened)
    assert times(heard, TurnDropped) == [opened + samples(5000)]
    assert scripted.ear.state is State.IDLE


def test_refused_speech_holds_up_a_turn_for_a_second_at_most(scripted):
    """The television goes on: the person hears that nothing was understood."""
    heard = hear(scripted.ear, written(*CALL[:-2], SILENCE, 700, MURMUR, 9000))
    [opened] = times(heard, TurnOpened)
    assert times(heard, TurnDropped) == [opened + samples(5000 + 1000)]
    assert [effect.refusal for effect in refusals(heard)] == [RefusalReason.TOO_QUIET]


def test_speech_no_louder_than_the_television_before_the_wake_word_is_refused():
    call = written(VOICE, 320, WORD, 80, SILENCE, 700)
    soft = written(SOFT, 900, SILENCE, 900)
    assert len(utterances(hear_new(written(SILENCE, 6000) + call + soft))) == 1
    heard = hear_new(written(SOFT, 5000, SILENCE, 1000) + call + soft)
    assert utterances(heard) == []
    assert [effect.refusal for effect in refusals(heard)] == [RefusalReason.TALK]


def test_a_reply_before_the_wake_word_is_no_television(scripted):
    hear(scripted.ear, written(*COMMAND))
    scripted.ear.tell(ReplyStarted("id1"))
    hear(scripted.ear, written(SOFT, 5000, SILENCE, 1000))
    scripted.ear.tell(ReplyEnded("id1"))
    heard = hear(scripted.ear, written(VOICE, 320, WORD, 80, SILENCE, 700, SOFT, 900, SILENCE, 900))
    assert len(utterances(heard)) == 1


# How loud the speech model hears


class Eager(ScriptedWake):
    """Takes everything for the wake word."""

    def score(self, pcm: bytes) -> list[float]:
        return [1.0 for _ in super().score(pcm)]


@pytest.mark.parametrize(
    ("shift", "gain"), [(0, 1.0), (4, 3276.8 / 515), (5, 3276.8 / 257), (12, MOST_GAIN)]
)
def test_a_quiet_speaker_is_amplified_for_the_speech_model(shift, gain):
    """Halving the sound ``shift`` times asks for more gain, up to a limit."""
    hearing = config.HearingOptions(
        gate=config.GateOptions(mode="always"), wake=config.WakeOptions(patience=3)
    )
    speech = ScriptedSpeech()
    machine = TurnMachine(hearing, lambda: "id")
    ear = Ear(hearing, gate=ScriptedGate(), wake=Eager(), speech=speech, machine=machine)
    hear(ear, (np.frombuffer(written(VOICE, 400), "<i2") >> shift).tobytes())
    assert speech.gains[0] == pytest.approx(gain, rel=0.05)
