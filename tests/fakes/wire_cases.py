"""What every wire has to stand, from the side of the backend and from that of the ear."""

from typing import Final

import pytest

from jarvis_ear.link.registry import WIRES

CASES: Final = (
    *("connect", "refuse", "round_trip", "interruption", "abrupt_close"),
    *("half_utterance", "oversize", "garbage", "slow_reader", "reconnect"),
)
"""Names of the cases. A test of one has this name, with ``test_`` before it and more behind."""

WITH_SPEECH: Final = tuple(WIRES)
"""The wires on which somebody speaks, by the name that ``backend.protocol`` has for them."""

BUS: Final = "bus"
"""The wire that carries no sound."""

ALL: Final = (*WITH_SPEECH, BUS)
"""All of them."""

SIDES: Final = {
    "backend": ("test_backend",),
    "ear": ("test_ear", "test_ear_abroad", "test_ear_on_the_bus"),
}
"""In which files of ``tests/conformance`` a side stands the cases."""

UNTESTED: Final = {
    (side, case, BUS): why
    for side in SIDES
    for case, why in {
        "interruption": "an event is over when it is said",
        "half_utterance": "an event goes up in one frame, which has arrived or has not",
    }.items()
}
"""Why a side does not stand a case on a wire."""


def on(*wires: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("wire", wires)
