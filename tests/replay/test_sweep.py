"""What other options would have done: rates, the arithmetic of the sweep, and the verb."""

import json
import math
import sys
from pathlib import Path

import pytest

from fakes.recordings import DATA, in_room, recording
from jarvis_ear import cli, config
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.errors import InputError
from jarvis_ear.replay.rates import per_hour, share
from jarvis_ear.replay.recordings import LabelledSound, Span, of_file, read_truth
from jarvis_ear.replay.replayer import Pauses, Replayer, ReplayStep, ReplayTrace
from jarvis_ear.replay.sweep import detections, options_of_sweep, sweep
from jarvis_ear.units import SAMPLE_RATE, STEP_SAMPLES, Samples, samples
from jarvis_ear.wake_ledger.clips import FOLDER, Clip, ClipFolder

PRESENT = config.HearingOptions()
RECORDING = DATA / "hey-jarvis-what-time-is-it.wav"


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (3, 10, 0.1078, 0.6032), (10, 10, 0.7225, 1.0), (0, 0, 0.0, 1.0)],
)
def test_a_share_has_the_interval_of_wilson(count, of, low, high):
    found = share(count, of)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)
    assert math.isnan(found.value) if not of else found.value == count / of


@pytest.mark.parametrize(
    ("count", "low", "high"),  # half of the quantiles of chi-squared, as tables have them
    [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.390), (100, 81.36, 121.63)],
)
def test_events_per_hour_have_the_interval_of_poisson(count, low, high):
    found = per_hour(count, 2.0)
    assert (found.low * 2, found.high * 2) == pytest.approx((low, high), abs=5e-3)
    assert per_hour(count, 0.0).as_json() == {
        "count": count,
        "value": None,
        "low": 0.0,
        "high": None,
    }


def made(name, scores, words, pauses=()):
    """A recording with these scores, one for each step, and one utterance."""
    steps = [
        ReplayStep(Samples(STEP_SAMPLES * (n + 1)), score, n == 0) for n, score in enumerate(scores)
    ]
    inner = [samples(pause_ms) for pause_ms in pauses]
    recording_ = LabelledSound(name, lambda: iter(()), words)
    utterances = [Pauses(Samples(0), inner)]
    return ReplayTrace(recording_, steps, [], [], utterances, Samples(SAMPLE_RATE * 1800))


def test_a_sweep_counts_misses_false_accepts_and_cuts():
    word = (Span(Samples(0), samples(320)),)
    traces = [
        made("sure", [0.1, 0.95, 0.95, 0.1], word, pauses=(650,)),
        made("weak", [0.1, 0.35, 0.1, 0.1], word, pauses=(300,)),
        made("talk", [0.1, 0.65, 0.1, 0.1], ()),
        made("unknown", [0.99, 0.99], None),
    ]
    found = sweep(traces, PRESENT)
    assert (found.words, found.hours) == (2, 1.5)

    def at(threshold, patience=1):
        point = found.at(threshold, patience)
        return point.missed.counted, point.accepts.counted

    assert (at(0.3), at(0.5), at(0.7)) == ((0, 1), (1, 1), (1, 0))
    assert (at(0.5, 2), at(0.3, 2), at(0.5, 3)) == ((1, 0), (1, 0), (2, 0))
    assert found.at(0.5, 1).accepts.value == pytest.approx(1 / 1.5)
    cut = {point.hangover_ms: point.cut.counted for point in found.hangovers}
    assert (cut[400], cut[600], cut[700]) == (1, 1, 0)
    assert found.at(0.35, 1) is found.best_wake(5.0, PRESENT.wake), "a miss costs most"
    best = found.best_wake(0.5, PRESENT.wake)
    assert (best.threshold, best.patience) == (0.7, 1), "the closest to the present options"
    assert found.best_hangover(5.0).hangover_ms == 700
    assert sweep(traces[2:3], PRESENT).best_hangover(5.0) is None


