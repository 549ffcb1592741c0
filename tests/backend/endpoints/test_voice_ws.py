"""The voice channel: an utterance up, its answer down, and silence after an interruption."""

import asyncio
import json
import threading
import time

import aiohttp
import numpy as np
import pytest

from fakes.engines import ScriptedBrain, ScriptedEar, ScriptedVoice, scripted
from jarvis_backend import conversation
from jarvis_backend.config import Limits
from jarvis_backend.engines.engine import Speech
from jarvis_ear.audio.wav import decode_wav, pcm_to_wav

PATH = "/ws/voice"
SECOND = b"\x01\x02" * 16_000


class FixedVoice(ScriptedVoice):
    """Speaks every sentence as the same sound: ten seconds unless another one is given."""

    def __init__(self, speech=None):
        super().__init__()
        self._speech = speech or Speech("audio/wav", pcm_to_wav(SECOND * 10))

    async def speak(self, _sentence):
        return self._speech


@pytest.fixture
def connect(start_client):
    """Connect to a new application with such engines."""
    return lambda limits=None, **engines: start_client(
        scripted(**engines), limits=limits or Limits()
    ).websocket_connect(PATH)


def say(line, kind):
    line.send_json({"type": kind})


def utter(line, *sounds):
    say(line, "start")
    for sound in sounds or (SECOND,):
        line.send_bytes(sound)
    say(line, "end")


def frames_until(line, kind):
    """Text frames up to one of ``kind``, and the bytes between them."""
    told, sound = [], b""
    while not told or told[-1]["type"] != kind:
        message = line.receive()
        if message.get("text") is None:
            sound += message["bytes"]
        else:
            told.append(json.loads(message["text"]))
    return told, sound


def kinds_until(line, kind):
    return [each["type"] for each in frames_until(line, kind)[0]]


def assert_is_alive(line):
    say(line, "ping")
    assert line.receive_json() == {"type": "pong"}


def test_all_sound_between_start_and_end_is_one_utterance(connect):
    ear = ScriptedEar()
    with connect(stt=ear) as line:
        utter(line, SECOND, SECOND)
        assert kinds_until(line, "done")[:3] == ["audio_received", "audio_received", "processing"]
    assert [len(pcm) for pcm in ear.heard] == [32_000]


def test_sentences_come_in_order_whichever_is_ready_first(connect):
    voice = ScriptedVoice(after={"One.": "Two."}, fails=["Three."])
    with connect(tts=voice, brain=ScriptedBrain("One. Two. Three. Four.")) as line:
        line.send_bytes(b"")
        utter(line)
        _, sound = frames_until(line, "done")
    assert np.frombuffer(sound, "<i2").astype(np.uint8).tobytes() == b"One.Two.Four."


def test_an_interruption_silences_the_answer_within_100_ms(connect):
    with connect(tts=FixedVoice()) as line:
        utter(line)
        frames_until(line, "reply")
        first = line.receive()["bytes"]
        asked = time.monotonic()
        say(line, "interrupt")
        _, sound = frames_until(line, "interrupted")
        assert time.monotonic() - asked < 0.1
        assert len(first + sound) < len(SECOND)
        assert_is_alive(line)


def test_speech_comes_hardly_faster_than_it_is_heard(connect):
    with connect(tts=FixedVoice()) as line:
        utter(line)
        frames_until(line, "reply")
        began, sound = time.monotonic(), b""
        while time.monotonic() - began < 0.5:
            sound += line.receive()["bytes"]
        assert 0.4 < len(sound) / 32_000 < 1.0


def test_a_slow_brain_is_known_to_work(connect, monkeypatch):
    monkeypatch.setattr(conversation, "ALIVE_S", 0.01)
    is_seen = threading.Event()

    class SlowBrain(ScriptedBrain):
        async def answer(self, _question):
            await asyncio.to_thread(is_seen.wait, 10)
            yield "Noon."

    with connect(brain=SlowBrain()) as line:
        utter(line)
        frames_until(line, "transcript")
        assert line.receive_json() == {"type": "processing"}
        is_seen.set()
        frames_until(line, "done")


def test_a_new_utterance_interrupts_the_answer(connect):
    with connect(tts=FixedVoice()) as line:
        for kinds in (["processing"], ["interrupted", "processing"]):
            utter(line)
            assert kinds_until(line, "reply")[1:-2] == kinds


def test_without_a_start_an_utterance_ends_with_a_pause(connect, what_time):
    ear = ScriptedEar()
    with connect(stt=ear) as line:
        sound = what_time.tobytes() + bytes(32_000)
        for at in range(0, len(sound), 1000):
            line.send_bytes(sound[at : at + 1000])
        kinds = kinds_until(line, "done")
    assert next(kind for kind in kinds if kind != "audio_received") == "processing"
    assert len(ear.heard) == 1
    assert 0.8 < len(ear.heard[0]) / 16_000 < len(sound) / 32_000


def test_without_a_start_an_end_completes_the_utterance(connect, what_time):
    ear = ScriptedEar()
    with connect(stt=ear) as line:
        line.send_bytes(what_time[:20_000].tobytes())
        say(line, "end")
        frames_until(line, "done")
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
def test_an_invalid_frame_is_an_error_and_the_connection_stays(connect, frame, complaint):
    with connect() as line:
        line.send_text(frame) if isinstance(frame, str) else line.send_bytes(frame)
        told = line.receive_json()
        assert told["type"] == "error"
        assert complaint in told["message"]
        assert_is_alive(line)


def test_a_recording_has_its_limit(connect):
    with connect(Limits(recording_s=1)) as line:
        say(line, "start")
        line.send_bytes(SECOND)
        line.send_bytes(b"12")
        told, _ = frames_until(line, "error")
        assert "too large" in told[-1]["message"]
        line.send_bytes(SECOND)
        say(line, "end")  # nothing of it is an utterance of its own
        utter(line)
        told, _ = frames_until(line, "done")
        assert [each["type"] for each in told].count("processing") == 1
        assert told[0] == {"type": "audio_received", "bytes": len(SECOND)}


def test_an_engine_that_fails_fails_the_turn(connect):
    with connect(stt=ScriptedEar(error="no ear")) as line:
        utter(line)
        assert frames_until(line, "error")[0][-1] == {"type": "error", "message": "no ear"}


def test_speech_that_is_no_wav_is_left_out(connect):
    with connect(tts=FixedVoice(Speech("audio/mpeg", b"ID3"))) as line:
        utter(line)
        assert frames_until(line, "done")[1] == b""


async def test_a_client_that_leaves_stops_its_turn(serve, until):
    voice = ScriptedVoice(hangs=True)
    url = serve(scripted(tts=voice))
    async with aiohttp.ClientSession() as http, http.ws_connect(url + PATH) as line:
        await line.send_json({"type": "start"})
        await line.send_bytes(SECOND)
        await line.send_json({"type": "end"})
        while (await line.receive_json())["type"] != "reply":
            pass
    await until(lambda: voice.cancelled)


def test_a_second_start_replaces_the_first(connect):
    ear = ScriptedEar()
    with connect(stt=ear) as line:
        say(line, "start")
        line.send_bytes(SECOND)
        utter(line, SECOND[:3200])
        frames_until(line, "done")
    assert (ear.heard[0] == decode_wav(pcm_to_wav(SECOND[:3200]), max_seconds=1).mono()).all()
