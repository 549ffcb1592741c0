"""Codecs: a message is read as it was written, recorded turns are too, and the rest is refused."""

import json
from contextlib import suppress
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.exchange import TIME, load
from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wires import event_bus, realtime, session, socketio, voice_ws
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires.realtime import RealtimeState, RealtimeStatus

NOW_S = datetime.fromisoformat(TIME).timestamp()


def encode_realtime(message):
    return realtime.encode(message, NOW_S)


VOICE_WS_CLIENT = [
    *(voice_ws.VoiceWsPing(), voice_ws.VoiceWsStart(), voice_ws.End(), voice_ws.Interrupt())
]
VOICE_WS_SERVER = [
    *(ear.Pong(), voice_ws.AudioReceived(1024), ear.Processing(), ear.Transcript("what time")),
    *(ear.Answer("late"), voice_ws.Interrupted(), voice_ws.Done(), ear.ErrorMessage("no")),
]
SESSION_SERVER = [
    session.SessionStatus("running", "loopback", 640, 1280),
    *(ear.Transcript("hello"), ear.Answer("late"), ear.ErrorMessage("no")),
]
REALTIME_SERVER = [
    *(RealtimeStatus(state) for state in RealtimeState),
    *(RealtimeStatus(RealtimeState.ERROR, code, "why") for code in realtime.Code),
    *(realtime.RealtimeTranscript("what", is_final=final) for final in (False, True)),
    *(realtime.Response("late"), realtime.Audio("audio/wav", 44)),
]


def test_every_message_of_the_voice_channel_has_an_example():
    assert {type(each) for each in VOICE_WS_CLIENT} == set(voice_ws.TO_SERVER.kinds.values())
    assert {type(each) for each in VOICE_WS_SERVER} == set(voice_ws.TO_CLIENT.kinds.values())


@pytest.mark.parametrize(
    ("encode", "decode", "messages"),
    [
        (voice_ws.encode, voice_ws.decode_from_client, VOICE_WS_CLIENT),
        (voice_ws.encode, voice_ws.decode_from_server, VOICE_WS_SERVER),
        (session.encode, session.decode_from_server, SESSION_SERVER),
        (encode_realtime, realtime.decode, REALTIME_SERVER),
    ],
    ids=["voice client", "voice server", "session server", "realtime server"],
)
def test_a_message_is_read_as_it_was_written(encode, decode, messages):
    assert [decode(encode(message)) for message in messages] == messages


DECODERS = [
    *(voice_ws.decode_from_client, voice_ws.decode_from_server),
    *(session.decode_from_client, session.decode_from_server),
    realtime.decode,
]


@pytest.mark.parametrize("text", ["{}", '{"type":7}', '{"type":"nope"}', "[]", "x"])
@pytest.mark.parametrize("decode", DECODERS)
def test_anything_else_is_refused(decode, text):
    with pytest.raises(RemoteProtocolError):
        decode(text)


@given(st.text())
def test_any_text_is_a_message_or_refused(text):
    for decode in DECODERS:
        with suppress(RemoteProtocolError):
            decode(text)
    with suppress(RemoteProtocolError):
        assert voice_ws.decode_from_client(text) in VOICE_WS_CLIENT
    with suppress(RemoteProtocolError):
        read = session.decode_from_client(text)
        assert isinstance(read, session.SessionStart | session.Stop)
    with pytest.raises(RemoteProtocolError):
        realtime.check_end(text)


def test_the_messages_of_the_voice_channel():
    assert voice_ws.encode(ear.Pong()) == '{"type":"pong"}'
    assert voice_ws.decode_from_client('{"type": "ping"}') == voice_ws.VoiceWsPing()
    assert voice_ws.encode(voice_ws.AudioReceived(2)) == '{"type":"audio_received","bytes":2}'


