"""What the monitor draws of a feed, and what it tells line by line."""

import io
from datetime import datetime

import pytest
from rich.console import Console

from fakes.ear_feed import STILL, turn
from jarvis_ear.control.feed import Deltas, Snapshot
from jarvis_ear.monitor.screen import BEST_S, Screen, Watch

UP = {"ear": {"up": True}}
SOUND = {"frame": 4, "dbfs": [-41.2, -40.0], "speech": True, "score": 0.3}
QUIET = {"noise_floor_dbfs": -60.0, "connected": True, "backend_url": "http://a:1"}
TOPICS = {**STILL, **UP, "sound": SOUND, "health": {**STILL["health"], **QUIET}}
NOON = datetime(2026, 5, 1, 12, 0, 0)  # noqa: DTZ001 - a clock on the wall


def health(**more) -> dict:
    return {"health": {**TOPICS["health"], **more}}


class Watcher:
    """A watch with a clock, drawn on terminals of any size."""

    def __init__(self, **topics):
        self.watch = Watch()
        self.now = 100.0
        self.told = self.watch.apply(Snapshot({**TOPICS, **topics}), self.now)

    def hear(self, **topics) -> list[str]:
        self.now += 0.2
        return self.watch.apply(Deltas(tuple(topics.items())), self.now)

    def draw(self, width: int = 80, height: int = 24, *, is_ascii: bool = False) -> list[str]:
        file = io.TextIOWrapper(io.BytesIO(), "ascii" if is_ascii else "utf-8")
        size = {"width": width, "height": height}
        console = Console(file=file, force_terminal=True, color_system=None, **size)
        console.print(Screen(self.watch, NOON), end="")
        file.flush()
        lines = file.buffer.getvalue().decode(file.encoding).replace("\x1b[1m", "")
        for style in ("\x1b[0m", "\x1b[2m", "\x1b[1;2m"):
            lines = lines.replace(style, "")
        return lines.removesuffix("\n").split("\n")


def test_a_hearing_ear_fits_a_terminal_of_80_by_24():
    watcher = Watcher(**{"turn:a": turn("a", heard="all", reply="noon")})
    lines = watcher.draw()
    assert [line.rstrip() for line in lines[:5]] == [
        f"{'kitchen, jarvis-ear 0.1.0, running for 7 s':<71} 12:00:00",
        "state           hearing: waits for the wake word",
        f"level           -40 dB  {'█' * 10}┃{'█' * 9}{'░' * 20} room -60 dB",
        f"wake score      0.30    {'█' * 11}{'░' * 7}┃{'░' * 18} of 0.5, best 0.30",
        "backend         connected to http://a:1",
    ]
    assert lines[6].startswith("last turns      ")
    assert lines[6].endswith('done in 1.5 s, "what time is it": noon, score 0.91')
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize(("width", "height"), [(40, 8), (80, 24), (200, 60), (10, 2)])
def test_no_size_is_exceeded_and_nothing_scrolls(width, height):
    many = {f"turn:{at}": turn(str(at), began_at=1e9 + at) for at in range(12)}
    long = {"hearing": False, "deaf_reason": "x " * 60, "deaf_remedy": "y " * 60}
    near = {"near_miss_reason": "z " * 40, "near_miss_remedy": "r " * 40}
    near |= {"near_misses_in_hour": 2, "near_miss_best_score": 0.4, "near_miss_s_ago": 70}
    for more in ({}, long, near):
        watcher = Watcher(**many, **health(**more))
        lines = watcher.draw(width, height)
        assert len(lines) <= height
        assert max(map(len, lines)) <= width
    assert width < 80 or lines[-1].endswith("score 0.91")  # the turns fill what is left


def test_a_terminal_of_letters_gets_letters_only():
    lines = Watcher().draw(is_ascii=True)
    assert "##########|#########...................." in lines[2]
    assert all(line.isascii() for line in lines)


