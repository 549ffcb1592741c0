"""Quiet sound is held back, and the ear has the same effects with and without it."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from fakes.recordings import recording
from jarvis_ear.audio.frames import Block, Framer
from jarvis_ear.config import GateOptions, HeardOptions, HearingOptions
from jarvis_ear.devices.microphone import quiet_of
from jarvis_ear.devices.models import EarFactory
from jarvis_ear.devices.openwakeword import OpenWakeWord
from jarvis_ear.devices.quiet_hold import LIVE_S, LOOK_S, QuietHold, SpeechFinder
from jarvis_ear.devices.sound_library import LIVE, Device, Quiet, StreamFailed, Taken
from jarvis_ear.hearing.events import Failed, SendUtterance, TurnOpened
from jarvis_ear.units import Samples

RATE = 16_000
PIECE = RATE // 25
HELD = Quiet(4.0)


def quiet_s(seconds: float, *, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 8, round(RATE * seconds)).astype(np.int16)


def question() -> np.ndarray:
    return recording("hey-jarvis-what-time-is-it")


class Card:
    """A sound card whose time passes only while its reader waits."""

    device = Device(0, "card", "ALSA", 1, 1, RATE)
    rate = RATE
    latency = 1.0

    def __init__(self, sound: np.ndarray, *, channels: int = 1) -> None:
        self.channels = channels
        self._sound = sound
        self.now = 0  # samples that have been captured
        self.read = 0
        self.stalled = False
        self.interrupt_at: int | None = None

    def take(self, least: int, most: int) -> Taken:
        if self.now - self.read < least:
            self._pass(least - (self.now - self.read))
        available = self.now - self.read
        if available < least:
            return Taken()
        count = min(available, most)
        data = self._sound[self.read : self.read + count]
        self.read += count
        if not len(data):
            raise StreamFailed("the end")
        return Taken(np.repeat(data, self.channels).tobytes(), waiting=available - count)

    def pause(self, seconds: float) -> bool:
        self._pass(round(seconds * RATE))
        return self.interrupt_at is not None and self.now >= self.interrupt_at

    def close(self) -> None:
        pass

    def _pass(self, count: int) -> None:
        if not self.stalled:
            self.now = min(len(self._sound), self.now + count)


def blocks(card: Card, quiet: Quiet) -> Iterator[tuple[int, bytes]]:
    """Every piece that is handed over, with the time at which that happens, until the end."""
    hold = QuietHold(card, card.pause)
    hold.hold(quiet)
    while card.read < len(card._sound):
        if taken := hold.take(PIECE, RATE).data:
            yield card.now, taken
        elif card.now == len(card._sound):
            return


def test_the_same_samples_arrive_in_the_same_order():
    sound = np.concatenate((quiet_s(9), question(), quiet_s(11)))
    for quiet in (LIVE, HELD):
        pieces = [data for _, data in blocks(Card(sound), quiet)]
        assert b"".join(pieces)[: len(sound) * 2 - 2 * PIECE] == sound.tobytes()[: -2 * PIECE]


def test_quiet_sound_comes_once_in_four_seconds():
    times = [now / RATE for now, _ in blocks(Card(quiet_s(31)), HELD)]
    held = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len([each for each in held if each > HELD.longest_s - LOOK_S]) >= 6
    assert max(held) <= HELD.longest_s + LOOK_S + 0.05
    assert len([each for each in held if each < 1]) <= LIVE_S / 0.04 + 2


def test_the_first_speech_releases_everything_and_the_pieces_stay_short():
    sound = np.concatenate((quiet_s(10), question(), quiet_s(8)))
    finder, frame = SpeechFinder(RATE, 1, 1, 1.0), RATE // 50
    speech = [
        at + frame
        for at in range(0, len(sound), frame)
        if finder.hear(sound[at : at + frame].tobytes()) and at > 5 * RATE
    ]
    arrived, seen = 0, 0
    for now, data in blocks(Card(sound), HELD):
        arrived += len(data) // 2
        if speech[0] + LOOK_S * RATE < now < speech[-1] + (LIVE_S - LOOK_S) * RATE:
            seen += 1
            assert now - arrived <= LOOK_S * RATE
    assert seen > 10
    assert arrived >= len(sound) - PIECE


@pytest.fixture
def card():
    return Card(quiet_s(20))


@pytest.fixture
def hold(card):
    """A hold that has held quiet sound for some seconds."""
    made = QuietHold(card, card.pause)
    made.hold(HELD)
    while card.now < 8 * RATE:
        made.take(PIECE, RATE)
    return made


def test_sound_is_live_at_once_when_it_is_requested(card, hold):
    card.interrupt_at = card.now + RATE // 2
    before = card.now
    hold.take(PIECE, RATE)
    assert card.now - before <= RATE * (0.5 + LOOK_S)
    hold.hold(LIVE)
    for _ in range(20):
        before = card.now
        assert len(hold.take(PIECE, RATE).data) == 2 * PIECE
        assert card.now - before <= PIECE


def test_a_stall_is_seen_within_a_look(card, hold):
    card.stalled = True
    hold.take(PIECE, RATE)  # the sound from before
    assert hold.take(PIECE, RATE) == Taken()


@pytest.mark.parametrize(
    ("rate", "step"), [(8_000, 1), (16_000, 1), (44_100, 1), (48_000, 1), (96_000, 2)]
)
def test_speech_is_found_at_every_rate(rate, step):
    sound = question()
    times = np.arange(round(len(sound) / RATE * rate)) / rate
    resampled = np.interp(times, np.arange(len(sound)) / RATE, sound).astype(np.int16)
    finder = SpeechFinder(rate, 1, 1, 1.0)
    assert finder._every == step
    assert finder.hear(resampled.tobytes())
    quiet = np.random.default_rng(2).normal(0, 8, rate * 3).astype(np.int16).tobytes()
    adapted = SpeechFinder(rate, 1, 1, 1.0)
    adapted.hear(quiet)
    assert not adapted.hear(quiet)


def test_speech_on_any_channel_counts():
    stereo = np.stack((quiet_s(len(question()) / RATE), question()), axis=1)
    assert SpeechFinder(RATE, 2, 1, 1.0).hear(stereo.astype(np.int16).tobytes())


def test_a_faint_microphone_is_amplified_first():
    sound = np.array([1, -2, 30_000, -30_000], np.int16).tobytes()
    louder = SpeechFinder(RATE, 1, 1, 10.0)._channel(sound, 0)
    assert np.frombuffer(louder, np.int16).tolist() == [10, -20, 32_767, -32_767]


def test_an_open_gate_wants_all_sound_live():
    assert quiet_of(HearingOptions(gate=GateOptions(mode="always"))) == LIVE
    loud = HearingOptions(heard=HeardOptions(gain_db=20.0), gate=GateOptions(aggressiveness=2))
    assert quiet_of(loud) == Quiet(4.0, 2, 10.0)


def effects_of(sound: np.ndarray, quiet: Quiet) -> list[tuple[Samples, str]]:
    """Every effect of the real models, and the sample at which it happens; each turn fails."""
    ear, framer, at = EarFactory().make(HearingOptions()), Framer(), 0
    found = []
    for _, data in blocks(Card(sound), quiet):
        for frame in framer.push(Block(Samples(at), data)):
            for effect in ear.hear(frame):
                found.append((frame.end, type(effect).__name__))
                if isinstance(effect, TurnOpened):
                    found.append((frame.end, f"{effect.score} {effect.second_look}"))
                if isinstance(effect, SendUtterance):
                    found.append((frame.end, str(effect.utterance)))
                    ear.tell(Failed(effect.turn_id, "test"))
        at += len(data) // 2
    return found


def test_the_ear_does_the_same_with_and_without():
    rng = np.random.default_rng(7)
    parts: list[np.ndarray] = []
    for seed in range(8):
        parts += [quiet_s(float(rng.uniform(1, 20)), seed=seed), question()]
    sound = np.concatenate((*parts, quiet_s(6)))
    live = effects_of(sound, LIVE)
    assert len([name for _, name in live if name == "SendUtterance"]) == 8
    assert effects_of(sound, HELD) == live


def test_the_second_look_finds_the_same_with_and_without(monkeypatch):
    score = OpenWakeWord.score
    monkeypatch.setattr(OpenWakeWord, "score", lambda *given: [s * 0.3 for s in score(*given)])
    words = ("light-rms", "weather-kal16", "timer-awb")
    sound = np.concatenate([each for word in words for each in (quiet_s(9.05), recording(word))])
    live = effects_of(sound, LIVE)
    looks = [text for _, text in live if text.startswith("0.") and not text.endswith(" None")]
    assert len(looks) == len(words)
    assert effects_of(sound, HELD) == live
