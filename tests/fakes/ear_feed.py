"""An ear as a console sees it: a control server with a feed, and nothing behind them."""

import math
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

from jarvis_ear.control.feed import Feed, News, Snapshot
from jarvis_ear.control.server import ControlServer

STILL: Final[Mapping[str, Any]] = {
    "about": {"agent": "kitchen", "version": "0.1.0"},
    "wake": {"word": "Hey Jarvis", "threshold": 0.5},
    "endpointing": {"hangover_ms": 800},
    "quiet_hours": {"between": "23:00-07:00"},
    "words": {"shown": True},
    "state": {"name": "idle", "why": "", "at": 0},
    "link": {"up": True, "url": "http://127.0.0.1:4000", "at": 0},
    "gaps": {"lost_ms": 0},
    "health": {
        "hearing": True,
        "heard_s_ago": 0.0,
        "deaf_s_today": 0.0,
        "stuck": [],
        "uptime_s": 7,
    },
}
"""What such an ear says before anything happens."""


def turn(turn_id: str, **more: Any) -> dict[str, Any]:
    began = {"wake": -900, "end_of_speech": 0, "sent": 810, "processing": 830}
    answered = {"transcript": 1200, "first_audio": 1500, "done": 2600}
    return {
        "id": turn_id,
        "began_at": 1_790_000_000.0,
        "score": 0.91,
        "speech_s": 0.8,
        "stages_ms": {**began, **answered},
        "outcome": "done",
        "cause": "",
        "provider": "builtin",
        "chunks": 1,
        "characters": 15,
        "transcript": "what time is it",
        **more,
    }


def apply(topics: Mapping[str, Any], news: News) -> dict[str, Any]:
    if isinstance(news, Snapshot):
        return dict(news.topics)
    changed = {**topics, **dict(news.changes)}
    return {topic: value for topic, value in changed.items() if value is not None}


class FeedingEar:
    """Sends a feed, inside a ``with``. The test writes the feed; any thread may.

    Commands change what an ear would change, and are recorded in ``ordered``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ticks = 0
        """How many times sound was fed: twelve times a second while somebody watches."""
        self._up = ExitStack()
        self._by: tuple[str, ...] = ()
        self._until = ""
        self._lock = threading.Lock()  # protects who muted it
        self.feed = Feed()
        self.ordered: list[str] = []
        self.is_silent = False
        """Whether no more sound comes, as after a mute."""
        self.peak = 0.9
        """Highest wake score of the speech."""
        self.begin_anew()

    def __enter__(self) -> Self:
        self._up.enter_context(ControlServer(self._folder, self._answer, self.feed, self._sample))
        return self

    def __exit__(self, *_: object) -> None:
        self._up.close()

    def begin_anew(self) -> None:
        self._by, self._until = (), ""
        self.is_silent = False
        self.ordered.clear()
        self.feed.replace(STILL)

    def mute(self, *by: str, until: str = "") -> None:
        with self._lock:
            self._by, self._until = by, until
        self.feed.put("mute", {"by": list(by), "until": until})
        self.state("muted" if by else "idle")

    def state(self, name: str, why: str = "") -> None:
        self.feed.put("state", {"name": name, "why": why, "at": 0})

    def _sample(self) -> None:
        """Say what sound there is: somebody speaks two seconds of every six."""
        self.ticks += 1
        self.feed.put("mute", {"by": list(self._by), "until": self._until})
        if self.is_silent:
            return
        speaks = self.ticks % 75 < 25
        frames = range(4 * self.ticks, 4 * self.ticks + 4)
        levels = [_level(frame, speaks=speaks) for frame in frames]
        score = (
            0.02 if not speaks else round(max(0.0, self.peak * math.sin(self.ticks % 75 / 6)), 3)
        )
        sound = {"frame": 4 * self.ticks, "dbfs": levels, "speech": speaks, "score": score}
        self.feed.put("sound", sound)

    def _answer(self, word: str) -> Mapping[str, object]:
        self.ordered.append(word)
        if word in ("mute", "toggle", "unmute"):
            is_muted = bool(self._by)
            self.mute(*(() if is_muted and word != "mute" else ("owner",)))
        elif word == "stop":
            self.state("idle", "Hushed")
        elif word == "listen":
            self.state("listening", "listen requested")
        elif word.startswith("tune "):
            return self._tune(word)
        return {"muted_by": list(self._by), "stored": True}

    def _tune(self, word: str) -> Mapping[str, object]:
        given = dict(each.split("=") for each in word.split()[1:] if "=" in each)
        if given.get("threshold") == "0.95":
            return {"error": "hearing.wake.threshold is set in another place", "status": 78}
        threshold = float(given.get("threshold", STILL["wake"]["threshold"]))
        self.feed.put("wake", {"word": "Hey Jarvis", "threshold": threshold})
        hangover_ms = int(given.get("hangover_ms", STILL["endpointing"]["hangover_ms"]))
        self.feed.put("endpointing", {"hangover_ms": hangover_ms})
        return {"tuned": given}


def _level(frame: int, *, speaks: bool) -> float:
    wave = 14 * math.sin(frame / 4.6) + 6 * math.sin(frame * 0.85)
    return round(-28 + wave if speaks else -62 + 0.12 * wave, 1)
