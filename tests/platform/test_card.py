"""Real PortAudio on a real ALSA card, which exists only in the environment of a child process."""

import itertools
import json
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from fakes.program import run
from fakes.vmic import NEEDS_CARD, vmic
from jarvis_ear.audio.resample import resample
from jarvis_ear.audio.wav import mix, pcm_to_wav

pytestmark = NEEDS_CARD

HERE = Path(__file__).parent
SOON_S = 15.0  # a deadline for things that happen at once, on a machine with other work


def noise(count: int, channels: int | None = None) -> np.ndarray:
    shape = count if channels is None else (count, channels)
    return np.random.default_rng(5).integers(-9000, 9000, shape, dtype=np.int16)


class Capturing:
    """A child process that captures from the card."""

    def __init__(self, card, **environment):
        self._process = subprocess.Popen(
            [sys.executable, HERE / "capture_program.py"],
            env={**card.environment, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._told = queue.Queue()
        self.log = ""
        self._readers = [
            threading.Thread(target=read, daemon=True)
            for read in (self._read_events, self._read_log)
        ]
        for reader in self._readers:
            reader.start()

    def next(self, *wanted: str) -> dict:
        """The next event of one of these kinds; blocks in between are passed over."""
        while True:
            event = self._told.get(timeout=SOON_S)
            if event["what"] in wanted:
                return event
            assert event["what"] == "block", event

    def blocks(self, seconds: float) -> list[tuple[int, np.ndarray]]:
        """Return this many seconds of sound, as (start, samples)."""
        got, samples = [], 0
        while samples < seconds * 16_000:
            event = self.next("block")
            got.append((event["start"], np.frombuffer(bytes.fromhex(event["data"]), "<i2")))
            samples += len(got[-1][1])
        return got

    def stop(self) -> dict:
        self._process.stdin.write("stop\n")
        self._process.stdin.flush()
        event = self.next("stopped")
        assert self._process.wait(SOON_S) == 0
        for reader in self._readers:
            reader.join(SOON_S)
        return event

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            pipe.close()

    def _read_events(self) -> None:
        for line in self._process.stdout:
            self._told.put(json.loads(line))

    def _read_log(self) -> None:
        for line in self._process.stderr:
            self.log += line


@pytest.fixture
def capturing():
    started = []

    def start(card, **environment) -> Capturing:
        started.append(Capturing(card, **environment))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def joined(blocks) -> np.ndarray:
    assert all(
        start + len(pcm) == following for (start, pcm), (following, _) in itertools.pairwise(blocks)
    ), "there is a gap in what should have none"
    return np.concatenate([pcm for _, pcm in blocks])


def test_what_the_card_hears_arrives_bit_by_bit(tmp_path, capturing):
    sound = noise(64_000)
    going = capturing(vmic(tmp_path, sound))
    heard = joined(going.blocks(1.5))
    assert np.array_equal(heard, sound[: len(heard)])
    stopped = going.stop()
    assert stopped["threads"] == ["MainThread"]
    assert stopped["gaps"] == 0


def test_a_card_that_is_pulled_is_lost_at_once_and_found_when_it_is_back(tmp_path, capturing):
    card = vmic(tmp_path, noise(160_000))
    going = capturing(card)
    first = going.blocks(0.3)
    pulled_at = first[-1][0]
    unplugged_at = time.monotonic()  # one clock for all processes
    card.unplug()
    lost = going.next("lost")
    assert "No such device" in lost["reason"]
    assert lost["at"] - unplugged_at < 1.0
    card.plug()
    found = going.next("found")
    start, pcm = going.blocks(0.01)[0]
    outage = (found["at"] - lost["at"]) * 16_000
    assert start - pulled_at > outage  # the time without a card is a gap, not a seam
    assert len(pcm) > 0
    assert going.stop()["threads"] == ["MainThread"]
    assert going.log.count("WARNING") == 1
    assert "is back after" in going.log


def test_a_card_that_stalls_is_lost_within_a_second(tmp_path, capturing):
    card = vmic(tmp_path, noise(160_000))
    going = capturing(card)
    going.blocks(0.3)
    stalled_at = time.monotonic()
    card.stall()
    lost = going.next("lost")
    assert "gave no sound for 500 ms" in lost["reason"]
    assert lost["at"] - stalled_at < 1.0
    card.plug()
    going.next("found")
    going.stop()


def test_an_overrun_is_a_gap_and_the_sound_goes_on(tmp_path, capturing):
    card = vmic(tmp_path, noise(160_000))
    going = capturing(card)
    before = going.blocks(0.3)
    card.overrun()
    after = going.blocks(1.5)
    seams = [
        following - (start + len(pcm))
        for (start, pcm), (following, _) in zip([before[-1], *after], after, strict=False)
    ]
    assert all(seam >= 0 for seam in seams)
    assert sum(seam > 0 for seam in seams) == going.stop()["gaps"] <= 1


def test_a_card_that_knows_only_48_khz_stereo_is_resampled(tmp_path, capturing):
    sound = noise(48_000 * 4, 2)
    going = capturing(vmic(tmp_path, sound, rate=48_000, channels=2))
    heard = joined(going.blocks(1.5))
    going.stop()
    left, both = (resample(pcm, 48_000, 16_000)[: len(heard)] for pcm in (sound[:, 0], mix(sound)))
    error = min(np.abs(heard.astype(int) - pcm).max() for pcm in (left, both))
    assert error <= 1  # PortAudio makes one channel of two: it takes the first, or their mean


@pytest.mark.parametrize(
    ("options", "channel", "expected"),
    [
        ({"sample_format": "S24_3LE"}, "0", lambda pair: pair[:, 0]),
        ({"sample_format": "S32_LE"}, "0", lambda pair: pair[:, 0]),
        ({"sample_format": "FLOAT_LE"}, "0", lambda pair: pair[:, 0]),
        ({"channels": 2}, "1", lambda pair: pair[:, 1]),
        ({"channels": 2}, "mix", mix),
    ],
    ids=["S24_3LE", "S32_LE", "FLOAT_LE", "1", "mix"],
)
def test_a_sample_format_and_a_channel_are_heard(tmp_path, capturing, options, channel, expected):
    pair = noise(32_000, 2)
    card = vmic(tmp_path, pair if "channels" in options else pair[:, 0], **options)
    going = capturing(card, JARVIS_TEST_CHANNEL=channel)
    heard = joined(going.blocks(0.5))
    going.stop()
    error = np.abs(heard.astype(int) - expected(pair)[: len(heard)]).max()
    assert error <= (0 if "channels" in options else 2)  # PortAudio dithers what it makes of floats


def test_a_busy_card_is_tried_again(tmp_path, capturing):
    card = vmic(tmp_path, noise(160_000))
    card.occupy()
    going = capturing(card)
    going.next("lost")
    card.plug()
    assert going.next("found")["at"] > 0
    going.stop()
    assert going.log.count("WARNING") == 1


def play(card, *files, **options) -> list:
    program = [sys.executable, HERE / "reply_program.py", json.dumps(options)]
    done = run([*program, *files], env=card.environment, timeout=30)
    return json.loads(done.stdout)


def test_a_reply_is_heard_bit_by_bit(tmp_path):
    card = vmic(tmp_path, noise(16_000))
    reply = noise(12_000)
    for index, pcm in enumerate((reply[:8000], reply[8000:])):
        (tmp_path / f"{index}.wav").write_bytes(pcm_to_wav(pcm.tobytes()))
    told = play(card, tmp_path / "0.wav", tmp_path / "1.wav")
    assert told[:2] == [["started", "turn"], ["ended", "turn"]]
    played = np.frombuffer(card.played.read_bytes(), "<i2")
    assert np.array_equal(played[: len(reply)], reply)
    assert not played[len(reply) :].any()


@pytest.mark.parametrize("lead_in_ms", [1000, 0])
def test_a_card_that_swallows_its_first_second_loses_nothing_after_a_lead_in(tmp_path, lead_in_ms):
    rate = 48_000
    card = vmic(tmp_path, noise(rate, 2), rate=rate, channels=2, swallow_ms=1000)
    (tmp_path / "0.wav").write_bytes(pcm_to_wav(noise(2 * rate).tobytes(), rate))
    play(card, tmp_path / "0.wav", lead_in_ms=lead_in_ms)
    played = np.frombuffer(card.played.read_bytes(), "<i2").reshape(-1, 2)[:, 0]
    left = noise(2 * rate) if lead_in_ms else noise(2 * rate)[rate:]
    assert np.array_equal(played[: len(left)], left)
    assert not played[len(left) :].any()


def test_the_far_end_tells_when_the_card_plays_each_sample(tmp_path):
    card = vmic(tmp_path, noise(48_000, 2), rate=48_000, channels=2)
    (tmp_path / "0.wav").write_bytes(pcm_to_wav(noise(48_000).tobytes(), 48_000))
    *_, far = play(card, tmp_path / "0.wav")
    offset = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    ends = list(itertools.accumulate(count for _, count in far))
    assert ends[-1] == 16_000
    late = [
        at - offset - card.heard_at(4 * 3 * begin)
        for (at, _), begin in zip(far, [0, *ends], strict=False)
    ]
    assert abs(np.median(late)) < 0.005  # as exact as a machine with other work allows


def test_a_reply_of_22_khz_is_heard_on_a_48_khz_stereo_card(tmp_path):
    card = vmic(tmp_path, noise(48_000, 2), rate=48_000, channels=2)
    (tmp_path / "0.wav").write_bytes(pcm_to_wav(noise(11_025).tobytes(), 22_050))
    play(card, tmp_path / "0.wav")
    played = np.frombuffer(card.played.read_bytes(), "<i2").reshape(-1, 2)
    expected = resample(noise(11_025), 22_050, 48_000)
    assert np.array_equal(played[: len(expected), 0], expected)
