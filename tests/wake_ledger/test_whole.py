"""The whole ear with its wake ledger on: log, feed and clips of a near miss and of a wake word."""

import base64
import json
import os
import stat
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from fakes.program import run
from fakes.recordings import in_room, recording

SOUND = np.concatenate(
    [
        in_room(2000, recording("hey-jarvis"), 500, floor_rms=4000),
        in_room(4000, recording("hey-jarvis"), 7000),
    ]
)
"""The wake word, which noise hides, and once more in a quiet room; then nothing."""


def environment(home: Path) -> dict[str, str]:
    own = {"HOME": str(home), "TMPDIR": str(home), "XDG_RUNTIME_DIR": str(home)}
    return {**own, "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}


def hear(home: Path, *options: str) -> str:
    """Let an ear hear the sound at the most talkative level; return its log."""
    nobody = ("--backend-url", "http://127.0.0.1:9", "--speaker.device", "none")
    talkative = ("--log.level", "debug", "--log-format", "json", "--threshold", "0.9")
    ear = subprocess.run(
        [
            *(sys.executable, "-m", "jarvis_ear", "run", "--input", "-", "--fast"),
            *(*nobody, *talkative, *options),
        ],
        input=SOUND.tobytes(),
        capture_output=True,
        env=environment(home),
        timeout=120,
        check=False,
    )
    log = ear.stderr.decode()
    assert ear.returncode == 0, log
    return log


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> tuple[Path, str]:
    home = tmp_path_factory.mktemp("kept")
    return home, hear(home, "--hearing.wake-ledger.enabled")


def clips(home: Path) -> Path:
    return home / ".local/state/jarvis-ear/wake-ledger"


def records(log: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.splitlines()]


def test_a_near_miss_and_a_wake_are_told_with_what_was_measured(kept):
    told = records(kept[1])
    [miss] = [each for each in told if each.get("EVENT") == "NearMiss"]
    assert 0.2 <= miss["WAKE_SCORE"] < 0.9
    assert miss["REASON"] == "it was hardly louder than the room"
    [wake] = [each for each in told if each.get("STATE") == "listening"]
    assert wake["WAKE_SCORE"] >= 0.9
    for each in (miss, wake):
        assert -30 < each["LEVEL"] < 0
    assert miss["LEVEL"] - miss["NOISE_FLOOR"] < 20 < wake["LEVEL"] - wake["NOISE_FLOOR"]


def test_the_start_says_where_the_clips_are_and_how_many(kept):
    home, log = kept
    [told] = [each for each in records(log) if each.get("EVENT") == "WakeLedger"]
    assert told["PLACE"] == str(clips(home))
    assert "at most 50 MB and 14 days, now 0 clips and 0.0 MB" in told["MESSAGE"]


def test_both_are_stored_privately_and_listed(kept):
    home, log = kept
    files = list(clips(home).iterdir())
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    command = [sys.executable, "-m", "jarvis_ear", "events", "list", "--json"]
    listed = json.loads(run(command, env=environment(home)).stdout)["events"]
    assert [each["kind"] for each in listed] == ["near_miss", "wake"]
    [turn] = {each["TURN_ID"] for each in records(log) if "TURN_ID" in each}
    assert listed[1]["id"] == turn
    for each in listed:
        with wave.open(str(clips(home) / f"{each['id']}.wav")) as file:
            pcm = file.readframes(file.getnframes())
        assert len(pcm) == 4 * 32_000
        assert pcm in SOUND.tobytes()


def test_nothing_of_the_sound_is_in_the_log(kept):
    home, log = kept
    for file in clips(home).glob("*.wav"):
        sound = file.read_bytes()
        for at in range(44, len(sound) - 48, 4800):
            piece = sound[at : at + 48]
            if len(set(piece)) < 8:
                continue  # silence is everywhere
            for shown in (base64.b64encode(piece).decode(), piece.hex(), repr(piece)[2:-1]):
                assert shown[4:28] not in log
    assert max(map(len, log.splitlines())) < 2000
