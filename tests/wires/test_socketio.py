"""The Socket.IO wire: its codec, with valid, invalid and arbitrary payloads."""

import base64
import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jarvis_ear.errors import LocalProtocolError, RemoteProtocolError
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires import socketio as wire

FROM_BACKEND = [
    *(wire.LISTENING, wire.PROCESSING, wire.TRANSCRIPT, wire.THINKING),
    *(wire.TTS_CHUNK, wire.TTS_DONE, wire.ERROR, wire.PONG),
]
KEYS = ["agentId", "text", "provider", "index", "contentType", "audio", "totalChunks", "error"]
SOUND = base64.b64encode(b"RIFF....").decode()


def chunk(**changes):
    return {"index": 0, "contentType": "audio/wav", "audio": SOUND} | changes


@pytest.mark.parametrize(
    ("event", "payload", "message"),
    [
        (wire.LISTENING, {}, ear.Listening()),
        (wire.LISTENING, None, ear.Listening()),
        (wire.LISTENING, {"agentId": "den"}, ear.Listening("den")),
        (wire.PROCESSING, {}, ear.Processing()),
        (wire.TRANSCRIPT, {"text": "what time is it"}, ear.Transcript("what time is it")),
        (wire.THINKING, {"provider": "openai"}, ear.Thinking("openai")),
        (wire.TTS_CHUNK, chunk(index=511), ear.TtsChunk(511, "audio/wav", b"RIFF....")),
        (
            wire.TTS_CHUNK,
            chunk(contentType="audio/ogg; codecs=opus"),
            ear.TtsChunk(0, "audio/ogg; codecs=opus", b"RIFF...."),
        ),
        (wire.TTS_DONE, {"totalChunks": 0}, ear.TtsDone(0)),
        (wire.TTS_DONE, {"totalChunks": 3, "followUp": True}, ear.TtsDone(3, follow_up=True)),
        (wire.TTS_DONE, {"totalChunks": 3, "followUp": "yes"}, ear.TtsDone(3)),
        *(
            (wire.TTS_DONE, {"totalChunks": 3} | fields, ear.TtsDone(3, volume=volume))
            for fields, volume in (
                ({"volume": 0}, ear.VolumeRequest(0)),
                ({"volume": None, "volumeChange": -100}, ear.VolumeRequest(change=-100)),
                (
                    {"volume": 101},
                    ear.VolumeRequest(
                        problem="volume is out of range; expected a whole number from 0 to 100"
                    ),
                ),
                (
                    {"volumeChange": True},
                    ear.VolumeRequest(
                        problem="volumeChange is bool; expected a whole number from -100 to 100"
                    ),
                ),
                (
                    {"volumeChange": -101},
                    ear.VolumeRequest(
                        problem="volumeChange is out of range; "
                        "expected a whole number from -100 to 100"
                    ),
                ),
                (
                    {"volume": 4, "volumeChange": 4},
                    ear.VolumeRequest(problem="both volume and volumeChange; expected one of them"),
                ),
            )
        ),
        (wire.TTS_DONE, None, ear.TtsDone(None)),
        (wire.TTS_DONE, {"totalChunks": False}, ear.TtsDone(None)),
        (wire.TTS_DONE, {"totalChunks": 513, "followUp": True}, ear.TtsDone(None, follow_up=True)),
        (
            wire.ERROR,
            {"error": "Could not understand audio"},
            ear.BackendError("Could not understand audio"),
        ),
        (wire.ERROR, {"error": 7}, ear.BackendError("")),
        (wire.ERROR, {"error": "x", "agentId": 7}, ear.BackendError("x")),
        (wire.ERROR, {}, ear.BackendError("")),
        (wire.ERROR, "free text", ear.BackendError("free text")),
        (wire.ERROR, ["list"], ear.BackendError("")),
        (wire.PONG, {"agentId": "den"}, ear.Pong()),
    ],
)
def test_an_event_of_the_backend_is_a_message(event, payload, message):
    assert wire.decode(event, payload) == message


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("voice:unheard_of", {}),
        ("connect", {}),
        (wire.AUDIO_START, {"agentId": "den"}),
        (wire.LISTENING, "den"),
        (wire.LISTENING, {"agentId": 7}),
        (wire.LISTENING, {"agentId": "x" * 65}),
        (wire.PROCESSING, {"agentId": 7}),
        (wire.TRANSCRIPT, {"text": "hi", "agentId": ["den"]}),
        (wire.PROCESSING, [1]),
        (wire.TRANSCRIPT, {}),
        (wire.TRANSCRIPT, {"text": None}),
        (wire.TRANSCRIPT, {"text": "x" * (wire.MAX_TEXT + 1)}),
        (wire.THINKING, {"provider": 3}),
        (wire.TTS_CHUNK, chunk(index=True)),
        (wire.TTS_CHUNK, chunk(index=-1)),
        (wire.TTS_CHUNK, chunk(index=512)),
        (wire.TTS_CHUNK, chunk(index=2**63)),
        (wire.TTS_CHUNK, chunk(index=0.0)),
        (wire.TTS_CHUNK, chunk(index=float("nan"))),
        (wire.TTS_CHUNK, chunk(index="0")),
        (wire.TTS_CHUNK, chunk(contentType={})),
        (wire.TTS_CHUNK, chunk(contentType="wav")),
        (wire.TTS_CHUNK, chunk(contentType="audio/wav\r\nX: y")),
        (wire.TTS_CHUNK, chunk(audio=b"bytes")),
        (wire.TTS_CHUNK, chunk(audio=None)),
        (wire.TTS_CHUNK, chunk(audio="")),
        (wire.TTS_CHUNK, chunk(audio="***")),
        (wire.TTS_CHUNK, chunk(audio="UklG\nRg==")),
        (wire.TTS_CHUNK, chunk(audio="UklGR")),
        (wire.TTS_CHUNK, chunk(audio="Ünicode")),
        (wire.TTS_CHUNK, chunk(audio="A" * (wire.MAX_MESSAGE_BYTES + 4))),
        (wire.TTS_DONE, "3"),
    ],
)
def test_an_invalid_event_is_refused(event, payload):
    with pytest.raises(RemoteProtocolError):
        wire.decode(event, payload)


