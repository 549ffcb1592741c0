"""The Wyoming protocol: the ear as a satellite, without sockets."""

import io
import json

import pytest
from wyoming.audio import AudioChunk
from wyoming.event import Event
from wyoming.event import read_event as read_with_library
from wyoming.info import Info
from wyoming.pipeline import RunPipeline
from wyoming.wake import Detection

from fakes.home_assistant import RATE, speech
from jarvis_ear.audio.wav import decode_wav, pcm_to_wav
from jarvis_ear.config import HEY_JARVIS, WakeWord
from jarvis_ear.delivery.events import Cause, cause_of
from jarvis_ear.errors import LocalProtocolError, RemoteProtocolError
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires.wyoming import (
    MAX_DATA_BYTES,
    MAX_PAYLOAD_BYTES,
    PART_BYTES,
    SatelliteDialect,
    describe_ear,
    encode,
    read_event,
    read_header,
    timer_sound,
)

PCM = bytes(range(256)) * (PART_BYTES // 256) + b"abcd"
TIMER = Event("timer-finished", {"id": "eggs"})


def sent(*events):
    """What a server that uses the library reads of our events."""
    file = io.BytesIO(b"".join(map(encode, events)))
    return [read_with_library(file) for _ in events]


def heard(dialect, *events):
    return [message for event in events for message in dialect.hear(event)]


@pytest.fixture
def dialect():
    return SatelliteDialect()


def commit(dialect, word="hey_jarvis"):
    assert [each.type for each in dialect.say(ear.AudioStart())] == ["ping"]
    assert dialect.say(ear.AudioChunk(pcm_to_wav(PCM))) == ()
    return sent(*dialect.say(ear.AudioEnd("", word)))


def test_nothing_of_an_utterance_is_sent_before_its_commit(dialect):
    events = commit(dialect)
    names = ["detection", "run-pipeline", "audio-start", "audio-chunk", "audio-chunk", "audio-stop"]
    assert [event.type for event in events] == names
    run = RunPipeline.from_event(events[1])
    assert (run.start_stage, run.end_stage, run.restart_on_end) == ("asr", "tts", False)
    chunks = [AudioChunk.from_event(event) for event in events[3:5]]
    assert b"".join(chunk.audio for chunk in chunks) == PCM
    assert {(chunk.rate, chunk.width, chunk.channels) for chunk in chunks} == {(16_000, 2, 1)}
    assert [chunk.timestamp for chunk in chunks] == [0, 64]


def test_a_ping_after_the_start_must_be_answered_before_the_sound(dialect):
    [first] = dialect.say(ear.Ping())
    [second] = dialect.say(ear.AudioStart())
    assert dialect.hear(Event("pong", first.data)) == (ear.Pong(),)
    assert dialect.hear(Event("pong", second.data)) == (ear.Listening(), ear.Pong())
    assert dialect.hear(Event("pong", second.data)) == (ear.Pong(),)
    dialect.say(ear.AudioStart())
    assert dialect.hear(Event("pong")) == (ear.Listening(), ear.Pong())


def test_the_word_that_was_heard_is_named_and_a_button_names_none(dialect):
    detection, run, *_ = commit(dialect, "alexa")
    assert (Detection.from_event(detection).name, run.data["wake_word_name"]) == ("alexa",) * 2
    run, *_ = commit(dialect, "")
    assert (run.type, RunPipeline.from_event(run).wake_word_name) == ("run-pipeline", None)


def test_only_a_server_that_has_answered_a_ping_must_answer_that_of_a_start(dialect):
    assert dialect.assume() == ()
    [ping] = dialect.say(ear.AudioStart())
    assert (dialect.assume(), dialect.assume()) == ((ear.Listening(),), ())
    assert dialect.hear(Event("pong", ping.data)) == (ear.Pong(),)
    dialect.say(ear.AudioStart())
    assert dialect.assume() == ()


def test_a_turn_of_home_assistant(dialect):
    commit(dialect)
    texts = [
        Event("transcribe", {"language": "en"}),
        Event("voice-started", {"timestamp": 1}),
        Event("voice-stopped", {"timestamp": 2}),
        Event("transcript", {"text": "what time\nis it"}),
        Event("synthesize", {"text": "no\x1bon"}),
    ]
    known = [ear.Processing(), ear.Transcript("what time is it"), ear.Answer("no on")]
    assert heard(dialect, *texts) == known
    *chunks, done = heard(dialect, *speech(RATE))
    assert done == ear.TtsDone(len(chunks))
    sounds = [decode_wav(chunk.audio, max_seconds=1) for chunk in chunks]
    assert {sound.rate for sound in sounds} == {RATE}
    assert sum(len(sound.mono()) for sound in sounds) == RATE
    assert len(sounds[0].mono()) == RATE // 2


def test_stereo_becomes_mono_and_a_reply_that_begins_again_ends_the_one_before(dialect):
    start, *parts, stop = speech(300, 44_100, 2)
    chunk, done = heard(dialect, start, *parts, start)
    sound = decode_wav(chunk.audio, max_seconds=1)
    assert (sound.rate, len(sound.mono())) == (44_100, 300)
    assert done == ear.TtsDone(1)
    assert heard(dialect, stop) == [ear.TtsDone(0)]
    assert heard(dialect, stop) == []


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("stt-no-text-recognized", Cause.NOT_UNDERSTOOD),
        ("stt-provider-missing", Cause.STT_UNAVAILABLE),
        ("stt-stream-failed", Cause.STT_FAILED),
        ("timeout", Cause.BACKEND_TIMEOUT),
        ("duplicate_wake_up_detected", Cause.ANSWERED_ELSEWHERE),
        ("intent-failed", Cause.BACKEND_ERROR),
        (None, Cause.BACKEND_ERROR),
    ],
)
def test_an_error_has_its_cause(dialect, code, cause):
    [error] = dialect.hear(Event("error", {"text": "No\ntext", "code": code}))
    assert cause_of(error.text) is cause
    assert "\n" not in error.text


