"""The voice channel says what it means, and believes nothing."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wires import voice_ws as wire

FROM_CLIENT = [wire.VoiceWsPing(), wire.VoiceWsStart(), wire.End(), wire.Interrupt()]
FROM_SERVER = [
    wire.VoiceWsPong(),
    wire.AudioReceived(1024),
    wire.VoiceWsProcessing(),
    wire.VoiceWsTranscript("what time is it"),
    wire.VoiceWsReply("late"),
    wire.Interrupted(),
    wire.Done(),
    wire.VoiceWsError("no"),
]


def test_the_words_of_its_owner():
    assert wire.encode(wire.VoiceWsPong()) == '{"type":"pong"}'
    assert wire.decode_from_client('{"type": "ping"}') == wire.VoiceWsPing()
    assert wire.encode(wire.AudioReceived(2)) == '{"type":"audio_received","bytes":2}'


def test_every_message_has_an_example():
    assert {type(message) for message in FROM_CLIENT} == set(wire.TO_SERVER.values())
    assert {type(message) for message in FROM_SERVER} == set(wire.TO_CLIENT.values())


@pytest.mark.parametrize("message", FROM_CLIENT)
def test_what_a_client_says_is_understood(message):
    assert wire.decode_from_client(wire.encode(message)) == message


@pytest.mark.parametrize("message", FROM_SERVER)
def test_what_the_server_says_is_understood(message):
    assert wire.decode_from_server(wire.encode(message)) == message


@pytest.mark.parametrize("text", ["{}", '{"type":7}', '{"type":"nope"}', "[]", "x"])
@pytest.mark.parametrize("decode", [wire.decode_from_client, wire.decode_from_server])
def test_anything_else_is_refused(decode, text):
    with pytest.raises(RemoteProtocolError):
        decode(text)


@given(st.text())
def test_any_text_is_a_message_or_refused(text):
    with suppress(RemoteProtocolError):
        assert wire.decode_from_client(text) in FROM_CLIENT
