"""The ear on the models that are shipped, and recordings of synthetic voices."""

import itertools

import numpy as np
import pytest

from fakes.hearing import frames_of, hear
from fakes.recordings import (
    COMMAND_STARTS_MS,
    QUESTION,
    Pcm,
    in_room,
    real_ear,
    recording,
    spoken,
    to_pcm,
)
from jarvis_ear.audio.frames import Block, Framer
from jarvis_ear.hearing.events import (
    AbandonTurn,
    Effect,
    Failed,
    ReplyStarted,
    SendUtterance,
    State,
    StateChanged,
    TurnDropped,
    TurnOpened,
)
from jarvis_ear.hearing.utterance import CapturedUtterance, EndReason
from jarvis_ear.units import SAMPLE_BYTES, Samples, samples, seconds

CUTS = range(0, 20 * 97, 97)  # 97 samples: each cut falls elsewhere in a frame and in a step


def hear_all(sound: Pcm) -> list[tuple[Samples, Effect]]:
    """Every effect of ``sound``; a sent utterance fails at once, so that the ear goes on."""
    ear, heard = real_ear(), []
    for frame in frames_of(sound.tobytes()):
        effects = list(ear.hear(frame))
        for effect in effects:
            heard.append((frame.end, effect))
            if isinstance(effect, SendUtterance):
                ear.tell(Failed(effect.turn_id, "test"))
    return heard


def utterances(heard: list[tuple[Samples, Effect]]) -> list[CapturedUtterance]:
    return [effect.utterance for _, effect in heard if isinstance(effect, SendUtterance)]


def wakes(heard: list[tuple[Samples, Effect]]) -> list[int]:
    return [at for at, effect in heard if isinstance(effect, TurnOpened)]


def assert_is_piece_of(utterance: CapturedUtterance, sound: Pcm) -> None:
    """Sample by sample: nothing lost, nothing doubled, nothing moved."""
    kept = np.frombuffer(utterance.pcm, np.int16)
    assert utterance.lost == 0
    assert len(kept) == utterance.end - utterance.start
    different = np.flatnonzero(kept != sound[utterance.start : utterance.end])
    assert len(different) == 0, f"differs from the source first at sample {different[0]}"


@pytest.mark.parametrize("name", COMMAND_STARTS_MS)
def test_every_voice_wakes_the_ear_soon_and_its_command_is_captured_whole(name):
    before = 1000
    sound = in_room(before, recording(name), 2000)
    heard = hear_all(sound)
    [utterance] = utterances(heard)
    [at] = wakes(heard)
    assert_is_piece_of(utterance, sound)
    command = samples(before + COMMAND_STARTS_MS[name])
    assert samples(before) < utterance.start <= command
    assert at <= command + samples(400)
    assert utterance.end > samples(before) + spoken(recording(name))[1]
    assert utterance.reason is EndReason.HANGOVER


@pytest.mark.parametrize("name", ["one-breath-slt", "hey-jarvis-what-time-is-it"])
@pytest.mark.parametrize("cut", CUTS)
def test_in_one_breath_no_sample_is_lost_wherever_the_frames_are_cut(name, cut):
    sound = in_room(700, recording(name), 1500)[cut:]
    [utterance] = utterances(hear_all(sound))
    assert_is_piece_of(utterance, sound)
    assert utterance.start <= samples(700 + COMMAND_STARTS_MS[name]) - cut
    assert utterance.end >= samples(700) - cut + spoken(recording(name))[1]


@pytest.mark.parametrize("cut", [0, 500, 900])
@pytest.mark.parametrize("pause_s", [1, 2, 3])
def test_after_a_pause_the_whole_command_is_one_utterance(pause_s, cut):
    word, command = recording("hey-jarvis"), recording("what-time-is-it")
    sound = in_room(1000, word, 1000 * pause_s, command, 2000)[cut:]
    [utterance] = utterances(hear_all(sound))
    assert_is_piece_of(utterance, sound)
    first, end = spoken(command)
    begins = samples(1000 + 1000 * pause_s) + len(word) - cut
    assert begins - samples(600) <= utterance.start <= begins + first
    assert begins + end <= utterance.end <= begins + end + samples(1200)


