import json
import struct
import threading
from datetime import date
from types import SimpleNamespace

from fakes.clock import FakeClock
from jarvis_ear.control.client import CLIPPED_PERCENT, describe, noted
from jarvis_ear.devices.sound_faults import TOO_MUCH
from jarvis_ear.health import deaf_time
from jarvis_ear.health.liveness import Beat, Part
from jarvis_ear.health.report import Health
from jarvis_ear.hearing.events import State

TURN = {"turn": "ab", "ended_s_ago": 7.2, "story": "done; 0.68 s of speech"}


class Room:
    """An ear with its health, whose clock and details are the test's."""

    def __init__(self, folder=None):
        self.ear = SimpleNamespace(frames=0, last_frame=b"", state=State.IDLE)
        self.clock = FakeClock()
        self.muted_by = []
        self.backend = {"connected": True}
        self.more = {}
        self.health = Health(
            self.ear,
            Beat([Part("sound", lambda: self.ear.frames)], monotonic=self.clock.monotonic),
            details=lambda: {"muted_by": self.muted_by, "gaps": 2, **self.backend, **self.more},
            counters=lambda: {"gaps": 2, "bus_dropped": 0, "new_ones": 1},
            turns=lambda: [TURN],
            monotonic=self.clock.monotonic,
            today=lambda: date(2026, 5, 1),
            folder=folder,
        )

    def look(self, *, amplitude: int | None = None) -> dict:
        self.clock.now += 0.1
        if amplitude is not None:
            self.ear.frames += 5
            self.ear.last_frame = struct.pack("<h", amplitude) * 320
        self.health.look()
        return self.health.report()


def test_a_report_does_not_wait_for_a_slow_disk(tmp_path, monkeypatch):
    room, writing, written = Room(tmp_path), threading.Event(), threading.Event()

    def write_slowly(*_):
        writing.set()
        assert written.wait(10)

    monkeypatch.setattr(deaf_time, "write_whole", write_slowly)
    room.ear.state = State.DEAF
    room.look()
    room.clock.now += 20.0
    looking = threading.Thread(target=room.health.look, daemon=True)
    looking.start()
    assert writing.wait(10)
    reports = []
    asking = threading.Thread(target=lambda: reports.append(room.health.report()), daemon=True)
    asking.start()
    asking.join(10)
    written.set()
    looking.join(10)
    assert [report["deaf_s_today"] for report in reports] == [20.0]
    assert room.health.hearing is False


def test_the_ear_hears_from_the_first_sound_on():
    room = Room()
    report = room.look()
    assert (report["hearing"], report["heard_s_ago"], report["level_dbfs"]) == (False, None, -120)
    report = room.look(amplitude=328)
    assert report["hearing"]
    assert report["heard_s_ago"] == 0
    assert report["level_dbfs"] == report["noise_floor_dbfs"] == -37.0
    assert (report["beat"], report["stuck"], report["gaps"]) == (1, [], 2)
    assert json.loads(json.dumps(report)) == report
    assert report["counters"] == {"gaps": 2, "bus_dropped": 0, "new_ones": 1}
    assert noted(report) == [("gaps in the sound from the microphone", 2), ("new ones", 1)]
    assert noted({}) == []

    reports = [room.look() for _ in range(65)]
    assert [report["hearing"] for report in reports] == [True] * 59 + [False] * 6
    assert reports[-1]["heard_s_ago"] == 6.5
    assert (reports[-1]["beat"], reports[-1]["stuck"]) == (1, ["sound"])


def test_deaf_and_muted_are_not_the_same():
    room = Room()
    room.look(amplitude=328)
    room.ear.state = State.DEAF
    for _ in range(11):
        deaf = room.look()
    assert (deaf["state"], deaf["hearing"], deaf["deaf_s_today"]) == ("deaf", False, 1.0)
    room.ear.state = State.MUTED
    for _ in range(11):
        muted = room.look()
    assert (muted["state"], muted["hearing"], muted["deaf_s_today"]) == ("muted", False, 1.1)


def test_words_for_people():
    room = Room()
    assert describe(room.look()).startswith("deaf: there is no sound")
    said = describe(room.look(amplitude=328))
    assert said.startswith("hearing, idle\nconnected to the backend\n")
    assert "\ngaps in the sound from the microphone: 2\nnew ones: 1\n" in said
    assert "\ngaps: " not in said
    assert "bus" not in said
    assert "counters" not in said
    assert said.endswith("7 s ago: done; 0.68 s of speech\n")
    assert "hearing, idle (stuck: sound)" in describe(room.look())
    room.muted_by = ["clock", "owner"]
    assert describe(room.look()).startswith("muted by the clock, owner\n")


def test_a_backend_that_is_away_is_shown_with_address_reason_and_remedy():
    room = Room()
    room.look(amplitude=328)
    room.backend = {"connected": False, "backend_url": "http://192.168.1.20:4000"}
    room.backend |= {"backend_reason": "connection refused", "backend_remedy": "start it (x)"}
    assert describe(room.look(amplitude=328)).startswith(
        "hearing, idle\n"
        "not connected to the backend at http://192.168.1.20:4000: connection refused\n"
        "to do: start it (x)\n"
    )
    room.backend = {"connected": False, "backend_url": "http://a:1", "backend_reason": ""}
    said = describe(room.look())
    assert "\nnot connected to the backend at http://a:1\n" in said
    assert "to do" not in said
    room.backend = {"connected": True, "backend_url": "http://a:1"}
    assert "\nconnected to the backend at http://a:1\n" in describe(room.look())


def test_a_deaf_ear_says_why_and_what_to_do():
    room = Room()
    room.look(amplitude=328)
    room.ear.state = State.DEAF
    reports = [room.look(amplitude=0) for _ in range(30)]  # zeros are no sound
    assert reports[-1]["heard_s_ago"] == 3.0
    assert not reports[-1]["hearing"]
    room.more = {"deaf_reason": "it gives only zeros", "deaf_remedy": "look at the cable"}
    assert describe(room.look()).startswith("deaf: it gives only zeros\nto do: look at the cable\n")
    room.ear.state = State.IDLE
    room.more = {"deaf_reason": "", "deaf_remedy": ""}
    assert "deaf_re" not in describe(room.look(amplitude=328))


def test_clipping_and_a_monitor_are_shown_only_where_they_are():
    room = Room()
    room.more = {"source": "microphone 'x'", "clipped_percent": 1.25, "hears_own_speaker": True}
    said = describe(room.look(amplitude=328))
    assert "clipped: 1.25 % of the samples of the last minute; above 0.1 %, lower the gain" in said
    assert "microphone 'x' is a monitor of a loudspeaker" in said
    room.more = {"source": "microphone 'x'", "clipped_percent": 0.0, "hears_own_speaker": False}
    said = describe(room.look(amplitude=328))
    assert "clipped" not in said
    assert "speaker" not in said
    assert CLIPPED_PERCENT == 100 * TOO_MUCH
