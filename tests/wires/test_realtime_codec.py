"""The realtime stream says what it means, and believes nothing."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wires import realtime as wire

NOW = 1_700_000_000.0
FROM_SERVER = [
    *(wire.RealtimeStatus(state) for state in wire.RealtimeState),
    *(wire.RealtimeStatus(wire.RealtimeState.ERROR, code, "why") for code in wire.Code),
    wire.RealtimeTranscript("what time", is_final=False),
    wire.RealtimeTranscript("what time is it", is_final=True),
    wire.Response("late"),
    wire.Audio("audio/wav", 44),
]


def test_the_words_of_its_owner():
    assert json.loads(wire.encode(wire.RealtimeStatus(wire.RealtimeState.RECORDING), NOW)) == {
        "type": "status",
        "payload": {"state": "recording"},
        "timestamp": "2023-11-14T22:13:20.000+00:00",
    }
    error = wire.RealtimeStatus(wire.RealtimeState.ERROR, wire.Code.EMPTY_STREAM, "no sound")
    assert json.loads(wire.encode(error, NOW))["payload"] == {
        "state": "error",
        "code": "empty_stream",
        "message": "no sound",
    }
    assert wire.check_end('{"event": "end"}') is None
    wire.check_end(wire.encode_end())


@pytest.mark.parametrize("message", FROM_SERVER)
def test_what_the_server_says_is_understood(message):
    assert wire.decode(wire.encode(message, NOW)) == message


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "{}",
        '{"type":"status"}',
        '{"type":"status","payload":{"state":"asleep"}}',
        '{"type":"transcript","payload":{"text":"a"}}',
        '{"type":"audio","payload":{"format":"audio/wav","size":"1"}}',
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(RemoteProtocolError):
        wire.decode(text)


def test_a_message_that_is_no_text_is_passed_over():
    text = '{"type":"status","payload":{"state":"idle","message":7}}'
    assert wire.decode(text) == wire.RealtimeStatus(wire.RealtimeState.IDLE)


def test_another_control_message_is_refused():
    with pytest.raises(RemoteProtocolError, match="expected"):
        wire.check_end('{"event": "stop"}')


@given(st.text())
def test_only_the_end_is_the_end(text):
    with pytest.raises(RemoteProtocolError):
        wire.check_end(text)
    with suppress(RemoteProtocolError):
        wire.decode(text)


@pytest.mark.parametrize("code", ['"odd"', "7", "null", "{}"])
def test_a_failure_of_an_unknown_kind_is_a_failure(code):
    text = '{"type":"status","payload":{"state":"error","code":CODE,"message":"why"}}'
    text = text.replace("CODE", code)
    assert wire.decode(text) == wire.RealtimeStatus(wire.RealtimeState.ERROR, None, "why")
