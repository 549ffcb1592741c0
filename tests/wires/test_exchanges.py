"""Recorded turns through the codecs: each side reads what the other wrote, and writes it again."""

import json
from datetime import datetime

import pytest

from fakes.exchange import TIME, load
from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wires import event_bus, realtime, session, socketio, voice_ws
from jarvis_ear.wires.messages import AudioChunk, AudioEnd, AudioStart, Ping

NOW_S = datetime.fromisoformat(TIME).timestamp()


def said_by(wire, sender):
    return [
        line.said
        for line in load(wire)
        if line.sender == sender and not isinstance(line.said, bytes)
    ]


@pytest.mark.parametrize(("name", "wire"), [("voice_ws", voice_ws), ("session_pcm", session)])
def test_the_channel_and_the_session(name, wire):
    for said in said_by(name, "server"):
        assert json.loads(wire.encode(wire.decode_from_server(json.dumps(said)))) == said
    for said in said_by(name, "client"):
        if said["type"] == "nonsense":
            with pytest.raises(RemoteProtocolError):
                wire.decode_from_client(json.dumps(said))
        else:
            assert json.loads(wire.encode(wire.decode_from_client(json.dumps(said)))) == said


def test_the_realtime_stream():
    for said in said_by("realtime_wav", "server"):
        message = realtime.decode(json.dumps(said))
        assert json.loads(realtime.encode(message, NOW_S)) == said
    end, nonsense = said_by("realtime_wav", "client")
    assert json.loads(realtime.encode_end()) == end
    realtime.check_end(json.dumps(end))
    with pytest.raises(RemoteProtocolError):
        realtime.check_end(json.dumps(nonsense))


def test_the_event_bus():
    pong, *events, invalid = said_by("event_bus", "server")
    assert event_bus.pong(NOW_S) == pong
    assert invalid == {"error": "Invalid JSON"}
    for said in events:
        assert event_bus.encode(event_bus.decode(said)) == said
    ping, control, event, garbage = said_by("event_bus", "client")
    assert event_bus.decode(ping) == event_bus.BusPing()
    assert event_bus.decode(control) == event_bus.ModuleControl("vision", enabled=False)
    assert event_bus.encode(event_bus.decode(event)) == event
    with pytest.raises(event_bus.NotJson):
        event_bus.read(garbage)


def test_socket_io():
    for event, payload in said_by("voice_socketio", "server"):
        assert socketio.decode(event, payload) is not None
    sent = dict(said_by("voice_socketio", "client"))
    chunk = sent[socketio.AUDIO_CHUNK]
    messages = [AudioStart(), AudioChunk(socketio._audio(chunk)), AudioEnd(), Ping()]
    assert dict(socketio.encode(message, "probe") for message in messages) == sent
