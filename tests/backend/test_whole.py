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
async def test_a_spoken_question_gets_a_spoken_answer(connect, what_time, engine):
    if engine != "espeak-library" and shutil.which(engine) is None:
        pytest.skip(f"{engine} is not installed")
    with Server(BackendConfig(port=0, tts={"engine": engine})) as server:
        events = await answer(connect, server, what_time)
    assert [event for event, _ in events] == TURN
    payloads = dict(events)
    assert payloads[wire.TRANSCRIPT] == {"text": "what time is it"}
    assert payloads[wire.THINKING] == {"provider": "builtin"}
    chunk = payloads[wire.TTS_CHUNK]
    assert (chunk["index"], chunk["contentType"]) == (0, "audio/wav")
    assert decode_wav(base64.b64decode(chunk["audio"]), max_seconds=10).seconds > 1
    assert payloads[wire.TTS_DONE] == {"totalChunks": 1}


async def test_the_wake_word_in_front_and_another_rate_change_nothing(connect, flite):
    silence = np.zeros(8000, np.int16)
    called = np.concatenate([silence, flite("Hey Jarvis, what time is it"), silence])
    with Server(BackendConfig(port=0)) as server:
        events = await answer(connect, server, resample(called, 16_000, 48_000), 48_000)
    assert dict(events)[wire.TRANSCRIPT] == {"text": "what time is it"}


async def answer(connect, server, pcm, rate=16_000):
    """What a satellite receives for an utterance."""
    async with connect(server.url) as ear:
        await ear.utter(pcm_to_wav(pcm.tobytes(), rate))
        return await ear.until(wire.LISTENING)
