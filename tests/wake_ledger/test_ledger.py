"""The wake ledger: which sound becomes a clip, and the bounds of its folder."""

import errno
import json
import logging
import stat
import threading
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from fakes.hearing import frames_of
from jarvis_ear.config import HearingOptions, WakeLedgerOptions
from jarvis_ear.hearing.events import (
    Muted,
    NearMiss,
    State,
    StateChanged,
    StopSpeaking,
    TurnOpened,
    WordSound,
)
from jarvis_ear.paths import PrivateFolder
from jarvis_ear.units import Dbfs, Samples, samples
from jarvis_ear.wake_ledger import ledger as module
from jarvis_ear.wake_ledger.clips import FOLDER, Clip, ClipFolder, iso_time
from jarvis_ear.wake_ledger.ledger import MAX_WAITING, WakeLedger

SOON_S = 20.0
SOUND = WordSound(Dbfs(-20.04), Dbfs(-60.0), 0.0125)
CLIP_BYTES = 3 * 32_000 + 4096  # of those that `stored` makes
NOW = 1_700_000_000.0


def hearing(*, enabled=True, **limits):
    return HearingOptions(wake_ledger=WakeLedgerOptions(enabled=enabled, **limits))


def until(happens) -> None:
    deadline, pause = time.monotonic() + SOON_S, threading.Event()
    while not happens():
        assert time.monotonic() < deadline
        pause.wait(0.01)


class Keeping:
    """A wake ledger, and sound whose samples count up."""

    def __init__(self, folder, options=None):
        self.now = 0
        self.wall = NOW
        self.ledger = WakeLedger(
            options or hearing(), folder, wall=lambda: self.wall, new_id=lambda: f"{self.now:08x}"
        )
        self.folder = folder / FOLDER

    def hear(self, ms, *effects):
        """Hear some sound, after these effects."""
        for effect in effects:
            self.ledger.after(effect)
        count = samples(ms)
        pcm = (np.arange(self.now, self.now + count) % 30_000).astype("<i2").tobytes()
        for frame in frames_of(pcm, self.now):
            self.ledger.hear(frame)
        self.now += count

    def miss(self, score=0.3):
        return NearMiss(Samples(self.now), score, SOUND)

    def wake(self, name="0000abcd"):
        return TurnOpened(name, "session", Samples(self.now), 0.8, "", SOUND)

    def clips(self):
        with ClipFolder(self.folder) as folder:
            return folder.all()

    def waits_for(self, count):
        until(lambda: len(self.clips()) == count)
        return self.clips()


@pytest.fixture
def keeping(tmp_path):
    made = Keeping(tmp_path)
    with made.ledger:
        yield made


