"""`jarvis-ear calibrate`: what it measures, recommends and writes, guided and from files."""

import json
import sys

import numpy as np
import pytest
import soundfile

from fakes.recordings import in_room, recording
from jarvis_ear import cli, config
from jarvis_ear.audio.frames import Block
from jarvis_ear.calibration import command, session
from jarvis_ear.calibration.loudspeaker import chirp, find_chirp, lag_ms
from jarvis_ear.calibration.options_file import write_options
from jarvis_ear.delivery.playback import Playback
from jarvis_ear.devices.sample_clock import SampleClock
from jarvis_ear.errors import ConfigError, InputError, MicrophoneBusy
from jarvis_ear.units import SAMPLE_RATE, Samples, samples

WORD = recording("hey-jarvis")
COMMAND = recording("what-time-is-it")


def noisy_chirp(delay_ms, *, gain, noise=100.0, echo_ms=0):
    """Two seconds of a microphone that hears the chirp, and its echo in the room."""
    sound = np.random.default_rng(1).normal(0, noise, 2 * SAMPLE_RATE)
    at, heard = samples(delay_ms), chirp() * 8192 * gain
    sound[at : at + len(heard)] += heard
    end = at + len(heard)
    sound[end : end + samples(echo_ms)] += 1000 * np.sign(np.sin(np.arange(samples(echo_ms))))
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("delay_ms", [0, 37, 500, 1500])
@pytest.mark.parametrize("gain", [0.1, 1.0])
def test_a_chirp_is_found_to_the_sample(delay_ms, gain):
    found = find_chirp(noisy_chirp(delay_ms, gain=gain))
    assert abs(found.at - samples(delay_ms)) <= 1
    assert found.tail == 0


def test_noise_is_no_chirp_and_an_echo_is_measured():
    assert find_chirp(noisy_chirp(300, gain=0)) is None
    assert find_chirp(np.zeros(100, np.int16)) is None
    found = find_chirp(noisy_chirp(300, gain=1, echo_ms=400))
    assert found.tail == pytest.approx(samples(400), abs=samples(40))


@pytest.mark.parametrize(
    ("delay_ms", "tail_ms", "lag"), [(10, 200, 0), (121, 0, 130), (0, 500, 200), (9000, 0, 2000)]
)
def test_the_lag_covers_delay_and_a_long_echo(delay_ms, tail_ms, lag):
    assert lag_ms(samples(delay_ms), samples(tail_ms)) == lag


class LateSpeaker:
    """A loudspeaker that is heard 150 ms after it says so."""

    problem = ""

    def __init__(self, _options, *, on_ended, on_heard, on_far, **_others):
        self._on_ended, self._on_heard, self._on_far = on_ended, on_heard, on_far

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def play(self, *_chunk):
        source.chirp_at = source.now + 0.5 + 0.15
        self._on_far(b"\0\0", source.now + 0.5)

    def finish(self, name):
        self._on_heard(name, Playback(audible=True))
        self._on_ended(name)


class RoomSource:
    """A microphone whose time passes as it is read."""

    name, live = "room", True

    def __init__(self):
        self.now, self.position, self.chirp_at = 50.0, Samples(0), None

    def read(self):
        count = samples(40)
        sound = np.zeros(count)
        if self.chirp_at is not None:
            start = round((self.chirp_at - self.now) * SAMPLE_RATE)
            heard = np.concatenate([np.zeros(max(0, start)), chirp() * 3000])[max(0, -start) :]
            part = heard[:count]
            sound[: len(part)] += part
        block = Block(self.position, sound.astype("<i2").tobytes())
        self.now += count / SAMPLE_RATE
        self.position = block.end
        return block