def test_the_messages_of_the_session():
    start = session.SessionStart()
    assert session.decode_from_client('{"type": "start", "sampleRate": 16000}') == start
    assert session.decode_from_client('{"type": "start"}') == start
    assert session.decode_from_client('{"type": "stop"}') == session.Stop()
    status = session.decode_from_server('{"type": "status", "state": "running"}')
    assert status == session.SessionStatus("running")
    assert session.encode(start) == '{"type":"start","sampleRate":16000}'
    chosen = session.SessionStart(mode="loopback")
    assert session.encode(chosen) == '{"type":"start","sampleRate":16000,"mode":"loopback"}'
    assert session.decode_from_client(session.encode(chosen)) == chosen
    with pytest.raises(RemoteProtocolError, match="expected one of loopback, assistant"):
        session.decode_from_client('{"type":"start","mode":"dance"}')
    with pytest.raises(RemoteProtocolError, match="sampleRate 48000; expected 16000"):
        session.decode_from_client('{"type": "start", "sampleRate": 48000}')


def test_the_messages_of_the_realtime_stream():
    written = realtime.encode(RealtimeStatus(RealtimeState.RECORDING), 1_700_000_000.0)
    stamp = "2023-11-14T22:13:20.000+00:00"
    payload = {"state": "recording"}
    assert json.loads(written) == {"type": "status", "payload": payload, "timestamp": stamp}
    error = RealtimeStatus(RealtimeState.ERROR, realtime.Code.EMPTY_STREAM, "no sound")
    payload = {"state": "error", "code": "empty_stream", "message": "no sound"}
    assert json.loads(encode_realtime(error))["payload"] == payload
    assert realtime.check_end('{"event": "end"}') is None
    realtime.check_end(realtime.encode_end())
    with pytest.raises(RemoteProtocolError, match="expected"):
        realtime.check_end('{"event": "stop"}')


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"status"}',
        '{"type":"status","payload":{"state":"asleep"}}',
        '{"type":"transcript","payload":{"text":"a"}}',
        '{"type":"audio","payload":{"format":"audio/wav","size":"1"}}',
    ],
)
def test_an_invalid_payload_of_the_realtime_stream_is_refused(text):
    with pytest.raises(RemoteProtocolError):
        realtime.decode(text)


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        ('"idle","message":7', RealtimeStatus(RealtimeState.IDLE)),
        *(
            (
                f'"error","code":{code},"message":"why"',
                RealtimeStatus(RealtimeState.ERROR, None, "why"),
            )
            for code in ('"odd"', "7", "null", "{}")
        ),
    ],
)
def test_an_invalid_detail_of_a_status_is_left_out(payload, status):
    assert realtime.decode(f'{{"type":"status","payload":{{"state":{payload}}}}}') == status


def said_by(wire, sender):
    return [
        line.said
        for line in load(wire)
        if line.sender == sender and not isinstance(line.said, bytes)
    ]


@pytest.mark.parametrize(("name", "wire"), [("voice_ws", voice_ws), ("session_pcm", session)])
def test_recorded_turns_of_the_channel_and_the_session(name, wire):
    for said in said_by(name, "server"):
        assert json.loads(wire.encode(wire.decode_from_server(json.dumps(said)))) == said
    for said in said_by(name, "client"):
        if said["type"] == "nonsense":
            with pytest.raises(RemoteProtocolError):
                wire.decode_from_client(json.dumps(said))
        else:
            assert json.loads(wire.encode(wire.decode_from_client(json.dumps(said)))) == said


def test_recorded_turns_of_the_realtime_stream():
    for said in said_by("realtime_wav", "server"):
        message = realtime.decode(json.dumps(said))
        assert json.loads(realtime.encode(message, NOW_S)) == said
    end, nonsense = said_by("realtime_wav", "client")
    assert json.loads(realtime.encode_end()) == end
    realtime.check_end(json.dumps(end))
    with pytest.raises(RemoteProtocolError):
        realtime.check_end(json.dumps(nonsense))


def test_recorded_messages_of_the_event_bus():
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


def test_recorded_turns_of_socket_io():
    for event, payload in said_by("voice_socketio", "server"):
        assert socketio.decode(event, payload) is not None
    sent = dict(said_by("voice_socketio", "client"))
    sound = ear.AudioChunk(socketio._audio(sent[socketio.AUDIO_CHUNK]))
    messages = [ear.AudioStart(), sound, ear.AudioEnd(), ear.Ping()]
    assert dict(socketio.encode(message, "probe") for message in messages) == sent