@pytest.mark.parametrize("cut", [0, 333, 960])
def test_the_wake_word_alone_sends_nothing_and_is_dropped_after_five_seconds(cut):
    sound = in_room(1000, recording("hey-jarvis"), 8000)[cut:]
    heard = hear_all(sound)
    assert utterances(heard) == []
    [at] = wakes(heard)
    dropped = [(when, effect) for when, effect in heard if isinstance(effect, TurnDropped)]
    assert dropped == [(at + samples(5000), TurnDropped("id1", "DeadlinePassed"))]


def test_a_command_without_the_wake_word_has_no_effect():
    command = recording("what-time-is-it")
    assert hear_all(in_room(1000, command, 500, command)) == []


@pytest.mark.parametrize("level", [0, 1, 8, 300])
def test_an_empty_room_has_no_effect(level):
    assert hear_all(in_room(10_000, floor_rms=level)) == []


def test_a_hum_and_a_click_have_no_effect():
    time = np.arange(samples(10_000)) / 16_000
    sound = 3000 * np.sin(2 * np.pi * 100 * time)
    sound[::8000] += 20_000
    assert hear_all(to_pcm(sound)) == []


@pytest.mark.parametrize("cut", [0, 106, 211])
@pytest.mark.parametrize("pause_ms", [300, 1000, 2500])
def test_a_bare_stop_after_the_wake_word_over_a_reply_is_a_command(pause_ms, cut):
    ear = real_ear()
    hear(ear, in_room(1000, recording(QUESTION), 1200).tobytes())
    ear.tell(ReplyStarted("id1"))
    stop = recording("stop-rms")  # 0.34 s
    sound = in_room(500, recording("hey-jarvis"), pause_ms, stop[slice(*spoken(stop))], 2000)[cut:]
    heard = [effect for _, effect in hear(ear, sound.tobytes())]
    assert AbandonTurn("id1", "WakeDetected") in heard
    assert [type(each) for each in heard].count(SendUtterance) == 1


# Speech that is not the person's


def television(count: int, rms: float, cut: int) -> np.ndarray:
    """Talk without words, all the time, from any place on."""
    names = ("timer-awb", "weather-kal16", "music-kal", "light-rms")
    talk = np.concatenate([recording(name)[slice(*spoken(recording(name)))] for name in names])
    noise = np.roll(np.resize(talk[::-1], count + cut), -cut)[:count].astype(np.float64)
    return noise * (rms / np.sqrt(np.mean(noise**2)))


@pytest.mark.parametrize(
    ("below_db", "cut"), [(20, 0), (20, 17_000), (20, 31_234), (14, 0), (14, 31_234)]
)
def test_the_television_is_not_sent_after_the_wake_word(below_db, cut):
    clean = in_room(6000, recording("hey-jarvis"), 7500).astype(np.float64)
    level = speech_level("hey-jarvis") / 10 ** (below_db / 20)
    heard = hear_all(to_pcm(clean + television(len(clean), level, cut)))
    assert [len(wakes(heard)), len(utterances(heard))] == [1, 0]
    assert sum(isinstance(effect, TurnDropped) for _, effect in heard) == 1


@pytest.mark.parametrize("cut", [0, 17_000, 31_234])
@pytest.mark.parametrize("pause_ms", [0, 1000, 2500])
def test_a_command_beside_the_television_is_sent(pause_ms, cut):
    word, command = recording("hey-jarvis"), recording("what-time-is-it")
    clean = in_room(6000, word, pause_ms, command, 2500).astype(np.float64)
    noise = television(len(clean), speech_level("hey-jarvis") / 10, cut)
    ends = samples(6000 + pause_ms) + len(word) + spoken(command)[1]
    assert any(each.end >= ends for each in utterances(hear_all(to_pcm(clean + noise))))