@pytest.mark.parametrize(
    ("payload", "is_foreign"),
    [
        (None, False),
        ([], False),
        ({}, False),
        ({"agentId": None}, False),
        ({"agentId": "den"}, False),
        ({"agentId": "kitchen"}, True),
        ({"agentId": "Den"}, True),
        ({"agentId": ""}, True),
        ({"agentId": 7}, False),  # malformed, and refused as such
    ],
)
def test_an_event_may_be_for_another_ear(payload, is_foreign):
    assert wire.is_for_another({"den"}, payload) is is_foreign


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


CASE_S = 0.25
"""Decoding 100 kB takes a millisecond; the rest is a machine that does something else as well."""

BATCH = 20
"""Payloads of one example: to make an example costs more than to check it."""

CASES = st.tuples(st.sampled_from(FROM_BACKEND) | st.text(max_size=40), PAYLOADS)


def check(event, payload):
    """Decode a payload: a message of printable lines or an error, both bounded and in time."""
    began = time.thread_time()
    try:
        message = wire.decode(event, payload)
    except RemoteProtocolError as refused:
        assert len(str(refused)) < 300  # noqa: PT017 - raising is one of two right answers
        str(refused).encode()  # can be written down
        return
    finally:
        assert time.thread_time() - began < CASE_S
    sound = payload.get("audio", "") if isinstance(payload, dict) else ""
    most = max(wire.MAX_TEXT, len(sound) if isinstance(sound, str) else 0)
    for name in message.__dataclass_fields__:
        value = getattr(message, name)
        assert not isinstance(value, str | bytes) or len(value) <= most
        if isinstance(value, str) and name != "agent_id":  # which is compared only
            assert "\n" not in value
            value.encode()


