import re
from typing import get_args

import pytest

from jarvis_ear.hearing.events import Event, State, StateChanged, TurnDropped
from jarvis_ear.hearing.utterance import EndReason
from jarvis_ear.turn_trace import words
from jarvis_ear.turn_trace.trace import TurnTrace
from jarvis_ear.units import Samples

NAMES = [kind.__name__ for kind in get_args(Event)]
REASONS = [
    *(*NAMES, *(f"SpeechEnded({reason})" for reason in EndReason)),
    *("Failed(link_lost)", "Failed()", "SomethingNew(for_a_reason)"),
]


@pytest.mark.parametrize("reason", REASONS)
def test_no_reason_is_the_name_of_a_class(reason):
    for old in State:
        changed = words.state_reason(StateChanged(old, State.IDLE, Samples(0), reason))
        assert re.fullmatch(r"[^A-Z(_]+", changed)
    if reason in NAMES:
        dropped = TurnTrace("7f3a").after(TurnDropped("7f3a", reason), 0)
        assert not re.search(r"[A-Z(_]", words.drop_reason(dropped))
