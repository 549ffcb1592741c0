"""The wake head is trained alike every time, and judged on what it never heard."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from bench.sound import chance

from jarvis_ear.devices.openwakeword import OpenWakeWord
from jarvis_ear.devices.wake_head import WakeHead
from wake_head import features, judging, network, phrases, recordings, rooms, scenes, voices

DATA = Path(__file__).parents[1] / "data"
WORD_ENDS = 20 * 1280
SHORT = {"rounds": 2, "batches": 15}
BALANCED = judging.verified(-2.0, 2.0)


def heard(kind=scenes.POSITIVE, name=0, *, steps=40, scores=None) -> features.Heard:
    """Random embeddings; those of a word differ around its end, and its score is high there."""
    random = chance(kind, name)
    embeddings = random.standard_normal((steps + 15, 96))
    found = np.zeros(steps, np.float32) if scores is None else np.float32(scores)
    if kind == scenes.POSITIVE:
        embeddings[30:36] += 2
    return features.Heard(kind, "made", "clean", 8000, WORD_ENDS, np.float16(embeddings), found)


def a_training() -> list[features.Heard]:
    kinds = (scenes.POSITIVE, scenes.NEAR, scenes.OTHER, scenes.NAME, scenes.ORDINARY)
    return [heard(kind, name) for kind in kinds for name in range(6)]


@pytest.fixture(scope="module")
def head():
    return network.train(a_training(), 1, **SHORT)


def test_the_same_scenes_and_seed_give_the_same_head(head):
    again = network.train(a_training(), 1, **SHORT)
    other = network.train(a_training(), 2, **SHORT)
    windows = heard().windows()
    assert np.array_equal(again.logits(windows), head.logits(windows))
    assert not np.allclose(other.logits(windows), head.logits(windows))


def test_a_head_learns_where_the_word_is(head):
    new = [judging.Judged(heard(kind, "new"), head.logits(heard(kind, "new").windows()))
           for kind in (scenes.POSITIVE, scenes.NEAR)]  # fmt: skip
    word, near = (each.logits.max() for each in new)
    assert word > near + 1


def test_scores_of_the_pretrained_head_teach_nothing(head):
    random = chance("scores")
    scored = [replace(each, scores=np.float32(random.random(40))) for each in a_training()]
    again = network.train(scored, 1, **SHORT)
    assert np.array_equal(again.hidden, head.hidden)


def test_a_written_head_is_that_of_the_ear(head, tmp_path, monkeypatch):
    path = tmp_path / "models" / "hey_jarvis_head.npz"
    path.parent.mkdir()
    head.write(path)
    first = path.read_bytes()
    head.write(path)
    assert path.read_bytes() == first
    monkeypatch.setattr("jarvis_ear.devices.wake_head._content", path.read_bytes)
    windows = heard().windows()
    logits = [WakeHead().logit(window) for window in windows]
    assert logits == pytest.approx(network.read(path).logits(windows), abs=1e-3)
    assert logits == pytest.approx(head.logits(windows), abs=0.05)


def test_scenes_are_read_again_and_only_missing_ones_are_made(tmp_path):
    made = []

    def make(number):
        made.append(number)
        sound = np.int16(chance(number).normal(0, 300, 1280 * 3))
        return scenes.Scene(scenes.NEAR, "made", f"room {number}", sound, 0, 2000 + number)

    networks = features.Networks()
    first = list(features.heard(scenes.Series("near", 3, make), tmp_path, networks))
    again = list(features.heard(scenes.Series("near", 2, make), tmp_path, networks))
    assert made == [0, 1, 2]
    assert [each.ends for each in first] == [2000, 2001, 2002]
    assert [each.room for each in again] == ["room 0", "room 1"]
    assert all(
        np.array_equal(a.embeddings, b.embeddings) for a, b in zip(first, again, strict=False)
    )
    assert [each.embeddings.shape for each in first] == [(18, 96)] * 3
    assert len(list(features.heard(scenes.Series("near", 4, make), tmp_path, networks))) == 4


def test_the_networks_hear_what_the_ear_hears():
    sound = soundfile.read(DATA / "hey-jarvis.wav", dtype="int16")[0]
    sound = sound[: len(sound) // 1280 * 1280]
    _, scores = features.Networks().hear(sound)
    assert scores == pytest.approx(OpenWakeWord().score(sound.tobytes()), abs=1e-3)


SIDES = ("training", "development", "judging")


def test_no_voice_or_phrase_is_on_two_sides():
    purposes = [*SIDES, *(f"{side} ordinary" for side in SIDES)]
    variants = [name for purpose in purposes for name in voices.ESPEAK[purpose]]
    assert len(variants) == len(set(variants))
    people = [voices.FLITE[side] + voices.FLITE[f"{side} ordinary"] for side in SIDES]
    assert sum(len(set(names)) for names in people) == len(set().union(*people))
    near = (phrases.NEAR_TRAINING, phrases.NEAR_DEVELOPMENT, phrases.NEAR_JUDGING)
    assert sum(map(len, near)) == len(set().union(*near))


def manifest_of(folder: Path, rows: list[tuple[str, str, str, str]]) -> recordings.Recordings:
    lines = ["file,label,source,licence,seconds,said"]
    lines += [
        f'{file},{label},"{source}",{licence},1.0,text' for file, label, source, licence in rows
    ]
    (folder / "MANIFEST.csv").write_text("\n".join(lines) + "\n")
    return recordings.Recordings(folder)


SPLICE = """""hey"" p/h{n}.wav + ""jarvis"" w/j.wav"""


def test_recordings_of_one_speaker_are_on_one_side(tmp_path):
    kinds = (
        ("neg_speech", "x/19-{n}-0001.flac"),
        ("neg_precise", "p/not-wakeword-es-{n}.wav"),
        ("amb_synth", "TTS espeak voice=en-us+m3 a=1"),
        ("pos_spliced_real", SPLICE),
        ("neg_nearmiss_hey_real", "p/h{n}.wav"),
    )
    rows = [(f"{n}.wav", label, of.format(n=n), "CC0") for label, of in kinds for n in range(8)]
    found = manifest_of(tmp_path, rows)._all
    assert len({each.side for each in found[:8]}) == 1
    assert len({each.side for each in found[8:16]}) == 1
    assert {each.side for each in found[16:24]} == {"judging"}
    spliced, plain = found[24:32], found[32:]
    assert [each.side for each in spliced] == [each.side for each in plain]
    assert len({each.side for each in spliced}) > 1


def test_training_takes_only_recordings_whose_licence_allows_it(tmp_path):
    licences = ["MIT (repo)", "CC0", "CC BY-NC 4.0 only", "all rights reserved", "unknown"]
    rows = [(f"{n}.wav", "neg_speech", f"x/{n}.wav", each) for n, each in enumerate(licences)]
    found = manifest_of(tmp_path, rows)._all
    assert [each.trainable for each in found] == [True, True, False, False, False]


def test_a_scene_has_the_word_where_it_says():
    noises = rooms.Noises([], [1000 * np.sin(np.arange(48_000) / 9)], chance("noises"))
    speech = np.concatenate((np.zeros(100), 5000 * np.sin(np.arange(8000) / 7)))
    for room, length in ((rooms.CLEAN, 8100), (rooms.Room(semitones=12), 4050)):
        sound, faster = rooms.play(speech, room, noises, chance("play"), lead=16_000, tail=8_000)
        loud = np.flatnonzero(np.abs(sound) > 500)
        assert loud[-1] == pytest.approx(16_000 + len(speech) / faster, abs=200)
        assert len(speech) / faster == pytest.approx(length, abs=2)


def test_rules_join_scores_and_logits_of_the_last_steps():
    scores, logits = np.full(40, 0.01, np.float32), np.full(40, -9, np.float32)
    scores[20], logits[18] = 0.9, 1.0
    scene = judging.Judged(heard(scores=scores), logits)
    assert scene.found(judging.today()) == pytest.approx(0.08)
    assert scene.found(judging.verified(0)) == pytest.approx(0.08)
    assert scene.found(judging.verified(2)) is None
    logits[[18, 21]] = -9, 1.0  # one step after the score: a decision one step later
    assert scene.found(judging.verified(0)) == pytest.approx(0.16)
    logits[[21, 22]] = -9, 1.0  # two steps: too late
    assert scene.detections(judging.verified(0)) == []


def test_a_sure_head_makes_up_for_a_low_score():
    scores, logits = np.full(40, 0.01, np.float32), np.full(40, -9, np.float32)
    scores[20], logits[20] = 0.2, 4.5  # a logit of -1.39
    scene = judging.Judged(heard(scores=scores), logits)
    assert scene.found(judging.today()) is None
    assert scene.found(judging.verified(0)) is None
    assert scene.found(judging.verified(0, 3)) == pytest.approx(0.08)
    assert scene.found(judging.verified(0, 3.2)) is None
    assert scene.found(judging.verified(5, 3)) is None


def test_the_interval_of_a_share_is_that_of_wilson():
    low, high = judging.interval(9, 10)
    assert (low, high) == (pytest.approx(59.6, abs=0.1), pytest.approx(98.2, abs=0.1))
    assert judging.interval(0, 0) == (0.0, 100.0)
    assert judging.share(0, 3) == "0 of 3 = 0.0 % [0-56]"


@pytest.mark.long
def test_the_tool_trains_the_same_head_from_nothing_twice(tmp_path):
    """Without recordings: with a thousandth of the scenes, one round, and all of the judging."""
    files = [tmp_path / name / "head.npz" for name in ("first", "second")]
    root = Path(__file__).parents[2]
    for file in files:
        order = [sys.executable, root / "tools" / "train_wake_head.py", "--scale", "0.001"]
        folders = ["--cache", file.parent / "scenes", "--out", file]
        done = subprocess.run([*order, *folders], check=True, capture_output=True, text=True,
                              cwd=root, env={**os.environ, "PYTHONPATH": str(root)})  # fmt: skip
        assert "| near miss, synthesised |" in done.stdout
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].with_suffix(".md").read_text() == files[1].with_suffix(".md").read_text()


def judged(sound) -> judging.Judged:
    """What the shipped head makes of a sound between two seconds of silence."""
    padded = np.concatenate((np.zeros(16_000, np.int16), sound, np.zeros(16_000, np.int16)))
    embeddings, scores = features.Networks().hear(padded[: len(padded) // 1280 * 1280])
    scene = features.Heard("", "", "", 0, 0, embeddings, scores)
    head = WakeHead()
    return judging.Judged(scene, np.float32([head.logit(window) for window in scene.windows()]))


@pytest.mark.parametrize(
    ("recording", "is_word"),
    [
        ("hey-jarvis.wav", True),
        ("hey-jarvis-what-time-is-it.wav", True),
        ("light-rms.wav", True),
        ("music-kal.wav", True),
        ("one-breath-slt.wav", True),
        ("timer-awb.wav", True),
        ("weather-kal16.wav", True),
        ("stop-rms.wav", False),
        ("what-time-is-it.wav", False),
    ],
)
def test_the_shipped_head_confirms_the_word_and_nothing_else(recording, is_word):
    scene = judged(soundfile.read(DATA / recording, dtype="int16")[0])
    assert (scene.logits.max() > -2) == is_word
    assert bool(scene.detections(BALANCED)) == is_word


def test_the_shipped_head_loses_none_of_24_voices():
    sound, _ = soundfile.read(DATA / "hey-jarvis-24-voices.flac", dtype="int16")
    scenes_of = [judged(voice) for voice in np.split(sound[: 24 * 24_000], 24)]
    today = [bool(scene.detections(judging.today())) for scene in scenes_of]
    balanced = [bool(scene.detections(BALANCED)) for scene in scenes_of]
    assert sum(today) >= 20
    assert [now for was, now in zip(today, balanced, strict=True) if was and not now] == []