@pytest.mark.parametrize("payloads", [2_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_any_payload_is_a_message_or_refused_in_time(payloads):
    @settings(
        max_examples=payloads // BATCH,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.lists(CASES, min_size=BATCH, max_size=BATCH))
    def check_each(cases):
        for event, payload in cases:
            check(event, payload)

    check(wire.TTS_CHUNK, chunk(audio="\ud800"))
    check(wire.TRANSCRIPT, {"text": "\ud800"})
    check_each()


@given(st.integers(0, 511), st.binary(min_size=1, max_size=2000))
def test_a_sentence_survives_the_wire(index, audio):
    payload = json.loads(json.dumps(chunk(index=index, audio=base64.b64encode(audio).decode())))
    assert wire.decode(wire.TTS_CHUNK, payload) == ear.TtsChunk(index, "audio/wav", audio)


@given(st.text())
def test_printable_is_one_line_and_stays_so(text):
    line = wire.printable(text)
    assert line.isprintable() or not any(each in line for each in "\n\r\t\x1b\x00\u2028\u202e")
    assert wire.printable(line) == line
    assert len(line) == len(text)


def test_a_failure_in_colours_becomes_plain():
    said = wire.decode(wire.ERROR, {"error": "\x1b[31mfetch\nfailed\u202e"})
    assert said == ear.BackendError(" [31mfetch failed ")


def test_a_message_of_the_ear_is_an_event():
    assert wire.encode(ear.AudioStart(), "den") == ("voice:audio_start", {"agentId": "den"})
    assert wire.encode(ear.AudioEnd(), "den") == ("voice:audio_end", {"agentId": "den"})
    assert wire.encode(ear.Ping(), "den") == ("voice:ping", {"agentId": "den"})
    for message in (ear.AudioStart("hall"), ear.AudioChunk(b"", "hall"), ear.AudioEnd("hall")):
        assert wire.encode(message, "den")[1]["agentId"] == "hall"
    with pytest.raises(LocalProtocolError):
        wire.encode(ear.AudioPart(0, b""), "den")  # for other wires


@given(st.binary(max_size=3000))
def test_a_chunk_is_text_and_is_decoded_to_the_same_sound(audio):
    event, payload = wire.encode(ear.AudioChunk(audio), "den")
    assert event == "voice:audio_chunk"
    assert list(payload) == ["agentId", "audio", "seq"]
    assert type(payload["audio"]) is str
    assert base64.b64decode(payload["audio"], validate=True) == audio
    assert payload["seq"] == 0
    assert wire.base64_length(len(audio)) == len(payload["audio"])


@given(st.text(min_size=1, max_size=64), st.integers(0, 3000))
def test_the_length_of_a_frame_is_never_underestimated(agent_id, size):
    event, payload = wire.encode(ear.AudioChunk(bytes(size)), agent_id)
    for separators in ((",", ":"), (", ", ": ")):
        frame = "42/voice," + json.dumps([event, payload], separators=separators)
        assert len(frame.encode()) <= wire.frame_length(agent_id, size)


def test_a_frame_at_the_limit_passes_and_one_above_does_not():
    most = 3_900_000
    while wire.frame_length("den", most + 1) <= wire.MAX_FRAME_BYTES:
        most += 1
    wire.encode(ear.AudioChunk(bytes(most)), "den")
    with pytest.raises(LocalProtocolError, match="at most 5242880"):
        wire.encode(ear.AudioChunk(bytes(most + 3)), "den")


@pytest.mark.parametrize("agent_id", ["", "x" * 65, 7, None])
def test_the_name_of_an_ear_is_short_text(agent_id):
    with pytest.raises(LocalProtocolError):
        wire.encode(ear.AudioStart(), agent_id)
