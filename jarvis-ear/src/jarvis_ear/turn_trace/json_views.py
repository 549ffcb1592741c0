"""ConsoleView, BusView, HookView and MqttView: the turns as JSON, for other programs."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from jarvis_ear import __version__
from jarvis_ear.config import Config
from jarvis_ear.control.feed import Feed
from jarvis_ear.delivery.events import Finished, LinkDown, LinkUp, Transcribed
from jarvis_ear.hearing.events import State, StateChanged, TurnDropped, TurnOpened
from jarvis_ear.hooks.event import HookEvent
from jarvis_ear.turn_trace import words
from jarvis_ear.turn_trace.trace import (
    DROPPED,
    FAILURES,
    TraceEvent,
    TurnEnded,
    TurnForgotten,
    TurnTrace,
)
from jarvis_ear.wires.event_bus import Event, stamp

MAX_QUOTED: Final = 2000
"""Characters of a text from the backend: more than a person says in half a minute, or reads."""

MAX_TURNS: Final = 12
"""Number of turns on the feed: as many as a person looks back on."""


class ConsoleView:
    """Sets the topics of a feed. Called by ``TurnHistory``.

    Words are shown only while ``console.transcripts`` is set. Bound: ``MAX_TURNS`` turns. Policy:
    the oldest goes.
    """

    def __init__(self, feed: Feed, wall: Callable[[], float] = time.time) -> None:
        self._feed = feed
        self._wall = wall
        self._shows_words = False
        self._shown: list[str] = []
        self._put_state(State.IDLE, "")

    def change(self, options: Config) -> None:
        """Show these options. Deltas with words that were not fetched yet are dropped."""
        if self._shows_words and not options.console.transcripts:
            self._feed.make_void()
        self._shows_words = options.console.transcripts
        words = options.hearing.wake.all_words
        name = " / ".join(word.name for word in words)
        wake = {"word": name, "threshold": words[0].threshold}
        self._feed.put("about", {"agent": options.backend.agent_id, "version": __version__})
        self._feed.put("wake", wake)
        self._feed.put("endpointing", {"hangover_ms": options.hearing.endpointing.hangover_ms})
        self._feed.put("quiet_hours", {"between": options.microphone.mute_between})
        self._feed.put("words", {"shown": options.console.transcripts})

    def draw(self, event: TraceEvent, trace: TurnTrace | None) -> None:
        """Set the topics that the event changes."""
        match event:
            case StateChanged(_, new):
                self._put_state(new, words.state_reason(event))
            case LinkUp(url):
                self._feed.put("link", {"up": True, "url": url, "at": self._wall()})
            case LinkDown(reason):
                self._feed.put("link", {"up": False, "why": reason, "at": self._wall()})
            case TurnForgotten(turn_id):
                self._hide(turn_id)
            case _ if trace is not None and not trace.is_announcement:
                self._show(trace)

    def _put_state(self, state: State, why: str) -> None:
        self._feed.put("state", {"name": str(state), "why": why, "at": self._wall()})

    def _show(self, trace: TurnTrace) -> None:
        if trace.turn_id not in self._shown:
            self._shown.append(trace.turn_id)
            for turn_id in self._shown[:-MAX_TURNS]:
                self._hide(turn_id)
        self._feed.put(f"turn:{trace.turn_id}", self._topic(trace))

    def _hide(self, turn_id: str) -> None:
        if turn_id in self._shown:
            self._shown.remove(turn_id)
            self._feed.put(f"turn:{turn_id}", None)

    def _topic(self, trace: TurnTrace) -> dict[str, Any]:
        is_over = trace.is_over or trace.ended_at is not None
        heard, why = trace.heard() if is_over else ("", "")
        is_dropped = trace.outcome == DROPPED
        texts = {"partial": trace.partial, "transcript": trace.transcript, "reply": trace.reply}
        lengths = {"characters": trace.characters, "reply_characters": trace.reply_characters}
        return {
            "id": trace.turn_id,
            "began_at": round(trace.began_at, 1),
            "score": None if trace.score is None else round(trace.score, 2),
            "speech_s": None if trace.speech_s is None else round(trace.speech_s, 2),
            "stages_ms": {stage.name.lower(): ms for stage, ms in trace.latencies_ms().items()},
            "outcome": trace.outcome,
            "cause": words.drop_reason(trace) if is_dropped else trace.cause,
            "provider": trace.provider[:MAX_QUOTED],
            "chunks": trace.chunks,
            "heard": heard,
            "heard_reason": why,
            **{name: length for name, length in lengths.items() if length is not None},
            **{
                name: text[:MAX_QUOTED]
                for name, text in texts.items()
                if text and self._shows_words
            },
        }


class BusView:
    """Posts events about turns: wake words, transcripts and outcomes. Called by ``TurnHistory``.

    ``post`` must not block. Until ``change``, nothing is allowed.
    """

    def __init__(
        self, post: Callable[[Event], None], wall: Callable[[], float] = time.time
    ) -> None:
        self._agent_id = ""
        self._allowed: frozenset[str] = frozenset()
        self._post = post
        self._wall = wall

    def change(self, options: Config) -> None:
        """Post under this agent id what ``bus.news`` allows."""
        self._agent_id, self._allowed = options.backend.agent_id, options.bus.news

    def draw(self, event: TraceEvent, trace: TurnTrace | None) -> None:
        """Post what the event means for other members of the bus."""
        match event:
            case TurnOpened(turn_id, score=float(score)):
                self._tell("wake", turn_id, score=round(score, 3))
            case Transcribed(turn_id, text):
                self._tell("transcript", turn_id, text=text)
            case TurnDropped(turn_id) | Finished(turn_id) if trace is not None:
                self._tell("turn", turn_id, verdict=trace.outcome, code=trace.cause)

    def _tell(self, kind: str, turn_id: str, **fields: object) -> None:
        if kind in self._allowed:
            data = {"agentId": self._agent_id, "turnId": turn_id, **fields}
            self._post(Event(kind, data, stamp(self._wall())))


class HookView:
    """Posts states, wake words and failed turns to the hooks. Called by ``TurnHistory``.

    ``post`` must not block. The first event is the state at the start.
    """

    def __init__(
        self, post: Callable[[HookEvent], None], wall: Callable[[], float] = time.time
    ) -> None:
        self._post = post
        self._wall = wall
        self._agent_id = ""
        self._state = State.IDLE

    def change(self, options: Config) -> None:
        """Post under this agent id; the first time, post the state."""
        is_start, self._agent_id = not self._agent_id, options.backend.agent_id
        if is_start:
            self._tell(str(self._state), reason="start")

    def draw(self, event: TraceEvent, trace: TurnTrace | None) -> None:
        """Post what the event means for a hook."""
        match event:
            case StateChanged(old, new):
                self._state = new
                turn_id = "" if trace is None else trace.turn_id
                name = State.LISTENING if new is State.FOLLOW_UP else new
                why = words.state_reason(event)
                self._tell(str(name), turn_id=turn_id, previous=str(old), reason=why)
            case TurnOpened(turn_id, score=float()):
                self._tell("wake", turn_id=turn_id, reason="wake detected")
            case Finished(turn_id, verdict, code) if verdict in FAILURES:
                why, kind = words.spaced(code), str(verdict)
                self._tell("failed", turn_id=turn_id, reason=why, verdict=kind, code=str(code))

    def _tell(self, name: str, **fields: str) -> None:
        event = HookEvent(name, self._wall(), self._agent_id, state=str(self._state), **fields)
        self._post(event)


class MqttView:
    """Posts states and ended turns to an MQTT broker. Called by ``TurnHistory``.

    Words are posted only while ``mqtt.transcripts`` is set. ``enter`` gets each new state,
    ``post_turn`` each turn; neither may block.
    """

    def __init__(
        self, enter: Callable[[str], None], post_turn: Callable[[Mapping[str, object]], None]
    ) -> None:
        self._enter = enter
        self._post_turn = post_turn
        self._shows_words = False

    def change(self, options: Config) -> None:
        """Post words from now on, or none."""
        self._shows_words = options.mqtt.transcripts

    def draw(self, event: TraceEvent, trace: TurnTrace | None) -> None:
        """Post a state, or a turn that has ended."""
        match event:
            case StateChanged(_, new):
                self._enter(str(new))
            case TurnEnded() if trace is not None and not trace.is_announcement:
                self._post_turn(self._turn(trace))

    def _turn(self, trace: TurnTrace) -> Mapping[str, object]:
        heard, why = trace.heard()
        is_dropped = trace.outcome == DROPPED
        said = {"transcript": trace.transcript, "reply": trace.reply} if self._shows_words else {}
        return {
            "turn_id": trace.turn_id,
            "at": stamp(trace.began_at),
            "verdict": trace.outcome or "unfinished",
            "cause": words.drop_reason(trace) if is_dropped else trace.cause,
            "heard": heard,
            "heard_reason": why,
            "answer_ms": trace.answer_ms(),
            "speech_ms": None if trace.speech_s is None else round(1000 * trace.speech_s),
            "wake_word": None if trace.score is None else trace.wake_word.name,
            "wake_score": None if trace.score is None else round(trace.score, 3),
            **{name: text[:MAX_QUOTED] for name, text in said.items()},
        }
