"""The voice channel: an utterance up, its answer down, and silence when asked for."""

import json
import time

import aiohttp
import numpy as np
import pytest
from starlette.testclient import TestClient

from fakes.engines import ScriptedBrain, ScriptedEar, ScriptedVoice, scripted
from jarvis_backend.app import create_app
from jarvis_backend.config import BackendConfig, Limits
from jarvis_backend.engines.engine import Speech
from jarvis_ear.audio.wav import decode_wav, pcm_to_wav

PATH = "/ws/voice"
SECOND = b"\x01\x02" * 16_000


class LongVoice(ScriptedVoice):
    """Ten seconds of sound for any sentence."""

    async def speak(self, _sentence):
        return Speech("audio/wav", pcm_to_wav(SECOND * 10))


@pytest.fixture
def client():
    running = []

    def start(limits=None, **engines):
        app = create_app(BackendConfig(limits=limits or Limits()), scripted(**engines))
        running.append(TestClient(app).__enter__())
        return running[-1]

    yield start
    for one in running:
        one.__exit__(None, None, None)


def say(line, kind):
    line.send_json({"type": kind})


def until(line, kind):
    """Text frames up to one of ``kind``, and the bytes between them."""
    told, sound = [], b""
    while not told or told[-1]["type"] != kind:
        message = line.receive()
        if message.get("text") is None:
            sound += message["bytes"]
        else:
            told.append(json.loads(message["text"]))
    return told, sound


def test_nothing_is_said_first_and_an_utterance_is_answered(client):
    ear, brain = ScriptedEar("what time is it"), ScriptedBrain("Late. Very late.")
    with client(stt=ear, brain=brain).websocket_connect(PATH) as line:
        say(line, "start")
        line.send_bytes(SECOND)
        line.send_bytes(SECOND)
        say(line, "end")
        told, sound = until(line, "done")
    assert told == [
        {"type": "audio_received", "bytes": 32_000},
        {"type": "audio_received", "bytes": 32_000},
        {"type": "processing"},
        {"type": "transcript", "text": "what time is it"},
        {"type": "reply", "text": "Late. Very late."},
        {"type": "done"},
    ]
    assert len(ear.heard[0]) == 32_000
    assert sound == np.array([ord(c) for c in "Late.Very late."], "<i2").tobytes()


def test_sentences_come_in_their_order_whichever_is_ready_first(client):
    voice = ScriptedVoice(after={"One.": "Two."}, fails=["Three."])
    brain = ScriptedBrain("One. Two. Three. Four.")
    with client(tts=voice, brain=brain).websocket_connect(PATH) as line:
        line.send_bytes(b"")
        say(line, "start")
        line.send_bytes(SECOND)
        say(line, "end")
        _, sound = until(line, "done")
    assert np.frombuffer(sound, "<i2").astype(np.uint8).tobytes() == b"One.Two.Four."


def test_an_interruption_silences_the_answer_within_100_ms(client):
    with client(tts=LongVoice()).websocket_connect(PATH) as line:
        say(line, "start")
        line.send_bytes(SECOND)
        say(line, "end")
        until(line, "reply")
        first = line.receive()["bytes"]
        asked = time.monotonic()
        say(line, "interrupt")
        _, sound = until(line, "interrupted")
        assert time.monotonic() - asked < 0.1
        assert len(first + sound) < len(SECOND)
        say(line, "ping")
        assert line.receive_json() == {"type": "pong"}


def test_speech_comes_hardly_faster_than_it_is_heard(client):
    with client(tts=LongVoice()).websocket_connect(PATH) as line:
        say(line, "start")
        line.send_bytes(SECOND)
        say(line, "end")
        until(line, "reply")
        began, sound = time.monotonic(), b""
        while time.monotonic() - began < 0.5:
            sound += line.receive()["bytes"]
        assert 0.4 < len(sound) / 32_000 < 1.0


def test_a_new_utterance_interrupts_the_answer(client):
    with client(tts=LongVoice()).websocket_connect(PATH) as line:
        for kinds in (["processing"], ["interrupted", "processing"]):
            say(line, "start")
            line.send_bytes(SECOND)
            say(line, "end")
            told, _ = until(line, "reply")
            assert [t["type"] for t in told][1:-2] == kinds


