"""TurnCounts: turns, wake words, states and latencies, added up since the start."""

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from jarvis_ear.config import Config
from jarvis_ear.delivery.events import LinkUp, Verdict
from jarvis_ear.delivery.playback import Heard
from jarvis_ear.hearing.events import State, StateChanged, TurnOpened
from jarvis_ear.turn_trace.trace import DROPPED, KEPT, Stage, TraceEvent, TurnEnded, TurnTrace

BOUNDS_S: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the buckets in seconds, the same for every part, so that they can be compared.
Fine where people notice: an answer after half a second feels immediate, one after 3 s does not."""

UNFINISHED: Final = "unfinished"
"""Outcome of a turn that ended without a verdict."""

OUTCOMES: Final = (*map(str, Verdict), DROPPED, KEPT, UNFINISHED)
"""How a turn can end."""

PARTS: Final[Mapping[Stage, str]] = {
    Stage.CAPTURED: "endpoint",
    Stage.SENT: "upload",
    Stage.PROCESSING: "accepted",
    Stage.TRANSCRIPT: "speech_to_text",
    Stage.FIRST_AUDIO: "answer",
    Stage.DONE: "waiting",
}
"""Names of the parts of a latency: how long each stage took after the one before."""

FIRST_SOUND: Final = "first_sound_seconds"
"""Name of the time from the end of speech to the first sound: the sum of the parts before it."""


class Histogram:
    """Counts of durations in buckets. Owned by ``TurnCounts``; bounded, whatever is observed."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self._sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Count a duration. A negative one, of clocks that disagree, counts as 0."""
        duration_s = max(0.0, duration_s)
        self._counts[bisect_left(BOUNDS_S, duration_s)] += 1
        self._sum_s += duration_s

    def read(self) -> "HistogramCounts":
        """Return what was counted."""
        return HistogramCounts(tuple(self._counts), self._sum_s)


@dataclass(frozen=True, slots=True)
class HistogramCounts:
    """Counts of one histogram at one moment. A value."""

    counts: tuple[int, ...]
    """Durations in each bucket: up to its bound of ``BOUNDS_S``, the last one above all."""
    sum_s: float
    """Sum of all durations in seconds."""

    def cumulated(self) -> Sequence[tuple[float, int]]:
        """Return for each bound, and for infinity, how many durations do not exceed it."""
        total, pairs = 0, []
        for bound, count in zip((*BOUNDS_S, float("inf")), self.counts, strict=True):
            total += count
            pairs.append((bound, total))
        return pairs


@dataclass(frozen=True, slots=True)
class Totals:
    """Everything that ``TurnCounts`` has counted, at one moment. A value, without words."""

    wake_words: Mapping[str, int] = field(default_factory=dict)
    """Detections that began a turn, by wake word: all that the ear has listened for."""
    reconnects: int = 0
    """How often the backend was reached again."""
    turns: Mapping[str, int] = field(default_factory=dict)
    """Turns that ended, by outcome: all of ``OUTCOMES``."""
    replies: Mapping[str, int] = field(default_factory=dict)
    """Replies of turns, by how much was heard: all of ``Heard``."""
    announcements: Mapping[str, int] = field(default_factory=dict)
    """Announcements, by how much was heard."""
    state_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds spent in each state: all of ``State``."""
    latencies: Mapping[str, HistogramCounts] = field(default_factory=dict)
    """Durations of the ``PARTS``, and ``FIRST_SOUND``."""


class TurnCounts:
    """Adds up what happens in turns. A view of ``TurnHistory``, which calls ``draw``.

    Any thread may ``read``; one lock protects the sums. It holds numbers only, no turn.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._state = State.IDLE
        self._since = now()
        self._wake_words: Counter[str] = Counter()
        self._reconnects = 0
        self._turns = Counter(dict.fromkeys(OUTCOMES, 0))
        self._replies = Counter({str(heard): 0 for heard in Heard})
        self._announcements = Counter({str(heard): 0 for heard in Heard})
        self._state_s = {str(state): 0.0 for state in State}
        self._latencies = {name: Histogram() for name in (*PARTS.values(), FIRST_SOUND)}

    def change(self, options: Config) -> None:
        """Also count these wake words from now on."""
        with self._lock:
            self._wake_words.update({word.name: 0 for word in options.hearing.wake.all_words})

    def draw(self, event: TraceEvent, trace: TurnTrace | None) -> None:
        """Count an event."""
        with self._lock:
            match event:
                case StateChanged(_, new):
                    self._pass_time()
                    self._state = new
                case TurnOpened(score=float(), word=word):
                    self._wake_words[word.name] += 1
                case LinkUp(_, after_s):
                    self._reconnects += after_s is not None
                case TurnEnded() if trace is not None:
                    self._end(trace)

    def read(self) -> Totals:
        """Return the sums as of now."""
        with self._lock:
            self._pass_time()
            return Totals(
                dict(self._wake_words),
                self._reconnects,
                dict(self._turns),
                dict(self._replies),
                dict(self._announcements),
                dict(self._state_s),
                {name: each.read() for name, each in self._latencies.items()},
            )

    def _pass_time(self) -> None:
        now = self._now()
        self._state_s[str(self._state)] += now - self._since
        self._since = now

    def _end(self, trace: TurnTrace) -> None:
        heard, _why = trace.heard()
        if trace.is_announcement:
            self._announcements[heard] += 1
            return
        self._turns[trace.outcome or UNFINISHED] += 1
        if trace.finished is not None and trace.finished.chunks:
            self._replies[heard] += 1
        for stage, spent_ms in trace.spent_ms().items():
            self._latencies[PARTS[stage]].observe(spent_ms / 1000)
        first_ms = trace.latencies_ms().get(Stage.FIRST_AUDIO)
        if first_ms is not None:
            self._latencies[FIRST_SOUND].observe(first_ms / 1000)
