"""Screen: what a watcher has seen of an ear, drawn as lines for a terminal. Pure."""

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from jarvis_ear.control.feed import News, Snapshot
from jarvis_ear.control.report_text import NAME_WIDTH, TO_DO, Row, duration, lay_out, rows
from jarvis_ear.units import Dbfs

BEST_S: Final = 10.0
"""Seconds for which the best score stays: long enough to look at the screen after the word."""

QUIETEST: Final = Dbfs(-80.0)
"""Left end of the level meter."""

WAITS: Final = "systemctl start jarvis-ear, or jarvis-ear run; this screen waits for it"
"""What to do while there is no ear."""

MIN_TURNS: Final = 2
"""Lines for turns that a small terminal keeps free."""

MAX_BAR: Final = 40
"""Characters of a meter."""

_PLACES: Final = 8
"""Characters of the number before a meter."""

STYLES: Final[Mapping[str, str]] = {"deaf": "bold red", "muted": "bold yellow"}
"""Styles of the states in which the ear does not hear."""


def printable(text: object) -> str:
    """Return a text of a backend without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))


class Watch:
    """What one watcher has seen of an ear. Owned by the main thread.

    Times are seconds: ``now`` of a monotonic clock, those in the topics since 1970.
    """

    def __init__(self) -> None:
        self.topics: dict[str, Any] = {}
        """The current topics of the feed, and ``ear``: whether they are current."""
        self.lost_backend = 0
        """How often the backend was lost."""
        self.lost_ear = 0
        """How often the ear was lost."""
        self.level = QUIETEST
        """Level of the loudest frame of the last news with sound."""
        self._scores: deque[tuple[float, float]] = deque()

    def apply(self, news: News, now: float) -> list[str]:
        """Take news in, and return what a person should read of it, one line each."""
        old = self.topics
        if isinstance(news, Snapshot):
            self.topics = dict(news.topics)
        else:
            self.topics = {**old, **dict(news.changes)}
        self.topics = {topic: value for topic, value in self.topics.items() if value is not None}
        self.lost_ear += _is_up(old, "ear") and not _is_up(self.topics, "ear")
        is_same_ear = _is_up(old, "ear") and _is_up(self.topics, "ear")
        self.lost_backend += is_same_ear and _is_up(old, "link") and not _is_up(self.topics, "link")
        if sound := self.topics.get("sound"):
            self._scores.append((now, sound["score"]))
            self.level = Dbfs(max(sound["dbfs"], default=self.level))
        while self._scores and now - self._scores[0][0] > BEST_S:
            self._scores.popleft()
        past = isinstance(news, Snapshot)
        return [printable(line) for line in self._told(old, with_past=not past)]

    @property
    def best(self) -> float:
        """The best wake score of the last ``BEST_S`` seconds."""
        return max((score for _, score in self._scores), default=0.0)

    @property
    def is_current(self) -> bool:
        """Whether the topics are those of a running ear."""
        return _is_up(self.topics, "ear")

    @property
    def report(self) -> dict[str, Any] | None:
        """The health report as `jarvis-ear status` gets it, without turns; None: not known yet."""
        health, state = self.topics.get("health"), self.topics.get("state")
        if health is None or state is None:
            return None
        mute = self.topics.get("mute", {})
        hears = health["hearing"] and state["name"] not in STYLES  # the health may be a second old
        now = {"state": state["name"], "hearing": hears, "turns": []}
        by = {"muted_by": mute.get("by", []), "muted_until": mute.get("until", "")}
        return {"counters": {}, **health, **now, **by}

    def turns(self) -> list[dict[str, Any]]:
        """Return the turns, the newest first."""
        found = [value for topic, value in self.topics.items() if topic.startswith("turn:")]
        return sorted(found, key=lambda turn: turn["began_at"], reverse=True)

    def _told(self, old: Mapping[str, Any], *, with_past: bool) -> Iterator[str]:
        """Yield a line for each topic that has changed and that is an event for people.

        Turns and near misses of a snapshot are past, and their time is no longer known.
        """
        for topic in sorted(self.topics, key=lambda topic: topic != "ear"):
            value = self.topics[topic]
            if old.get(topic) == value:
                continue
            if topic == "ear":
                yield "watching the ear" if value["up"] else f"no ear: {value['why']}"
            elif topic == "state" and (report := self.report) is not None:
                report["hearing"] = value["name"] not in STYLES
                table = rows(report)[: _states(rows(report))]
                yield from (f"{name.strip()}: {text}" for name, text in table)
            elif topic == "link":
                where = value.get("url", "") if value["up"] else value.get("why", "")
                yield f"backend {'connected' if value['up'] else 'away'}: {where}"
            elif topic == "near_miss" and with_past:
                yield f"near miss, score {value['score']:.2f}: {value['reason']}"
                yield f"to do, if that was you: {value['remedy']}"
            elif topic.startswith("turn:") and value["outcome"] and with_past:
                yield f"turn {brief(value)}"


def _is_up(topics: Mapping[str, Any], topic: str) -> bool:
    return bool(topics.get(topic, {}).get("up"))


def _states(table: list[Row]) -> int:
    """Return how many rows of a report are about its state."""
    return next(place for place, (name, _) in enumerate(table) if name == "backend")


def brief(turn: Mapping[str, Any]) -> str:
    """Return one turn as a line: its outcome, how fast, what was heard, and its words if shown."""
    outcome = turn["outcome"].replace("_", " ") or "in progress"
    cause = f" ({turn['cause'].replace('_', ' ')})" if turn["cause"] else ""
    first_ms = turn["stages_ms"].get("first_audio")
    fast = "" if first_ms is None else f" in {first_ms / 1000:.1f} s"
    score = "" if turn["score"] is None else f", score {turn['score']:.2f}"
    heard, why = turn.get("heard", ""), turn.get("heard_reason", "").replace("_", " ")
    is_missed = turn["outcome"] == "done" and heard in ("none", "part", "interrupted")
    missed = f", heard: {heard}{f' ({why})' if why and why != heard else ''}" if is_missed else ""
    said = turn.get("transcript") or turn.get("partial")
    words = f', "{said}"' if said else ""
    reply = f": {turn['reply']}" if turn.get("reply") else ""
    return printable(f"{outcome}{cause}{fast}{missed}{words}{reply}{score}")


class MeterRow(NamedTuple):
    """A row of the screen: a number, a bar with a mark in it, and a note. A value."""

    name: str
    number: str
    share: float
    """Length of the bar, from 0 to 1."""
    mark: float | None
    """Place of the mark, from 0 to 1; None: there is none."""
    note: str
    style: str

    def line(self, width: int, *, is_ascii: bool) -> Text:
        """Draw the row in ``width`` characters."""
        length = max(1, min(MAX_BAR, width - NAME_WIDTH - _PLACES - len(self.note) - 2))
        full, empty, sign = ("#", ".", "|") if is_ascii else ("█", "░", "┃")
        filled = round(self.share * length)
        bar = Text(full * filled, style=self.style)
        bar.append(empty * (length - filled), style="dim")
        if self.mark is not None:
            place = min(length - 1, round(self.mark * length))
            bar = Text.assemble(bar[:place], (sign, "bold"), bar[place + 1 :])
        line = Text(f"{self.name:<{NAME_WIDTH}}{self.number:<{_PLACES}}")
        return line.append_text(bar).append(f" {self.note}".rstrip())


class Screen:
    """Draws a watch in the width and height of the console. Made for one drawing."""

    def __init__(self, watch: Watch, now: datetime) -> None:
        self._watch = watch
        self._now = now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, options.height or console.height
        is_ascii = options.ascii_only
        lines = [self._headline(width)]
        if not self._watch.is_current:
            why = self._watch.topics.get("ear", {}).get("why", "not asked yet")
            lines += _styled([("state", f"no ear: {why}"), (TO_DO, WAITS)], width)
        elif (report := self._watch.report) is None:
            lines += _styled([("state", "waits for the first report")], width)
        else:
            lines += self._ear_lines(report, width, height, is_ascii=is_ascii)
        for place, line in enumerate(lines[:height]):
            line.truncate(width, overflow="crop" if is_ascii else "ellipsis")
            line.end = "" if place == height - 1 else "\n"  # a line feed there would scroll
            yield line

    def _headline(self, width: int) -> Text:
        about = self._watch.topics.get("about", {})
        agent, version = about.get("agent", ""), f"jarvis-ear {about.get('version', '')}".strip()
        name = printable(version if agent in ("", "jarvis-ear") else f"{agent}, {version}")
        health = self._watch.topics.get("health", {}) if self._watch.is_current else {}
        age = f", running for {duration(health['uptime_s'])}" if "uptime_s" in health else ""
        clock = f"{self._now:%H:%M:%S}"
        left = f"{name}{age}"
        return Text(f"{left:<{max(0, width - len(clock) - 1)}} {clock}", style="bold")

    def _ear_lines(
        self, report: dict[str, Any], width: int, height: int, *, is_ascii: bool
    ) -> list[Text]:
        table = rows(report)
        state = self._watch.topics["state"]
        since = f", since {_clock(state['at'])}" if state.get("at") else ""
        table[0] = ("state", f"{table[0][1]}{since}")
        split = _states(table)
        above = _styled(table[:split], width, STYLES.get(report["state"], "bold green"))
        meters = (self._level(report), self._score(report))
        above += [meter.line(width, is_ascii=is_ascii) for meter in meters]
        below = [row for row in table[split:] if row[0] != "running"]
        if lost := self._lost():
            below.append(("reconnects", lost))
        others = _styled(below, width)
        turns = self._turn_lines(width)
        room = max(MIN_TURNS, height - 1 - len(above) - len(others))
        turns = turns[:room]
        others = others[: max(0, height - 1 - len(above) - len(turns))]
        return [*above, *others, *turns]

    def _lost(self) -> str:
        """Say how often the backend and the ear were lost; empty: not at all."""
        lost = {"the backend": self._watch.lost_backend, "the ear": self._watch.lost_ear}
        texts = [f"{name} {_times(count)}" for name, count in lost.items() if count]
        return f"{', '.join(texts)}, since this was started" if texts else ""

    def _level(self, report: Mapping[str, Any]) -> MeterRow:
        hears = report["hearing"] and not report["muted_by"]
        level = self._watch.level if hears else QUIETEST
        floor = report.get("noise_floor_dbfs")
        number = f"{level:.0f} dB" if hears else "none"
        share, mark = _share_of(level), _share_of(floor) if hears and floor is not None else None
        note = "" if floor is None or not hears else f"room {floor:.0f} dB"
        speech = hears and self._watch.topics.get("sound", {}).get("speech")
        style = "green" if speech else "blue"
        return MeterRow("level", number, share, mark, note, style)

    def _score(self, report: Mapping[str, Any]) -> MeterRow:
        hears = report["hearing"] and not report["muted_by"]
        score = self._watch.topics.get("sound", {}).get("score", 0.0) if hears else 0.0
        threshold = self._watch.topics.get("wake", {}).get("threshold")
        limit = "" if threshold is None else f"of {threshold:g}, "
        note = f"{limit}best {self._watch.best:.2f}"
        style = "bold red" if threshold is not None and score >= threshold else "cyan"
        number = f"{score:.2f}" if hears else "none"
        return MeterRow("wake score", number, score, threshold, note, style)

    def _turn_lines(self, width: int) -> list[Text]:
        turns = self._watch.turns()
        if not turns:
            return _styled([("last turns", "none yet")], width)
        names = ["last turns", *("" for _ in turns)]
        return [
            Text(f"{name:<{NAME_WIDTH}}{_clock(turn['began_at'])} {brief(turn)}")
            for name, turn in zip(names, turns, strict=False)
        ]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at):%H:%M:%S}"  # noqa: DTZ006 - on the wall


def _share_of(level: float) -> float:
    return min(1.0, max(0.0, 1 - level / QUIETEST))


def _styled(table: list[Row], width: int, first: str = "") -> list[Text]:
    """Lay rows out; remedies are coloured, and the first row has the style ``first``."""
    lines: list[Text] = []
    for place, (name, text) in enumerate(table):
        style = "yellow" if name == TO_DO else first if place == 0 else ""
        folded = lay_out([(name, printable(text))], width).splitlines()
        lines += [Text(line, style=style) for line in folded]
    return lines
