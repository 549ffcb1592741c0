"""The whole backend: speech in, speech out, for our client and the official one of Node."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fakes.engines import scripted
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

FOLDER = Path(__file__).parents[1] / "node"

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (FOLDER / "node_modules" / "socket.io-client").is_dir(),
    reason="node is not installed, or `npm ci` was not run in tests/node (tools/setup.sh does it)",
)


def assert_is_spoken(payloads):
    assert payloads[wire.TRANSCRIPT] == {"text": "what time is it"}
    chunk = payloads[wire.TTS_CHUNK]
    assert (chunk["index"], chunk["contentType"]) == (0, "audio/wav")
    assert decode_wav(base64.b64decode(chunk["audio"]), max_seconds=10).seconds > 1
    assert payloads[wire.TTS_DONE] == {"totalChunks": 1}


@pytest.mark.usefixtures("leaves_no_thread")
@pytest.mark.parametrize("engine", ["flite", "espeak-ng", "espeak-library"])
async def test_a_spoken_question_gets_a_spoken_answer(connect, what_time, engine):
    if engine != "espeak-library" and shutil.which(engine) is None:
        pytest.skip(f"{engine} is not installed")
    with Server(BackendConfig(port=0, tts={"engine": engine})) as server:
        events = await answer(connect, server, what_time)
    assert [event for event, _ in events] == TURN
    assert dict(events)[wire.THINKING] == {"provider": "builtin"}
    assert_is_spoken(dict(events))


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


@pytest.fixture
def turn(tmp_path):
    """Let the client have one turn, and return the events that it receives."""

    def talk(url, sound, transports="websocket"):
        recording = tmp_path / "recording.wav"
        recording.write_bytes(sound)
        environment = {"JARVIS_PASSWORD": "jarvis", "TRANSPORTS": transports}
        done = subprocess.run(
            ["node", FOLDER / "turn.mjs", url, recording],
            env={"PATH": os.environ["PATH"], **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stderr == ""
        return [json.loads(line) for line in done.stdout.splitlines()]

    return talk


@needs_node
@pytest.mark.long
def test_the_client_of_node_asks_and_is_answered(serve, turn, what_time):
    events = turn(serve(), pcm_to_wav(what_time.tobytes()))
    assert [event for event, _ in events] == [
        *("refused", wire.LISTENING, wire.LISTENING),
        *TURN,
        "voice:pong",
    ]
    said = dict(events)
    assert said["refused"] == "Invalid or expired token"
    assert said["voice:pong"] == {"agentId": "node"}
    assert_is_spoken(said)


@needs_node
def test_the_client_of_node_may_begin_with_a_long_poll(serve, turn, beep):
    told = turn(serve(scripted()), beep, "polling,websocket")
    assert ["voice:transcript", {"text": "what time is it"}] in told
    assert told[-1][0] == "voice:pong"