def test_a_sweep_finds_the_words_that_an_ear_with_these_options_finds():
    """For each of 12 voices, at the same sample."""
    every, replayer = of_file(DATA / "hey-jarvis-24-voices.flac", None), Replayer(PRESENT)
    blocks = list(every.blocks())
    voices = LabelledSound(every.name, lambda: iter(blocks[: len(blocks) // 2]), None)
    steps = replayer.hear(voices, options_of_sweep(PRESENT)).steps
    for choice in (
        config.WakeOptions(threshold=0.3),
        config.WakeOptions(threshold=0.9, patience=3),
    ):
        heard = replayer.hear(voices, config.HearingOptions(wake=choice))
        wakes = [event.at for event in heard.events if event.event == "wake"]
        assert detections(steps, choice) == wakes
        assert len(wakes) >= 7


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folders of a user whose ear does not run."""
    for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def printed(capsys, *words):
    assert cli.main(["replay", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_the_sweep_of_labelled_clips_names_the_best_choice(home, capsys):
    word, noise = in_room(1000, recording("hey-jarvis"), 1000), in_room(3000)
    with ClipFolder(home / "jarvis-ear" / FOLDER) as clips:
        for number, (sound, label) in enumerate([(word, True), (noise, False), (noise, None)]):
            time = f"2026-01-0{number + 1}T03:00:00.000+00:00"
            clip = Clip(
                *(f"3fa2000{number}", "wake", time, 0.83, 0.5, "Hey Jarvis", None, None, None),
                *(len(sound) / SAMPLE_RATE, label),
            )
            clips.add(clip, pcm_to_wav(sound.tobytes()))
    found = json.loads(printed(capsys, "--events", "--sweep", "--json"))
    assert (found["words"], found["hours"], found["recordings_unknown"]) == (1, 48.0, 1)
    assert found["best"]["threshold"] == found["present"]["threshold"] == 0.5
    assert found["best"]["missed"] == {"count": 0, "value": 0.0, "low": 0.0, "high": 0.7935}
    assert {"format", "miss_cost", "wake", "hangover"} < set(found)
    text = printed(capsys, "--events", "--sweep", "--miss-cost", "20")
    assert "1 wake words, 48.00 hours" in text
    assert "Best: hearing.wake.threshold = 0.5" in text
    assert "3fa20000: " in printed(capsys, "--events")


def test_the_json_of_a_replay_keeps_its_names(capsys):
    found = json.loads(printed(capsys, RECORDING, "--json", "--threshold", "0.4"))
    assert set(found) == {"format", "threshold", "patience", "hangover_ms", "recordings"}
    assert (found["format"], found["threshold"]) == (1, 0.4)
    [one] = found["recordings"]
    assert set(one) == {"name", "seconds", "best_score", "live_score", "label", "events", "steps"}
    wake, *_, end = one["events"]
    assert set(wake) == {
        *("event", "sample", "s", "heard_at_s", "turn", "word", "score", "second_look"),
        *("verifier", "level_dbfs", "noise_floor_dbfs"),
    }
    assert end == {
        "event": "state",
        "sample": end["sample"],
        "s": end["s"],
        "heard_at_s": end["s"],
        "from": "thinking",
        "to": "idle",
        "why": "reply ended",
    }


def test_a_picture_is_drawn_and_a_missing_package_is_named(tmp_path, capsys, monkeypatch):
    picture = tmp_path / "out.png"
    printed(capsys, RECORDING, "--plot", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert cli.main(["replay", str(RECORDING), "--plot", str(tmp_path / "out.xyz")]) == 66
    assert "expected a name ending in .png" in capsys.readouterr().err

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert cli.main(["replay", str(RECORDING), "--plot", str(picture)]) == 1
    assert "pip install jarvis-ear[plot]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        ((), 64, "expected sound files, or --events"),
        (("a.wav", "--events"), 64, "expected sound files, or --events"),
        (("a.wav", "b.wav", "--plot", "x.png"), 64, "expected one sound file"),
        (("--events", "--truth", "x.csv"), 64, "clips have labels"),
        (("a.wav", "--sweep", "--miss-cost", "much"), 64, "expected a number from 0"),
        (("a.wav", "--sweep"), 66, "it is not known which recordings hold the wake word"),
        (("a.wav",), 66, "a.wav cannot be read: No such file"),
        (("--events",), 66, "there are no clips"),
        (("a.wav", "--swep"), 78, "there is no such option"),
        (("a.wav", "--threshold", "2"), 78, "threshold"),
    ],
)
def test_a_mistake_is_one_clear_error(home, words, status, why, capsys):
    assert cli.main(["replay", *words]) == status
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("file,start,end\n", "line 1: expected the columns file,start_s,end_s"),
        ("file,start_s,end_s\na.wav,1,x\n", "line 2: expected a file and two numbers"),
        ("file,start_s,end_s\na.wav,1,2\na.wav,3,3\n", "line 3: the word ends at 3 s"),
        (b"\xff\xfe", "is not text"),
    ],
)
def test_a_truth_file_with_a_mistake_names_its_line(tmp_path, text, why):
    path = tmp_path / "truth.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=why):
        read_truth(path)


def test_a_truth_file_names_files_by_path_or_last_part(tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text("\ufefffile,start_s,end_s\n\nb.wav,3,4.5\nb.wav,1,2\n")
    truth = read_truth(path)
    words = of_file(Path("/there/b.wav"), truth).words
    assert words == (Span(samples(1000), samples(2000)), Span(samples(3000), samples(4500)))
    assert of_file(Path("c.wav"), truth).words == ()
    assert of_file(Path("c.wav"), None).words is None
