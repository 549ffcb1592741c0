"""People who hesitate, repeat themselves and hear a chime, on the models that are shipped."""

import itertools
from importlib import resources

import numpy as np
import pytest
import soundfile

from fakes.hearing import frames_of
from fakes.recordings import (
    COMMAND_STARTS_MS,
    DATA,
    Pcm,
    in_room,
    real_ear,
    recording,
    spoken,
    to_pcm,
)
from jarvis_ear import config
from jarvis_ear.audio.wav import decode_wav
from jarvis_ear.hearing.events import Effect, ReplyEnded, ReplyStarted, SendUtterance, TurnOpened
from jarvis_ear.hearing.utterance import CapturedUtterance
from jarvis_ear.units import Samples, samples

COMMAND = "what-time-is-it"
VOICES = ("hey-jarvis", *COMMAND_STARTS_MS)


def word_of(voice: str) -> Pcm:
    """The wake word of a recording, without the command."""
    sound = recording(voice)
    if voice in COMMAND_STARTS_MS:
        sound = sound[: samples(COMMAND_STARTS_MS[voice])]
    first, end = spoken(sound)
    return sound[first:end]


def hear_all(sound: Pcm, ear=None) -> list[tuple[Samples, Effect]]:
    ear = ear or real_ear()
    return [
        (frame.end, effect)
        for frame in frames_of(sound.tobytes(), ear.now)
        for effect in ear.hear(frame)
    ]


def utterances(heard: list[tuple[Samples, Effect]]) -> list[CapturedUtterance]:
    return [effect.utterance for _, effect in heard if isinstance(effect, SendUtterance)]


def halves(command: Pcm) -> tuple[Pcm, Pcm]:
    """Cut a command at the quietest moment of its middle third."""
    third = len(command) // 3
    energy = np.convolve(command.astype(np.float64) ** 2, np.ones(640), "valid")
    cut = third + int(energy[third : 2 * third].argmin()) + 320
    return command[:cut], command[cut:]


@pytest.mark.parametrize("pause_ms", [600, 800, 1000, 1500, 2000])
@pytest.mark.parametrize("voice", ["hey-jarvis", "timer-awb"])
def test_a_command_with_a_pause_in_its_middle_arrives_whole(voice, pause_ms):
    first, second = halves(recording(COMMAND)[slice(*spoken(recording(COMMAND)))])
    sound = in_room(1000, word_of(voice), 600, first, pause_ms, second, 2600)
    command = samples(1000) + len(word_of(voice)) + samples(600)
    end = command + len(first) + samples(pause_ms) + len(second)
    *halved, whole = utterances(hear_all(sound))
    assert len(halved) <= 1
    assert whole.start <= command
    assert end <= whole.end <= end + samples(900)
    assert all(half.start == whole.start for half in halved)


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize(("gap_ms", "pause_ms"), [(1500, 900), (2000, 1500), (2500, 1200)])
def test_a_wake_word_that_is_said_twice_does_not_lose_the_command(voice, gap_ms, pause_ms):
    word, command = word_of(voice), recording(COMMAND)
    sound = in_room(1000, word, gap_ms, word, pause_ms, command, 2600)
    begins = samples(1000 + gap_ms + pause_ms) + 2 * len(word)
    first, end = spoken(command)
    *_, newest = utterances(hear_all(sound))
    assert newest.start <= begins + first
    assert newest.end >= begins + end


@pytest.mark.parametrize("voice", VOICES)
def test_a_wake_word_in_follow_up_does_not_lose_the_command(voice):
    ear = real_ear(config.HearingOptions(follow_up_ms=8000))
    word, command = word_of(voice), recording(COMMAND)
    sent = [e for _, e in hear_all(in_room(1000, word, 900, command, 2600), ear)]
    [turn] = {effect.turn_id for effect in sent if isinstance(effect, SendUtterance)}
    ear.tell(ReplyStarted(turn))
    ear.tell(ReplyEnded(turn))
    since = ear.now + samples(1000) + len(word) + samples(1000)
    heard = hear_all(in_room(1000, word, 1000, command, 2600, seed=1), ear)
    *_, newest = utterances(heard)
    first, end = spoken(command)
    assert newest.start <= since + first
    assert newest.end >= since + end


@pytest.mark.parametrize("voice", COMMAND_STARTS_MS)
def test_the_chime_in_the_microphone_does_not_spoil_a_command_in_one_breath(voice):
    """As loud as the person, at the moment of the detection."""
    sound = in_room(1000, recording(voice), 2600)
    plain = hear_all(sound)
    at = next(when for when, effect in plain if isinstance(effect, TurnOpened))
    [expected] = utterances(plain)
    chime = chime_as_loud_as(recording(voice))
    mixed = sound.astype(np.float64)
    late = samples(60)  # until it leaves the loudspeaker
    mixed[at + late : at + late + len(chime)] += chime
    [utterance] = utterances(hear_all(to_pcm(mixed)))
    assert utterance.start <= samples(1000 + COMMAND_STARTS_MS[voice])
    assert abs(utterance.end - expected.end) <= samples(300)


def test_the_chime_alone_is_no_command():
    word = word_of("hey-jarvis")
    sound = in_room(1000, word, 8000)
    at = next(when for when, effect in hear_all(sound) if isinstance(effect, TurnOpened))
    mixed = sound.astype(np.float64)
    chime = chime_as_loud_as(word)
    mixed[at + samples(60) : at + samples(60) + len(chime)] += chime
    assert utterances(hear_all(to_pcm(mixed))) == []


def chime_as_loud_as(speech: Pcm) -> np.ndarray:
    """The wake sound, at the level of the loud parts of speech."""
    file = resources.files("jarvis_ear") / "sounds" / "wake.wav"
    chime = decode_wav(file.read_bytes(), max_seconds=1).mono().astype(np.float64)
    loud = np.abs(speech[np.abs(speech) > np.abs(speech).max() / 10].astype(np.float64))
    return chime * np.sqrt((loud**2).mean()) / np.sqrt((chime**2).mean())


def test_the_voices_are_different_recordings():
    words = [word_of(voice).tobytes() for voice in VOICES]
    assert all(one != other for one, other in itertools.combinations(words, 2))


PLACE = 24_000
"""Samples of each voice in the file of the wake words, 1.5 s."""

TIMINGS = ((1500, 900), (2000, 1500), (2500, 1200))


def word_of_voice(number: int) -> Pcm:
    """The wake word in one of 24 voices of espeak-ng, festival, flite, pico and RHVoice."""
    sound, _ = soundfile.read(DATA / "hey-jarvis-24-voices.flac", dtype="int16")
    return sound[number * PLACE : (number + 1) * PLACE]


@pytest.mark.parametrize("number", range(24))
def test_24_voices_that_repeat_themselves_do_not_lose_the_command(number):
    gap_ms, pause_ms = TIMINGS[number % 3]
    word, command = word_of_voice(number), recording(COMMAND)
    word = word[slice(*spoken(word))]
    sound = in_room(1000, word, gap_ms, word, pause_ms, command, 2600)
    begins = samples(1000 + gap_ms + pause_ms) + 2 * len(word)
    first, end = spoken(command)
    heard = hear_all(sound)
    *_, newest = utterances(heard)
    assert newest.start <= begins + first
    assert newest.end >= begins + end
