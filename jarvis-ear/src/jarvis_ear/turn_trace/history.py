"""TurnHistory: the traces of the newest turns, and the views that draw them."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from jarvis_ear.config import Config
from jarvis_ear.delivery.events import Finished, LinkDown, LinkUp, UnaskedSpeech
from jarvis_ear.delivery.playback import PlaybackEnded, PlaybackReported, PlaybackStarted
from jarvis_ear.errors import TurnFailed
from jarvis_ear.hearing import events as hearing
from jarvis_ear.hearing.events import State, StateChanged
from jarvis_ear.turn_trace import words
from jarvis_ear.turn_trace.trace import (
    ANNOUNCED,
    DROPPED,
    FAILURES,
    KEPT,
    TraceEvent,
    TurnEnded,
    TurnForgotten,
    TurnTrace,
    WordsForgotten,
)

MAX_TURNS: Final = 32
"""Number of traces that are kept: more than the outbox holds utterances."""

RECENT: Final = 5
"""Number of turns in a status report."""

_AWAITS_REPLY: Final = (State.THINKING, State.SPEAKING)
_OPENS_NO_TRACE: Final = (
    *(StateChanged, hearing.AbandonTurn, hearing.StopSpeaking),
    *(hearing.HoldTurn, hearing.ResumeTurn, hearing.SupersedeTurn),
    *(hearing.SelfEchoIgnored, hearing.PersonOverReply),
    *(PlaybackStarted, PlaybackReported, PlaybackEnded),
)
"""Events that an announcement has too, which is not a turn."""


class View(Protocol):
    """A drawing of the traces. Called under the lock of the history; no call blocks."""

    def draw(self, event: TraceEvent, trace: TurnTrace | None) -> None:
        """Draw ``trace`` after ``event``; None if the event belongs to no known turn."""

    def change(self, options: Config) -> None:
        """Draw with these options from now on."""


class TurnHistory:
    """Records every event of the ear, of delivery and of the speaker, and has the views drawn.

    The ear thread, the network thread and the speaker thread call ``after``, the main thread calls
    ``change`` and ``close``; any thread may ask. One lock protects the traces and the views and
    keeps their output in order: a view is drawn in the thread of the caller. Bound: ``MAX_TURNS``.
    Policy: the oldest ended trace goes, or the oldest one, as unfinished. Counter: ``unfinished``.
    ``on_heard`` gets the turn, how much of its reply was heard, and why not all (see
    ``delivery.playback``), under the lock: it must not block.
    """

    def __init__(
        self,
        options: Config,
        *views: View,
        on_heard: Callable[[str, str, str], None] = lambda _turn_id, _heard, _why: None,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._views = views
        self._on_heard = on_heard
        self._now = now
        self._wall = wall
        self._lock = threading.Lock()
        self._traces: OrderedDict[str, TurnTrace] = OrderedDict()
        self._backend = ""
        self._state = State.IDLE
        self._current = ""  # the turn that the ear is in
        self._last_sent = ""
        self._last_finished: Finished | None = None  # of the turn above
        self._recent: deque[TurnTrace] = deque(maxlen=RECENT)
        self.unfinished = 0
        """Turns without an end: it came too late, or not before the ear stopped."""
        self.change(options)

    def after(self, event: TraceEvent) -> None:
        """Record an event, and the end of each turn that is over because of it."""
        if isinstance(event, hearing.UtteranceGrew):  # frequent, and no view draws it
            return
        with self._lock:
            self._record(event)
            if isinstance(event, hearing.TurnOpened):  # the line of the new state comes first
                return
            for trace in list(self._traces.values()):
                if trace.ended_at is None and trace.is_over and not self._is_awaited(trace):
                    self._end(trace.turn_id)

    def change(self, options: Config) -> None:
        """Use other options, and forget all words if none of them may be kept."""
        with self._lock:
            published = bool(options.mqtt.url) and options.mqtt.transcripts
            self._keeps_words = options.console.transcripts or published
            for view in self._views:
                view.change(options)
            for turn_id in () if self._keeps_words else tuple(self._traces):
                self._record(WordsForgotten(turn_id))

    def close(self) -> None:
        """End every turn: no event follows."""
        with self._lock:
            for trace in list(self._traces.values()):
                if trace.ended_at is None:
                    self._end(trace.turn_id)

    def counters(self) -> Mapping[str, int]:
        """Return the number of unfinished turns."""
        return {"turns_unfinished": self.unfinished}

    def recent(self) -> list[dict[str, object]]:
        """Return the last turns with an utterance that ended, newest first, without words."""
        with self._lock:
            now, traces = self._now(), list(self._recent)
        return [
            {
                "turn": trace.turn_id,
                "ended_s_ago": round(now - (trace.ended_at or now), 1),
                "story": words.summary(trace),
                "heard": trace.heard()[0],
                "heard_reason": trace.heard()[1],
            }
            for trace in reversed(traces)
        ]

    def failure(self) -> TurnFailed | None:
        """Return the error of the newest utterance if its verdict is a failure, else None.

        A turn that the person abandoned is not a failure.
        """
        last = self._last_finished
        if last is None or last.verdict not in FAILURES:
            return None
        verdict, cause = words.spaced(last.verdict), words.spaced(last.code)
        return TurnFailed(f"the last command of the input ended as {verdict} ({cause})")

    def _record(self, event: TraceEvent) -> None:
        turn_id = self._turn_of(event)
        if turn_id and turn_id not in self._traces and not isinstance(event, _OPENS_NO_TRACE):
            self._open(turn_id)
        match event:
            case hearing.TurnOpened() | hearing.ResumeTurn():
                self._current = turn_id
            case hearing.SendUtterance():
                self._last_sent, self._last_finished = turn_id, None
            case Finished() if turn_id == self._last_sent:
                self._last_finished = event
            case StateChanged(_, new):
                self._state = new
                self._current = "" if new is State.IDLE else self._current
            case LinkUp(url):
                self._backend = url
                self._traces.update({key: self._next(key, event) for key in self._traces})
        trace = self._traces.get(turn_id)
        if trace is not None:
            trace = self._traces[turn_id] = self._next(turn_id, event)
        for view in self._views:
            view.draw(event, trace)

    def _turn_of(self, event: TraceEvent) -> str:
        match event:
            case StateChanged():
                return self._current
            case hearing.Ignored() | hearing.NearMiss() | hearing.ShadowDiffered():
                return ""
            case LinkUp() | LinkDown() | UnaskedSpeech():
                return ""
            case _:
                return event.turn_id

    def _open(self, turn_id: str) -> None:
        if len(self._traces) >= MAX_TURNS:
            traces = self._traces.values()
            ended = (trace for trace in traces if trace.ended_at is not None)
            oldest = next(ended, next(iter(traces)))
            if oldest.ended_at is None:
                self._end(oldest.turn_id)
            self._record(TurnForgotten(oldest.turn_id))
            del self._traces[oldest.turn_id]
        self._traces[turn_id] = TurnTrace(turn_id, self._wall(), self._backend)

    def _next(self, turn_id: str, event: TraceEvent) -> TurnTrace:
        now = self._now()
        trace = self._traces[turn_id].after(event, now)
        return trace if self._keeps_words else trace.after(WordsForgotten(turn_id), now)

    def _is_awaited(self, trace: TurnTrace) -> bool:
        """Whether the ear still waits for the reply: the line about its next state comes first."""
        return trace.turn_id == self._current and self._state in _AWAITS_REPLY

    def _end(self, turn_id: str) -> None:
        self._record(TurnEnded(turn_id))
        trace = self._traces[turn_id]
        self.unfinished += not trace.outcome
        if trace.outcome not in (DROPPED, KEPT, ANNOUNCED):
            self._recent.append(trace.after(WordsForgotten(turn_id), self._now()))
        has_reply = trace.finished is not None and trace.finished.chunks  # else the verdict says it
        if has_reply and not trace.is_announcement:
            self._on_heard(turn_id, *trace.heard())