def test_an_error_needs_no_text(dialect):
    assert dialect.hear(Event("error", {"text": 7, "code": []})) == (ear.BackendError(""),)


def test_a_timer_rings_at_once_or_after_the_turn(dialect):
    bell, done = heard(dialect, TIMER)
    assert (bell.audio, done) == (timer_sound(), ear.TtsDone(1))
    assert 3.5 < len(decode_wav(bell.audio, max_seconds=10).mono()) / 16_000 < 4.5
    commit(dialect)
    assert heard(dialect, TIMER, TIMER) == []
    *_, reply_done, bell, done = heard(dialect, *speech(10))
    assert (reply_done, bell.audio, done) == (ear.TtsDone(1), timer_sound(), ear.TtsDone(1))
    assert heard(dialect, Event("audio-stop")) == []


def test_the_ear_describes_itself_as_a_satellite_with_its_own_wake_word():
    words = HEY_JARVIS, WakeWord(model="/models/computer_v2.onnx")
    info = Info.from_event(sent(describe_ear("kitchen", "1.2", words))[0])
    assert (info.satellite.name, info.satellite.has_vad) == ("kitchen", True)
    assert info.satellite.active_wake_words == [model.name for model in info.wake[0].models]
    known = {model.name: model.phrase for model in info.wake[0].models}
    assert known == {"hey_jarvis": "Hey Jarvis", "computer_v2": "computer_v2"}
    assert (info.mic[0].mic_format.rate, info.snd[0].snd_format.rate) == (16_000, RATE)
    assert (info.asr, info.tts) == ([], [])


def test_an_utterance_in_parts_is_a_bug(dialect):
    with pytest.raises(LocalProtocolError, match="whole"):
        dialect.say(ear.AudioPart(0, b"ab"))


@pytest.mark.parametrize(
    "event",
    [
        Event("transcript", {"text": 7}),
        Event("synthesize"),
        Event("audio-chunk", {"rate": RATE, "width": 2, "channels": 1}, b"ab"),
        *(
            Event("audio-start", {"rate": RATE, "width": 2, "channels": 1, **wrong})
            for wrong in ({"rate": 0}, {"rate": True}, {"rate": 10**9}, {"width": 9}, {"width": 1})
        ),
        Event("audio-start", {"rate": RATE, "width": 2, "channels": "1"}),
    ],
)
def test_an_event_with_wrong_fields_is_refused(dialect, event):
    with pytest.raises(RemoteProtocolError):
        dialect.hear(event)


def test_sound_of_another_format_than_announced_is_refused(dialect):
    start, chunk, *_ = speech(100)
    dialect.hear(start)
    with pytest.raises(RemoteProtocolError, match="another format"):
        dialect.hear(Event("audio-chunk", {**chunk.data, "rate": 8_000}, chunk.payload))


@pytest.mark.parametrize(
    "header",
    [
        b"GET / HTTP/1.1\r\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"{}\n",
        b'{"type": 1}\n',
        b'{"type": "ping", "data": []}\n'.replace(b"[]", b'["a"]'),
        b"[" * 60_000,
        json.dumps({"type": "x", "payload_length": MAX_PAYLOAD_BYTES + 1}).encode(),
        json.dumps({"type": "x", "data_length": MAX_DATA_BYTES + 1}).encode(),
        b'{"type": "x", "payload_length": -1}',
        b'{"type": "x", "payload_length": "7"}',
        b'{"type": "x", "data_length": 1e3}',
    ],
)
def test_a_header_that_is_none_is_refused(header):
    with pytest.raises(RemoteProtocolError):
        read_header(header)


def test_the_data_after_a_header_is_added_to_that_within():
    header = read_header(b'{"type": "ping", "data": {"a": 1}, "data_length": 8}')
    assert header.data_bytes == 8
    assert read_event(header, b'{"b": 2}', b"").data == {"a": 1, "b": 2}
    with pytest.raises(RemoteProtocolError):
        read_event(header, b"nonsense", b"")
    assert read_event(header, b"", b"x").payload == b"x"
