"""The whole backend with its real engines: speech in, speech out."""

import base64
import shutil

import numpy as np
import pytest

from jarvis_backend.config import BackendConfig
from jarvis_backend.server import Server
from jarvis_ear.audio.resample import resample
from jarvis_ear.audio.wav import decode_wav, pcm_to_wav
from jarvis_ear.wires import socketio as wire

TURN = [
    wire.PROCESSING,
    wire.TRANSCRIPT,
    wire.THINKING,
    wire.TTS_CHUNK,
    wire.TTS_DONE,
    wire.LISTENING,
]


@pytest.mark.usefixtures("leaves_no_thread")
@pytest.mark.parametrize("engine", ["flite", "espeak-ng", "espeak-library"])
def test_a_spoken_question_gets_a_spoken_answer(run, connect, what_time, engine):
    if engine != "espeak-library" and shutil.which(engine) is None:
        pytest.skip(f"{engine} is not installed")

    async def ask(url):
        async with connect(url) as ear:
            await ear.utter(pcm_to_wav(what_time.tobytes()))
            told = await ear.until(wire.LISTENING)
        assert [event for event, _ in told] == TURN
        payloads = dict(told)
        assert payloads[wire.TRANSCRIPT] == {"text": "what time is it"}
        assert payloads[wire.THINKING] == {"provider": "builtin"}
        chunk = payloads[wire.TTS_CHUNK]
        assert (chunk["index"], chunk["contentType"]) == (0, "audio/wav")
        sound = decode_wav(base64.b64decode(chunk["audio"]), max_seconds=10)
        assert sound.seconds > 1
        assert payloads[wire.TTS_DONE] == {"totalChunks": 1}

    with Server(BackendConfig(port=0, tts={"engine": engine})) as server:
        run(ask(server.url))


def test_the_wake_word_in_front_and_another_rate_change_nothing(run, connect, flite):
    silence = np.zeros(8000, np.int16)
    called = np.concatenate([silence, flite("Hey Jarvis, what time is it"), silence])

    async def ask(url):
        async with connect(url) as ear:
            await ear.utter(pcm_to_wav(resample(called, 16_000, 48_000).tobytes(), 48_000))
            told = dict(await ear.until(wire.LISTENING))
        assert told[wire.TRANSCRIPT] == {"text": "what time is it"}

    with Server(BackendConfig(port=0)) as server:
        run(ask(server.url))


def test_the_ear_can_be_missing_and_the_rest_goes_on(run, connect, beep):
    async def ask(url):
        async with connect(url) as ear:
            await ear.utter(beep)
            told = dict(await ear.until(wire.LISTENING))
        assert told[wire.ERROR]["error"].startswith("STT service not available: ")

    with Server(BackendConfig(port=0, stt={"engine": "none"})) as server:
        run(ask(server.url))
