"""What people are told of a change: words, and never the name of a class."""

import re
from typing import get_args

import pytest

from jarvis_ear.hearing.events import Event, State, StateChanged, TurnDropped
from jarvis_ear.hearing.utterance import EndReason
from jarvis_ear.turn_trace import words
from jarvis_ear.turn_trace.trace import TurnTrace
from jarvis_ear.units import Samples

NAMES = [kind.__name__ for kind in get_args(Event)]
TOLD = [
    *NAMES,
    *(f"SpeechEnded({reason})" for reason in EndReason),
    "Failed(link_lost)",
    "Failed()",
    "SomethingNew(for_a_reason)",
]


@pytest.mark.parametrize("told", TOLD)
@pytest.mark.parametrize("old", State)
def test_no_change_is_told_by_the_name_of_a_class(told, old):
    said = words.state_reason(StateChanged(old, State.IDLE, Samples(0), told))
    assert said
    assert not re.search(r"[A-Z(_]", said), said


@pytest.mark.parametrize("name", NAMES)
def test_neither_is_the_end_of_a_turn(name):
    dropped = TurnTrace("7f3a").after(TurnDropped("7f3a", name), 0)
    assert not re.search(r"[A-Z(_]", words.drop_reason(dropped))


def test_the_end_of_an_utterance_is_in_words():
    ended = StateChanged(State.CAPTURING, State.THINKING, Samples(0), "SpeechEnded(hangover)")
    assert words.state_reason(ended) == "speech ended: hangover"