def test_a_late_loudspeaker_is_measured(monkeypatch):
    global source  # noqa: PLW0603 - the loudspeaker and the microphone share one room
    source = RoomSource()
    clock = SampleClock(now=lambda: source.now)
    monkeypatch.setattr(session, "Speaker", LateSpeaker)
    found = session.measure_lag(session.Recorder(source, clock), clock, config.SpeakerOptions())
    assert found.chirps == 3
    assert found.delay == pytest.approx(samples(150), abs=2)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Recordings: two near words, two far commands, and a room; and all of it in one file."""
    folder = tmp_path_factory.mktemp("sounds")
    near = [in_room(1200, WORD, 4000, seed=n)[: samples(4000)] for n in range(2)]
    far = [
        in_room(1200, WORD, 200, COMMAND, 8000, gain=0.1, seed=n)[: samples(8000)] for n in (2, 3)
    ]
    room = in_room(2000, COMMAND, 5000)[: samples(6000)]
    for name, parts in {
        "near": near,
        "far": far,
        "room": [room],
        "all": [*near, *far, room],
        "faint": [(part * 0.004).astype(np.int16) for part in near],
    }.items():
        soundfile.write(folder / f"{name}.wav", np.concatenate(parts), SAMPLE_RATE)
    return folder


@pytest.fixture
def options(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("[hearing.wake]\nthreshold = 0.95  # for the television\n")
    path.chmod(0o640)
    return path


def calibrate(*words, status=0):
    assert cli.main(["calibrate", *map(str, words)]) == status


def given(sounds, *names):
    return [word for name in names for word in (f"--{name}", sounds / f"{name}.wav")]


def test_it_recommends_from_files_and_writes_when_told_to(sounds, options, capsys):
    files = (*given(sounds, "near", "far", "room"), "--config", options)
    calibrate(*files, "--json")
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {
        *("format", "words", "hours", "utterances", "word_level_dbfs", "noise_dbfs"),
        *("clipped_percent", "present", "best", "advice", "changes", "loudspeaker", "file"),
        "microphones",
    }
    assert (found["words"], found["hours"], found["file"]) == (4, 0.0017, str(options))
    assert found["present"]["missed"]["count"] >= 1
    assert found["best"]["missed"]["count"] == 0
    [change] = found["changes"]
    assert change == {
        "key": "hearing.wake.threshold",
        "old": 0.95,
        "new": 0.5,
        "why": "it costs least",
    }
    assert "0.95" in options.read_text(), "nothing is written without consent"
    calibrate(*files, "--yes")
    said = capsys.readouterr()
    assert "+ hearing.wake.threshold = 0.5" in said.out
    assert options.read_text() == "[hearing.wake]\nthreshold = 0.5  # for the television\n"
    assert options.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(("answer", "threshold"), [("y\n", "0.5"), ("\n", "0.95")])
def test_it_guides_a_person_and_asks_before_it_writes(  # noqa: PLR0917 - fixtures
    sounds, options, capsys, monkeypatch, answer, threshold
):
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    source_ = ("--input", sounds / "all.wav", "--fast", "--config", options)
    calibrate(*source_, "--words", "4", "--minutes", "0.1")
    said = capsys.readouterr()
    assert f"threshold = {threshold} " in options.read_text()
    assert said.err.count("now\n") == 4
    assert "missed, best score 0.9" in said.err
    assert f"Write this into {options}? [y/N]" in said.err
    assert "heard: 4 wake words, 0.1 minutes of the room" in said.out


def test_a_word_that_two_times_share_is_counted_as_it_was_judged(tmp_path, capsys):
    """Its last syllable comes after the end of the first time: it is missed in both."""
    late = in_room(3500, WORD, 4000)[: samples(8000)]
    far = [in_room(1200, WORD, 8000)[: samples(8000)]] * 2
    soundfile.write(tmp_path / "late.wav", np.concatenate([late, *far]), SAMPLE_RATE)
    given_ = ("--input", tmp_path / "late.wav", "--fast", "--words", "4", "--minutes", "0")
    calibrate(*given_, "--json")
    said = capsys.readouterr()
    assert said.err.count("missed, best score") == 2
    assert json.loads(said.out)["present"]["missed"]["count"] == 2


class Terminal:
    """A terminal at which somebody answers once."""

    def __init__(self, answer):
        self._answer = answer

    def isatty(self):
        return True

    def readline(self):
        return self._answer


def test_faint_words_get_a_gain(sounds, options, capsys):
    calibrate(*given(sounds, "room"), "--near", sounds / "faint.wav", "--config", options, "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["word_level_dbfs"] < -50
    changed = {change["key"]: change["new"] for change in found["changes"]}
    assert changed.get("hearing.heard.gain_db", 0) >= 6 or found["advice"]


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (("--words", "1"), 64, '--words: "1": expected a number from 2 to 100'),
        (("--minutes", "many"), 64, "expected a number from 0"),
        (("a.wav",), 78, "expected an option"),
        (("--near", "gone.wav"), 66, "gone.wav cannot be read"),
        (("--input", "ALL", "--fast"), 66, "ends before the calibration is over"),
    ],
)
def test_a_mistake_is_one_clear_error(sounds, words, status, why, capsys):
    calibrate(*(sounds / "near.wav" if word == "ALL" else word for word in words), status=status)
    assert why in capsys.readouterr().err


def test_a_microphone_that_the_running_ear_holds_is_named(monkeypatch, capsys):
    class Held(RoomSource):
        def open(self):
            raise MicrophoneBusy("microphone 'usb' is held by jarvis-ear")

        def close(self):
            pass

    monkeypatch.setattr(command, "make_source", lambda _options: Held())
    calibrate(status=69)
    assert "held by jarvis-ear; stop the running ear first" in capsys.readouterr().err


def test_a_file_that_cannot_be_edited_is_refused(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("hearing = {wake = {threshold = 0.9}}\n")
    with pytest.raises(ConfigError, match="write the values yourself"):
        write_options(path, {"hearing.wake.threshold": 0.5})
    with pytest.raises(InputError, match="cannot be written"):
        write_options(tmp_path / "gone" / "config.toml", {"hearing.wake.threshold": 0.5})
    assert sorted(each.name for each in tmp_path.iterdir()) == ["config.toml"]
