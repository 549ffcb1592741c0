"""`jarvis-ear mic-check` as a person uses it: a file, a microphone, and beside a running ear."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from fakes.microphones import OneMicrophone
from jarvis_ear import cli, paths
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.config import MicrophoneOptions
from jarvis_ear.control.feed import Feed
from jarvis_ear.control.server import ControlServer
from jarvis_ear.devices import portaudio_process
from jarvis_ear.errors import MicrophoneUnavailable, SpeakerLost
from jarvis_ear.mic_check import command
from jarvis_ear.mic_check.meter import Meter
from jarvis_ear.mic_check.recording import LiveRecording

WAKE = Path(__file__).parents[1] / "data" / "hey-jarvis-what-time-is-it.wav"
CHANNEL = {
    *("rms_dbfs", "peak_dbfs", "noise_floor_dbfs", "loud_dbfs", "snr_db", "clipped_percent"),
    *("offset_percent", "dropouts", "is_dead", "hum"),
}


@pytest.fixture(autouse=True)
def runtime(monkeypatch, tmp_path):
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    monkeypatch.setattr(paths, "SERVICE", tmp_path / "none")
    return folder


def check(*words):
    return cli.main(["mic-check", *words])


def test_a_good_recording_of_the_wake_word(capsys):
    assert check(str(WAKE)) == 0
    out = capsys.readouterr().out
    assert "wake score      0.98, threshold 0.5, detected 1 time\n" in out
    assert out.endswith("This microphone is good.\n")


def test_a_recording_that_ends_with_the_wake_word_has_its_score(capsys):
    assert check("--json", str(WAKE.with_name("hey-jarvis.wav"))) == 0
    assert json.loads(capsys.readouterr().out)["wake"]["detected"] == 1


def test_the_json_has_the_documented_fields(capsys):
    assert check("--json", str(WAKE)) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {
        *("schema", "source", "seconds", "rate", "by_ear", "lost_samples", "channels", "judged"),
        *("wake", "advice", "verdict", "exit_status"),
    }
    assert set(found["judged"]) == CHANNEL
    assert found["channels"] == [found["judged"]]
    assert set(found["wake"]) == {"best_score", "threshold", "detected"}
    assert set(found["advice"][0]) == {"code", "is_fault", "text", "option"}
    assert (found["schema"], found["exit_status"], found["wake"]["detected"]) == (1, 0, 1)
    page = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text()
    assert [name for name in {*found, *CHANNEL, *found["wake"]} if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["/none.wav"], 66, "/none.wav cannot be read: No such file"),
        ([__file__], 66, "is not a WAV file that can be read"),
        ([str(WAKE), "--microphone.channel", "3"], 66, "has no channel 3"),
        (["--seconds", "0"], 64, "expected a whole number from 1 to 120"),
        (["--threshold", "7"], 78, "threshold"),
        (["--seconds"], 64, "expected one argument"),
        (["a.wav", "b.wav"], 64, "expected at most one FILE"),
    ],
)
def test_a_mistake_is_one_line(words, status, complaint, capsys):
    assert check(*words) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err
    assert err.count("\n") == 1


def test_a_recording_is_played_back_or_it_is_said_why_not(monkeypatch, tmp_path, capsys):
    file, played = tmp_path / "a.wav", []
    file.write_bytes(pcm_to_wav((3000 * np.sin(np.arange(32_000) / 5)).astype("<i2").tobytes()))
    monkeypatch.setattr(command, "play_here", lambda _options, wav: played.append(wav))
    check("--play", str(file))
    assert played == [file.read_bytes()]

    def refuse(_options, _wav):
        raise SpeakerLost("there is no loudspeaker")

    monkeypatch.setattr(command, "play_here", refuse)
    assert check("--play", str(file)) == check(str(file))
    assert "there is no loudspeaker" in capsys.readouterr().err


def test_all_channels_of_a_microphone_are_measured_and_the_dead_one_is_named(monkeypatch, capsys):
    sound = np.zeros((40_000, 2))
    sound[:, 1] = np.random.default_rng(3).normal(0, 40, 40_000)
    library = OneMicrophone(sound)
    monkeypatch.setattr(portaudio_process, "for_input", lambda: library)
    assert check("--seconds", "2") == 1
    out = capsys.readouterr().out
    assert "channels           2, 1 dead" in out
    assert 'microphone.channel = "1"' in out
    assert out.count("dBFS  score 0.00") == 2  # no terminal: a line for each second
    assert (library.opened, library.is_closed) == (["mix"], True)


def test_a_microphone_without_sound_ends_the_check():
    clock = iter(range(1000))
    library = OneMicrophone(np.zeros((16_000, 1)), dies_after=1000)
    live = LiveRecording(MicrophoneOptions(), library, lambda: float(next(clock)))
    with pytest.raises(MicrophoneUnavailable, match="gave no sound"):
        list(live.pieces(1))
    assert library.is_closed
    with pytest.raises(MicrophoneUnavailable, match="has 1 channel, the first is 0"):
        LiveRecording(MicrophoneOptions(channel="2"), library)


REPORT = {"state": "idle", "hearing": True, "heard_s_ago": 0.1, "deaf_s_today": 0.0}
REPORT |= {"muted_by": [], "stuck": [], "turns": [], "source": "microphone 'USB'"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"muted_by": ["owner"], "hearing": False}, "muted: jarvis-ear unmute"),
        ({"hearing": False, "deaf_reason": "it gives only zeros"}, "deaf: it gives only zeros"),
    ],
)
def test_a_muted_or_deaf_ear_is_not_measured(runtime, changes, words, capsys):
    with ControlServer(runtime, lambda _word: {**REPORT, **changes}):
        assert check() == 69
    assert words in capsys.readouterr().err


def test_the_microphone_of_a_running_ear_is_not_opened(runtime, monkeypatch, capsys):
    monkeypatch.setattr(portaudio_process, "for_input", lambda: pytest.fail("it is held"))
    feed, frames = Feed(), iter(range(10**6))

    def sample():
        number = next(frames)
        loud = number % 4 == 1
        dbfs = [-20.0 if loud else -60.0] * 5
        feed.put("sound", {"frame": number, "dbfs": dbfs, "score": 0.9 if loud else 0.0})

    with ControlServer(runtime, lambda _word: REPORT, feed, sample):
        assert check("--seconds", "1", "--json") == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["by_ear"], found["channels"]) == (True, [])
    assert (found["judged"]["noise_floor_dbfs"], found["judged"]["loud_dbfs"]) == (-60, -20)
    assert found["wake"]["best_score"] == 0.9
    assert found["wake"]["detected"] >= 1
    assert "dBFS  score" in err


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_one_line_again_and_again():
    out = Terminal()
    meter = Meter(out, 10)
    for tenth in range(5):
        meter.show(tenth / 10, -40.0 if tenth else -8.0, 0.25 * (tenth == 1))
    meter.close()
    lines = out.getvalue().split("\r")[1:]
    assert lines[0] == "[###########################   ]   -8 dBFS  score 0.00  10 s "
    assert lines[-1] == "[###############           |   ]  -40 dBFS  score 0.25  10 s \n"
    assert {len(line.rstrip("\n")) for line in lines} == {len(lines[0])}
