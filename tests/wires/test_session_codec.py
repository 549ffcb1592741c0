"""The session stream says what it means, and believes nothing."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wires import session as wire

FROM_SERVER = [
    wire.SessionStatus("running", "loopback", 640, 1280),
    wire.SessionTranscript("hello"),
    wire.SessionReply("late"),
    wire.SessionError("no"),
]


def test_the_words_of_its_owner():
    assert wire.decode_from_client('{"type": "start", "sampleRate": 16000}') == wire.SessionStart()
    assert wire.decode_from_client('{"type": "start"}') == wire.SessionStart()
    assert wire.decode_from_client('{"type": "stop"}') == wire.Stop()
    status = wire.decode_from_server('{"type": "status", "state": "running"}')
    assert status == wire.SessionStatus("running")
    assert wire.encode(wire.SessionStart()) == '{"type":"start","sampleRate":16000}'
    chosen = wire.SessionStart(mode="loopback")
    assert wire.encode(chosen) == '{"type":"start","sampleRate":16000,"mode":"loopback"}'
    assert wire.decode_from_client(wire.encode(chosen)) == chosen
    with pytest.raises(RemoteProtocolError, match="expected one of loopback, assistant"):
        wire.decode_from_client('{"type":"start","mode":"dance"}')


@pytest.mark.parametrize("message", FROM_SERVER)
def test_what_the_server_says_is_understood(message):
    assert wire.decode_from_server(wire.encode(message)) == message


@pytest.mark.parametrize("text", ["{}", '{"type":7}', '{"type":"nope"}', "[]", "x"])
@pytest.mark.parametrize("decode", [wire.decode_from_client, wire.decode_from_server])
def test_anything_else_is_refused(decode, text):
    with pytest.raises(RemoteProtocolError):
        decode(text)


def test_another_rate_is_refused():
    with pytest.raises(RemoteProtocolError, match="sampleRate 48000; expected 16000"):
        wire.decode_from_client('{"type": "start", "sampleRate": 48000}')


def test_an_odd_count_of_bytes_is_refused():
    assert wire.check_pcm(b"12") == b"12"
    with pytest.raises(RemoteProtocolError, match="even count"):
        wire.check_pcm(b"123")


@given(st.text())
def test_any_text_is_a_message_or_refused(text):
    with suppress(RemoteProtocolError):
        assert isinstance(wire.decode_from_client(text), wire.SessionStart | wire.Stop)