MUTED = {
    "state": {"name": "muted", "why": "", "at": 0},
    "mute": {"by": ["owner"], "until": "13:40"},
}
DEAF = {"deaf_reason": "only zeros", "deaf_remedy": "the cable"}
AWAY = {"connected": False, "backend_reason": "refused", "backend_remedy": "ask"}


@pytest.mark.parametrize(
    ("topics", "shown"),
    [
        (MUTED, ["muted by you until 13:40", "it opens by itself; sooner: jarvis-ear unmute"]),
        ({"state": {"name": "deaf", "why": "", "at": 0}} | health(**DEAF), [*DEAF.values()]),
        ({"ear": {"up": False, "why": "it is not running"}}, ["ear: it is not", "systemctl start"]),
        ({"health": None}, ["waits for the first report"]),
        (health(**AWAY), ["not connected to http://a:1: refused", "to do         ask"]),
    ],
)
def test_a_bad_state_has_its_reason_and_remedy(topics, shown):
    watcher = Watcher()
    watcher.hear(**topics)
    text = "\n".join(watcher.draw())
    assert [words for words in shown if words not in text] == []
    assert "-40 dB" not in text or "hearing" in text


def test_the_best_score_stays_for_a_while():
    watcher = Watcher()
    watcher.hear(sound={**SOUND, "score": 0.97})
    watcher.hear(sound={**SOUND, "score": 0.01})
    assert "best 0.97" in watcher.draw()[3]
    watcher.now += BEST_S
    watcher.hear(sound={**SOUND, "score": 0.02})
    assert "best 0.02" in watcher.draw()[3]


def test_lost_links_are_counted():
    watcher = Watcher()
    assert "reconnects" not in "\n".join(watcher.draw())
    for _ in range(2):
        watcher.hear(link={"up": False, "why": "it is gone", "at": 0})
        watcher.hear(link=STILL["link"])
    watcher.hear(ear={"up": False, "why": "it is not running"})
    watcher.watch.apply(Snapshot(TOPICS), watcher.now)
    row = next(line for line in watcher.draw() if line.startswith("reconnects"))
    assert row.split(maxsplit=1)[1] == "the backend 2 times, the ear once, since this was started"


def test_events_are_told_line_by_line():
    watcher = Watcher(**{"turn:old": turn("old")})
    assert watcher.told == [
        "watching the ear",
        "state: hearing: waits for the wake word",
        "backend connected: http://127.0.0.1:4000",
    ]
    assert watcher.hear(sound=SOUND) == []
    assert watcher.hear(state={"name": "thinking", "why": "", "at": 0}) == [
        "state: hearing: waits for the reply"
    ]
    assert watcher.hear(**{"turn:a": turn("a", outcome="")}) == []
    failed = turn("a", outcome="failed", cause="backend_error", stages_ms={}, transcript="")
    assert watcher.hear(**{"turn:a": failed}) == ["turn failed (backend error), score 0.91"]
    near = {"at": 0, "score": 0.34, "reason": "it was quiet", "remedy": "speak up"}
    assert watcher.hear(near_miss=near) == [
        "near miss, score 0.34: it was quiet",
        "to do, if that was you: speak up",
    ]
    assert watcher.hear(link={"up": False, "why": "refused", "at": 0}) == ["backend away: refused"]
    assert watcher.hear(ear={"up": False, "why": "it has ended"}) == ["no ear: it has ended"]


def test_words_of_a_backend_cannot_control_the_terminal():
    evil = turn("a", transcript="a\x1b[2Jb\u202ec", reply="\x07\n\x9b1m")
    watcher = Watcher(**{"turn:a": evil}, about={"agent": "\x1b]0;x\x07", "version": "1"})
    text = "\n".join(watcher.draw())
    assert "a?[2Jb?c" in text
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)
    assert "\x1b" not in "".join(watcher.hear(**{"turn:b": evil}))