def sound_of(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (16_000, 2, 1)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def test_a_clip_holds_three_seconds_before_and_one_after(keeping):
    keeping.hear(5000)
    keeping.hear(1000, keeping.wake())
    [clip] = keeping.waits_for(1)
    assert (clip.id, clip.kind, clip.score, clip.threshold) == ("0000abcd", "wake", 0.8, 0.5)
    assert (clip.level_dbfs, clip.noise_floor_dbfs, clip.clipped_percent) == (-20.0, -60.0, 1.25)
    assert (clip.word, clip.seconds, clip.label) == ("Hey Jarvis", 4.0, None)
    assert clip.time == iso_time(NOW)
    sound = sound_of(keeping.folder / "0000abcd.wav")
    assert list(sound) == list(np.arange(samples(2000), samples(6000)) % 30_000)


def test_a_near_miss_is_known_later_and_its_clip_begins_where_it_was(keeping):
    keeping.hear(5000)
    miss = keeping.miss(0.345)
    keeping.hear(2000)
    keeping.hear(20, miss)
    [clip] = keeping.waits_for(1)
    assert (clip.kind, clip.score, clip.seconds) == ("near_miss", 0.345, 4.0)
    assert clip.time == iso_time(NOW - 2)
    assert sound_of(keeping.folder / f"{clip.id}.wav")[0] == samples(2000) % 30_000


def test_what_was_not_heard_is_not_in_it(keeping):
    keeping.hear(1000)
    keeping.hear(1000, keeping.miss())
    [clip] = keeping.waits_for(1)
    assert clip.seconds == 2.0


def test_files_are_private(keeping):
    keeping.hear(1000)
    keeping.hear(1000, keeping.wake())
    keeping.waits_for(1)
    assert stat.S_IMODE(keeping.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in keeping.folder.iterdir()} == {0o600}
    assert sorted(file.name for file in keeping.folder.iterdir()) == [
        "0000abcd.json",
        "0000abcd.wav",
    ]


@pytest.mark.parametrize("state", [State.MUTED, State.DEAF])
def test_a_mute_drops_the_sound_before_it(keeping, state):
    keeping.hear(3000)
    keeping.hear(500, keeping.wake("0000aaaa"))
    keeping.hear(1000, StateChanged(State.IDLE, state, Samples(0), Muted.__name__))
    keeping.hear(1000, keeping.wake("0000bbbb"))
    [clip] = keeping.waits_for(1)
    assert (clip.id, clip.seconds) == ("0000bbbb", 2.0)


def test_other_effects_store_nothing(keeping):
    keeping.hear(3000, StopSpeaking("ab"), TurnOpened("0000aaaa", "s", Samples(0), None))
    keeping.hear(3000, keeping.wake("0000bbbb"))
    assert [clip.id for clip in keeping.waits_for(1)] == ["0000bbbb"]


def test_when_it_is_off_nothing_is_kept_or_made(tmp_path):
    keeping = Keeping(tmp_path, HearingOptions())
    with keeping.ledger:
        keeping.hear(3000)
        keeping.hear(2000, keeping.wake())
        assert len(keeping.ledger._recent) == 0
    assert list(tmp_path.iterdir()) == []
    assert keeping.ledger.counters() == {"clips_dropped": 0, "clips_unwritten": 0}


def test_a_reload_turns_it_on_and_off(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    keeping = Keeping(tmp_path, HearingOptions())
    with keeping.ledger:
        keeping.ledger.change(hearing())
        keeping.ledger.change(hearing())  # says nothing twice
        keeping.hear(3000)
        keeping.hear(1000, keeping.wake())
        keeping.waits_for(1)
        keeping.ledger.change(hearing(max_mb=7))
        until(lambda: len(caplog.records) == 2)
        keeping.ledger.change(HearingOptions())
        keeping.hear(3000, keeping.wake("0000eeee"))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert f"in {keeping.folder}: at most 50 MB and 14 days, now 0 clips" in told[0]
    assert "at most 7 MB and 14 days, now 1 clips and 0.1 MB" in told[1]
    assert [clip.id for clip in keeping.clips()] == ["0000abcd"]


def stored(folder: Path, *ages_days: float) -> None:
    """Write clips of these ages, the ids in their order."""
    with ClipFolder(folder) as clips:
        for number, age in enumerate(ages_days):
            name, time = f"{number:08x}", iso_time(NOW - 86_400 * age)
            clip = Clip(name, "wake", time, 0.9, 0.5, "Hey Jarvis", -20.0, -60.0, 0.0, 3.0)
            clips.add(clip, bytes(96_044))


def test_the_oldest_go_when_there_is_no_room(tmp_path):
    stored(tmp_path / FOLDER, *(0.5 - number / 100 for number in range(12)))
    keeping = Keeping(tmp_path, hearing(max_mb=1))
    with keeping.ledger:
        keeping.waits_for(1_000_000 // CLIP_BYTES)
        keeping.hear(3000)
        keeping.hear(1000, keeping.wake())
    kept = [clip.id for clip in keeping.clips()]
    assert kept == [*(f"{number:08x}" for number in range(4, 12)), "0000abcd"]
    assert sum(file.stat().st_size for file in keeping.folder.iterdir()) <= 1_000_000


def test_the_old_ones_go_at_a_start_and_every_hour(tmp_path, monkeypatch):
    stored(tmp_path / FOLDER, 15, 14.01, 13.99, 1)
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    keeping = Keeping(tmp_path, hearing(max_days=14))
    with keeping.ledger:
        assert [clip.id for clip in keeping.waits_for(2)] == ["00000002", "00000003"]
        keeping.wall += 86_400
        assert [clip.id for clip in keeping.waits_for(1)] == ["00000003"]


def test_a_start_removes_what_a_killed_writer_left(tmp_path):
    stored(tmp_path / FOLDER, 1)
    folder = tmp_path / FOLDER
    for name in ("11111111.wav", "22222222.wav.new", "00000000.json.new"):
        (folder / name).write_bytes(b"RIFF")
    (folder / "notes.txt").write_text("of the owner")
    keeping = Keeping(tmp_path)
    with keeping.ledger:
        keeping.hear(1000)
        keeping.hear(1000, keeping.wake())
        keeping.waits_for(2)
    names = {file.name for file in folder.iterdir()}
    assert names == {
        *("00000000.wav", "00000000.json", "0000abcd.wav", "0000abcd.json", "notes.txt")
    }


def test_a_full_disk_is_told_once_and_nothing_of_the_clip_stays(tmp_path, monkeypatch, caplog):
    append, is_full = PrivateFolder.append, True

    def write(folder, name, data):
        written = append(folder, name, data[:1000] if is_full else data)
        if is_full:
            raise OSError(errno.ENOSPC, "no space left on device")
        return written

    monkeypatch.setattr(PrivateFolder, "append", write)
    keeping = Keeping(tmp_path)
    with keeping.ledger:
        for name in ("0000aaaa", "0000bbbb"):
            keeping.hear(2000)
            keeping.hear(1000, keeping.wake(name))
        until(lambda: keeping.ledger.unwritten == 2)
        assert list(keeping.folder.iterdir()) == []
        is_full = False
        keeping.hear(1000, keeping.wake("0000cccc"))
        keeping.waits_for(1)
    [warning] = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert f"in {keeping.folder} cannot be written" in warning.getMessage()
    assert "no space left on device" in warning.getMessage()
    assert warning.EVENT == "WakeLedgerTrouble"
    assert keeping.ledger.counters() == {"clips_dropped": 0, "clips_unwritten": 2}


def test_a_folder_that_cannot_be_made_is_told_and_nothing_else_happens(tmp_path, caplog):
    (tmp_path / FOLDER).write_text("in the way")
    keeping = Keeping(tmp_path)
    with keeping.ledger:
        keeping.hear(2000)
        keeping.hear(1000, keeping.wake())
    assert keeping.ledger.unwritten == 1
    assert [each.levelname for each in caplog.records] == ["WARNING"]


def test_a_folder_that_was_removed_is_made_anew(keeping):
    keeping.hear(1000)
    keeping.hear(1000, keeping.wake("0000aaaa"))
    keeping.waits_for(1)
    for file in keeping.folder.iterdir():
        file.unlink()
    keeping.folder.rmdir()
    keeping.hear(1000, keeping.wake("0000bbbb"))
    keeping.hear(1000)
    keeping.hear(1000, keeping.wake("0000cccc"))
    assert [clip.id for clip in keeping.waits_for(1)] == ["0000cccc"]


def test_a_slow_disk_blocks_nothing_and_further_clips_are_dropped(tmp_path, monkeypatch):
    goes_on, begun = threading.Event(), threading.Event()
    add = ClipFolder.add

    def wait(folder, clip, wav):
        begun.set()
        assert goes_on.wait(SOON_S)
        add(folder, clip, wav)

    monkeypatch.setattr(ClipFolder, "add", wait)
    keeping = Keeping(tmp_path)
    with keeping.ledger:
        keeping.hear(2000)
        keeping.hear(1000, keeping.wake("0000ffff"))
        assert begun.wait(SOON_S)
        for number in range(MAX_WAITING + 3):
            keeping.hear(1000, keeping.wake(f"{number:08x}"))
        assert keeping.ledger.dropped == 3
        goes_on.set()
    assert len(keeping.clips()) == MAX_WAITING + 1
    keeping.ledger.hear(frames_of(bytes(640))[0])  # after the stop: nothing happens


def test_no_more_than_a_few_clips_are_awaited(keeping):
    keeping.hear(1000)
    for number in range(MAX_WAITING + 2):
        keeping.hear(20, keeping.wake(f"{number:08x}"))
    keeping.hear(1000)
    assert keeping.ledger.dropped == 2
    assert len(keeping.waits_for(MAX_WAITING)) == MAX_WAITING


def test_a_record_that_cannot_be_read_is_left_out(tmp_path):
    stored(tmp_path / FOLDER, 3, 2, 1)
    folder = tmp_path / FOLDER
    good = json.loads((folder / "00000000.json").read_text())
    bad = [
        {**good, "id": "00000001", "score": "high"},
        {**good, "id": "00000001", "time": "2023-11-14T22:13:20"},
        {**good, "id": "00000001", "more": 1},
        {**good, "id": "00000002"},
        [good],
    ]
    for value in bad:
        (folder / "00000001.json").write_text(json.dumps(value))
        with ClipFolder(folder) as clips:
            assert [clip.id for clip in clips.all()] == ["00000000", "00000002"]
    (folder / "00000001.json").write_text("[" * 3000)
    with ClipFolder(folder) as clips:
        assert len(clips.all()) == 2
