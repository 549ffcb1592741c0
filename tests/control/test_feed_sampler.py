import struct
from types import SimpleNamespace

import pytest

from jarvis_ear.control.feed import Feed, FeedSampler


@pytest.fixture
def ear():
    frame = struct.pack("<h", 328) * 320
    return SimpleNamespace(
        frames=7, recent=(frame,) * 7, score=0.1234, speech=True, samples_lost=3200
    )


def test_a_sample_is_written_to_the_feed(ear):
    feed, now, reports = Feed(), [10.0], []

    def health():
        reports.append("asked")
        return {"state": "idle", "turns": [], "muted_by": [], "connected": True, "n": len(reports)}

    by = ("owner",)
    signs = FeedSampler(feed, ear, health=health, muted_by=lambda: by, monotonic=lambda: now[0])
    signs.look()
    assert feed.snapshot().topics == {
        "mute": {"by": ["owner"]},
        "gaps": {"lost_ms": 200},
        "sound": {"frame": 7, "dbfs": [], "speech": True, "score": 0.123},
        "health": {"connected": True, "n": 1, "noted": []},
    }
    now[0] += 0.5
    signs.look()
    assert len(reports) == 1
    now[0] += 0.5
    signs.look()
    assert feed.snapshot().topics["health"]["n"] == 2


def test_every_available_frame_has_its_level_once(ear):
    feed = Feed()
    signs = FeedSampler(feed, ear, health=dict, muted_by=tuple)
    loud = struct.pack("<h", 32767) * 320

    def levels():
        signs.look()
        return feed.snapshot().topics["sound"]["dbfs"]

    assert levels() == []
    ear.frames, ear.recent = 9, (*ear.recent[2:], loud, loud)
    assert levels() == [3.0, 3.0]
    ear.frames = 100
    assert levels() == [-37.0] * 5 + [3.0, 3.0]
    assert levels() == []