# Bad microphones and noisy rooms


def at_peak(name: str, dbfs: float) -> float:
    """Gain that brings a recording to this peak; above 0 it is clipped."""
    return float(32768 * 10 ** (dbfs / 20) / np.abs(recording(name).astype(float)).max())


@pytest.mark.parametrize(("dbfs", "floor_rms"), [(-6, 8), (-30, 8), (-50, 1.5)])
def test_a_quiet_microphone_is_heard(dbfs, floor_rms):
    gain = at_peak("one-breath-slt", dbfs)
    sound = in_room(1000, recording("one-breath-slt"), 2000, gain=gain, floor_rms=floor_rms)
    [utterance] = utterances(hear_all(sound))
    assert_is_piece_of(utterance, sound)
    assert utterance.start <= samples(1000 + COMMAND_STARTS_MS["one-breath-slt"])
    assert utterance.end >= samples(1000) + spoken(recording("one-breath-slt"))[1] - samples(100)


def household(count: int, rms: float, seed: int) -> np.ndarray:
    """Noise whose energy falls with the frequency, as that of machines behind walls does."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(0, 1, count))
    noise = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 50), count)
    return noise * (rms / np.sqrt(np.mean(noise**2)))


def speech_level(name: str) -> float:
    """RMS of a recording without its pauses."""
    windows = recording(name)[: len(recording(name)) // 320 * 320].reshape(-1, 320)
    energy = (windows.astype(np.float64) ** 2).mean(axis=1)
    return float(np.sqrt(energy[energy > energy.max() / 100].mean()))


@pytest.mark.parametrize("name", COMMAND_STARTS_MS)
@pytest.mark.parametrize("seed", [1, 2])
def test_in_noise_the_end_comes_within_two_seconds(name, seed):
    clean = in_room(1500, recording(name), 5000, floor_rms=0).astype(np.float64)
    sound = to_pcm(clean + household(len(clean), speech_level(name) / 10**0.5, seed))
    utterance = utterances(hear_all(sound))[0]
    end = samples(1500) + spoken(recording(name))[1]
    assert abs(seconds(utterance.end - end)) < 2
    assert utterance.reason is EndReason.HANGOVER


@pytest.mark.parametrize("name", ["one-breath-slt", "timer-awb", "music-kal"])
def test_clipped_shouting_is_heard(name):
    sound = in_room(1000, recording(name), 2000, gain=at_peak(name, 6))
    assert np.count_nonzero(np.abs(sound.astype(int)) >= 32767) > 300
    assert len(utterances(hear_all(sound))) == 1


# Delivery


def by_blocks(sound: Pcm, lengths: list[int]) -> list[tuple[Samples, Effect]]:
    ear, framer, heard, at = real_ear(), Framer(), [], 0
    pcm = sound.tobytes()
    for length in itertools.cycle(lengths):
        block = Block(Samples(at), pcm[SAMPLE_BYTES * at : SAMPLE_BYTES * (at + length)])
        for frame in framer.push(block):
            heard += [(frame.end, effect) for effect in ear.hear(frame)]
        if block.end >= len(sound):
            return heard
        at += length
    raise AssertionError


@pytest.mark.parametrize("seed", range(5))
def test_the_same_sound_in_any_blocks_has_the_same_effects(seed):
    sound = in_room(800, recording("light-rms"), 1500)
    lengths = np.random.default_rng(seed).integers(1, 5000, 40).tolist()
    whole = hear(real_ear(), sound.tobytes())
    states = [effect.new for _, effect in whole if isinstance(effect, StateChanged)]
    assert states == [State.LISTENING, State.CAPTURING, State.THINKING]
    assert by_blocks(sound, lengths) == whole