def test_without_a_start_an_utterance_ends_with_a_pause(client, what_time):
    ear = ScriptedEar()
    with client(stt=ear).websocket_connect(PATH) as line:
        sound = what_time.tobytes() + bytes(32_000)
        for at in range(0, len(sound), 1000):
            line.send_bytes(sound[at : at + 1000])
        told, _ = until(line, "done")
    assert next(t["type"] for t in told if t["type"] != "audio_received") == "processing"
    assert len(ear.heard) == 1
    assert 0.8 < len(ear.heard[0]) / 16_000 < len(sound) / 32_000


def test_without_a_start_an_end_ends_what_was_heard(client, what_time):
    ear = ScriptedEar()
    with client(stt=ear).websocket_connect(PATH) as line:
        line.send_bytes(what_time[:20_000].tobytes())
        say(line, "end")
        until(line, "done")
    assert len(ear.heard) == 1


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        ("{", "not JSON"),
        ('{"type":"nope"}', "unknown type"),
        ('{"type":"end"}', "No audio received"),
        (b"123", "even count"),
    ],
)
def test_what_cannot_be_used_is_an_error_and_the_connection_stays(client, frame, complaint):
    with client().websocket_connect(PATH) as line:
        line.send_text(frame) if isinstance(frame, str) else line.send_bytes(frame)
        told = line.receive_json()
        assert told["type"] == "error"
        assert complaint in told["message"]
        say(line, "ping")
        assert line.receive_json() == {"type": "pong"}


def test_a_recording_has_its_limit(client):
    with client(Limits(recording_s=1)).websocket_connect(PATH) as line:
        say(line, "start")
        line.send_bytes(SECOND)
        line.send_bytes(b"12")
        told, _ = until(line, "error")
        assert "too large" in told[-1]["message"]
        line.send_bytes(SECOND)
        say(line, "end")  # nothing of it is an utterance of its own
        say(line, "start")
        line.send_bytes(SECOND)
        say(line, "end")
        told, _ = until(line, "done")
        assert [each["type"] for each in told].count("processing") == 1
        assert told[0] == {"type": "audio_received", "bytes": len(SECOND)}


def test_an_engine_that_fails_fails_the_turn(client):
    with client(stt=ScriptedEar(error="no ear")).websocket_connect(PATH) as line:
        say(line, "start")
        line.send_bytes(SECOND)
        say(line, "end")
        told, _ = until(line, "error")
        assert told[-1] == {"type": "error", "message": "no ear"}


def test_speech_that_is_no_wav_is_left_out(client):
    class Strange(ScriptedVoice):
        async def speak(self, _sentence):
            return Speech("audio/mpeg", b"ID3")

    with client(tts=Strange()).websocket_connect(PATH) as line:
        say(line, "start")
        line.send_bytes(SECOND)
        say(line, "end")
        _, sound = until(line, "done")
        assert sound == b""


def test_a_peer_that_leaves_stops_its_turn(serve, run):
    voice = ScriptedVoice(hangs=True)
    url = serve(scripted(tts=voice))

    async def leave():
        async with aiohttp.ClientSession() as http, http.ws_connect(url + PATH) as line:
            await line.send_json({"type": "start"})
            await line.send_bytes(SECOND)
            await line.send_json({"type": "end"})
            while (await line.receive_json())["type"] != "reply":
                pass

    run(leave())
    deadline = time.monotonic() + 5
    while not voice.cancelled and time.monotonic() < deadline:
        time.sleep(0.01)
    assert voice.cancelled


def test_what_is_heard_is_what_was_said(client):
    ear = ScriptedEar()
    with client(stt=ear).websocket_connect(PATH) as line:
        say(line, "start")
        line.send_bytes(SECOND)
        say(line, "start")
        line.send_bytes(SECOND[:3200])
        say(line, "end")
        until(line, "done")
    assert (ear.heard[0] == decode_wav(pcm_to_wav(SECOND[:3200]), max_seconds=1).mono()).all()
