"""What the bus is told of a turn: only what the owner allows, and never any sound."""

import pytest

from jarvis_ear.config import NEWS
from jarvis_ear.delivery.events import Finished, LinkUp, Transcribed, Verdict
from jarvis_ear.delivery.playback import Playback
from jarvis_ear.hearing.events import State, StateChanged, TurnDropped, TurnOpened, UtteranceGrew
from jarvis_ear.turn_trace.bus_view import BusNews
from jarvis_ear.units import Samples

NOW = 1_700_000_000.0
WAKE = TurnOpened("t1", "s1", Samples(0), 0.91234)
FOLLOW_UP = TurnOpened("t2", "s1", Samples(0), None)


def events(*allowed: str):
    told = []
    news = BusNews("kitchen", frozenset(allowed), told.append, wall=lambda: NOW)
    news.effect(WAKE)
    news.effect(FOLLOW_UP)
    news.effect(UtteranceGrew("t1", 0, b"\0\0"))
    news.effect(StateChanged(State.IDLE, State.LISTENING, Samples(0), "WakeDetected"))
    news.effect(TurnDropped("t2", "no speech"))
    news.delivery(LinkUp("http://x", None))
    news.delivery(Transcribed("t1", "what time is it"))
    news.reply_started("t1")
    news.delivery(Finished("t1", Verdict.DONE, "", 2))
    news.reply_heard("t1", Playback())
    news.reply_ended("t1")
    return [(event.type, dict(event.data)) for event in told]


EXPECTED = [
    ("wake", {"agentId": "kitchen", "turnId": "t1", "score": 0.912}),
    (
        "turn",
        {"agentId": "kitchen", "turnId": "t2", "verdict": "dropped", "code": "no speech"},
    ),
    ("transcript", {"agentId": "kitchen", "turnId": "t1", "text": "what time is it"}),
    ("turn", {"agentId": "kitchen", "turnId": "t1", "verdict": "done", "code": ""}),
]


def test_everything_if_everything_is_allowed():
    assert events(*NEWS) == EXPECTED


@pytest.mark.parametrize("name", NEWS)
def test_only_what_is_allowed(name):
    assert events(name) == [(kind, data) for kind, data in EXPECTED if kind == name]


def test_nothing_by_default():
    assert events() == []


def test_another_name_and_other_things_allowed():
    told = []
    news = BusNews("kitchen", frozenset(), told.append, wall=lambda: NOW)
    news.effect(WAKE)
    news.change("hall", frozenset({"wake"}))
    news.effect(WAKE)
    assert [event.data["agentId"] for event in told] == ["hall"]
