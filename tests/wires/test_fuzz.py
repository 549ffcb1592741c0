"""Any payload becomes a message or a RemoteProtocolError, in bounded time."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wires import socketio as wire

EVENTS = [
    wire.LISTENING,
    wire.PROCESSING,
    wire.TRANSCRIPT,
    wire.THINKING,
    wire.TTS_CHUNK,
    wire.TTS_DONE,
    wire.ERROR,
    wire.PONG,
]
KEYS = ["agentId", "text", "provider", "index", "contentType", "audio", "totalChunks", "error"]
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-2, 600)
    | st.floats()
    | st.text(max_size=40)
    | st.binary(max_size=40)
    | st.sampled_from(
        ["\ud800", "A" * 100_000, "UklGRg==", "audio/wav", "=", "\x00\x1b[2J\n", 2**63]
    )
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=3,
)
PAYLOADS = st.dictionaries(st.sampled_from(KEYS), PLAIN | VALUES, max_size=4) | VALUES

A_CASE_S = 0.25
"""Decoding 100 kB takes a millisecond; the rest is a machine that does something else as well."""


def is_bounded(value, given_letters):
    return not isinstance(value, str | bytes) or len(value) <= max(wire.MAX_TEXT, given_letters)


def check(event, payload):
    began = time.thread_time()
    try:
        message = wire.decode(event, payload)
    except RemoteProtocolError as refused:
        assert len(str(refused)) < 300  # noqa: PT017 - raising is one of two right answers
        str(refused).encode()
        return
    finally:
        assert time.thread_time() - began < A_CASE_S
    sound = payload.get("audio", "") if isinstance(payload, dict) else ""
    for name in message.__dataclass_fields__:
        assert is_bounded(getattr(message, name), len(sound) if isinstance(sound, str) else 0)


AT_ONCE = 20
"""To make one example costs more than to check it: so many payloads are one."""

CASES = st.lists(st.tuples(st.sampled_from(EVENTS), PAYLOADS), min_size=AT_ONCE, max_size=AT_ONCE)


def check_each(cases):
    for event, payload in cases:
        check(event, payload)


def fuzz(payloads):
    decorate = settings(
        max_examples=payloads // AT_ONCE,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    decorate(given(CASES)(check_each))()


def test_two_thousand_payloads():
    fuzz(2_000)


@pytest.mark.slow
def test_a_hundred_thousand_payloads():
    fuzz(100_000)
