import json
import os
import struct
import threading
from datetime import date
from types import SimpleNamespace

from fakes.clock import FakeClock
from jarvis_ear.control.report_text import CLIPPED_PERCENT, describe, duration, noted, troubles
from jarvis_ear.devices.sound_faults import TOO_MUCH
from jarvis_ear.health import deaf_time
from jarvis_ear.health.liveness import Beat, Part
from jarvis_ear.health.report import Health
from jarvis_ear.hearing.events import State

TURN = {"turn": "ab", "ended_s_ago": 7.2}
TURN |= {"story": "done; 0.68 s of speech; nothing heard: no speaker"}


class Room:
    """An ear with its health, whose clock and details are the test's."""

    def __init__(self, folder=None):
        self.ear = SimpleNamespace(frames=0, last_frame=b"", state=State.IDLE)
        self.clock = FakeClock()
        self.muted_by = []
        self.backend = {"connected": True}
        self.more = {}
        self.turn = dict(TURN)
        self.health = Health(
            self.ear,
            Beat([Part("sound", lambda: self.ear.frames)], monotonic=self.clock.monotonic),
            details=lambda: {"muted_by": self.muted_by, "gaps": 2, **self.backend, **self.more},
            counters=lambda: {"gaps": 2, "bus_dropped": 0, "new_ones": 1},
            turns=lambda: [self.turn],
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
    assert describe(room.look()) == (
        "state           deaf: no sound from the microphone\n"
        "  to do         jarvis-ear devices; the log of the ear\n"
        "last sound      none yet\n"
        "backend         connected\n"
        "noted           gaps in the sound from the microphone: 2\n"
        "                new ones: 1\n"
        "running         for 0 s; version 0.1.0, process 7\n"
        "last turns      7 s ago: done; nothing heard: no speaker\n"
    ).replace("process 7", f"process {os.getpid()}")
    said = describe(room.look(amplitude=328))
    assert said.startswith(
        "state           hearing: waits for the wake word\n"
        "backend         connected\n"
        "microphone      -37 dBFS, the room -37 dBFS\n"
    )
    assert "bus" not in said  # a counter that is zero
    assert "counters" not in said
    assert "\nstuck           sound\n  to do " in describe(room.look())
    room.muted_by = ["clock", "owner"]
    assert describe(room.look()).startswith(
        "state           muted by the clock (microphone.mute_between) and you\n"
        "  to do         jarvis-ear unmute\n"
    )


def test_what_has_no_row_of_its_own_is_shown_if_there_is_anything_to_say():
    room = Room()
    room.more = {"new_part": "fine", "other_part": "off", "new_count": 0, "source": "x"}
    room.more |= {"bus": "connected", "modules": {"audio": True, "vision": False}}
    room.more |= {"rooms": "home", "rooms_ears": ["den"], "rooms_answered_here": 2}
    room.more |= {"rooms_answered_elsewhere": 3}
    said = describe(room.look(amplitude=328))
    assert "\nnew part        fine\n" in said
    assert "other" not in said
    assert "new count" not in said
    assert "\nevent bus       connected; switched off: vision\n" in said
    assert "\nrooms           group home with den\n" in said
    assert "wake words answered here: 2, elsewhere: 3" in said


def test_long_texts_are_folded_below_their_beginning():
    room = Room()
    room.backend = {"connected": False, "backend_url": "http://192.168.1.20:4000"}
    room.backend |= {"backend_reason": "the computer is there, but nothing listens on the port"}
    lines = describe(room.look(amplitude=328), 60).splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[1:3] == [
        "backend         not connected to http://192.168.1.20:4000:",
        "                the computer is there, but nothing listens",
    ]


def test_what_is_wrong_besides_the_state():
    room = Room()
    room.more = {"speaker": "no sound output device", "clipped_percent": 2.0, "volume_percent": 60}
    room.backend = {"connected": False, "backend_reason": "refused", "backend_remedy": "start it"}
    report = room.look(amplitude=328)
    assert troubles(report) == [
        ("backend: not connected: refused", "start it"),
        (
            "microphone: clipped: 2 % of the samples of the last minute",
            "lower the gain of the microphone (alsamixer)",
        ),
        (
            "loudspeaker: replies are not heard: no sound output device",
            "jarvis-ear devices; then speaker.device",
        ),
    ]
    room.more, room.backend = {"speaker": "fine", "volume_percent": 60}, {"connected": True}
    room.muted_by = ["owner"]
    report = room.look(amplitude=328)
    assert troubles(report) == []  # the state has its own reason and remedy
    assert "\nloudspeaker     fine, volume 60 %\n" in describe(report)


def test_durations_are_said_as_people_say_them():
    asked = (0, 59.4, 60, 3599, 3600, 3900, 86_400, 180_000)
    assert [duration(each) for each in asked] == [
        *("0 s", "59 s", "1 min", "59 min", "1 h", "1 h 5 min", "1 day", "2 days 2 h"),
    ]


def test_a_turn_is_said_briefly():
    room = Room()
    room.turn["story"] = "done in 994 ms: 800 endpoint, 3 upload; 0.68 s of speech; interrupted"
    assert "7 s ago: done in 1.0 s; interrupted\n" in describe(room.look())
    room.turn["story"] = "failed (backend error); 0.68 s of speech"
    assert "7 s ago: failed (backend error)\n" in describe(room.look())


def test_a_backend_that_is_away_is_shown_with_address_reason_and_remedy():
    room = Room()
    room.look(amplitude=328)
    room.backend = {"connected": False, "backend_url": "http://192.168.1.20:4000"}
    room.backend |= {"backend_reason": "connection refused", "backend_remedy": "start it (x)"}
    assert describe(room.look(amplitude=328)).startswith(
        "state           hearing: waits for the wake word\n"
        "backend         not connected to http://192.168.1.20:4000: connection refused\n"
        "  to do         start it (x)\n"
    )
    room.backend = {"connected": False, "backend_url": "http://a:1", "backend_reason": ""}
    said = describe(room.look())
    assert "\nbackend         not connected to http://a:1\n" in said
    assert "start it" not in said
    room.backend = {"connected": True, "backend_url": "http://a:1"}
    assert "\nbackend         connected to http://a:1\n" in describe(room.look())


def test_a_deaf_ear_says_why_and_what_to_do():
    room = Room()
    room.look(amplitude=328)
    room.ear.state = State.DEAF
    reports = [room.look(amplitude=0) for _ in range(30)]  # zeros are no sound
    assert reports[-1]["heard_s_ago"] == 3.0
    assert not reports[-1]["hearing"]
    room.more = {"deaf_reason": "it gives only zeros", "deaf_remedy": "look at the cable"}
    assert describe(room.look()).startswith(
        "state           deaf: it gives only zeros\n"
        "  to do         look at the cable\n"
        "last sound      3 s ago\n"
    )
    room.ear.state = State.IDLE
    room.more = {"deaf_reason": "", "deaf_remedy": ""}
    assert "deaf re" not in describe(room.look(amplitude=328))


def test_clipping_and_a_monitor_are_shown_only_where_they_are():
    room = Room()
    room.more = {"source": "microphone 'x'", "clipped_percent": 1.25, "hears_own_speaker": True}
    said = describe(room.look(amplitude=328))
    assert (
        "clipped: 1.25 % of the samples of the last minute\n  to do         lower the gain" in said
    )
    assert "it is a monitor of a loudspeaker" in said
    room.more |= {"clipped_percent": 0.05}
    assert "lower the gain" not in describe(room.look(amplitude=328))
    room.more = {"source": "microphone 'x'", "clipped_percent": 0.0, "hears_own_speaker": False}
    said = describe(room.look(amplitude=328))
    assert "clipped" not in said
    assert "monitor" not in said
    assert CLIPPED_PERCENT == 100 * TOO_MUCH
