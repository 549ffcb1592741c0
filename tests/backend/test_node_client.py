"""The official Node client of Socket.IO against our server: a whole turn with real speech."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fakes.engines import scripted
from jarvis_ear.audio.wav import decode_wav, pcm_to_wav

FOLDER = Path(__file__).parents[1] / "node"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (FOLDER / "node_modules" / "socket.io-client").is_dir(),
    reason="node is not installed, or `npm ci` was not run in tests/node (tools/setup.sh does it)",
)


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


@pytest.mark.long
def test_real_speech_is_understood_and_answered(serve, turn, what_time):
    events = turn(serve(), pcm_to_wav(what_time.tobytes()))
    steps = ("processing", "transcript", "thinking", "tts_chunk", "tts_done", "listening")
    assert [event for event, _ in events] == [
        *("refused", "voice:listening", "voice:listening"),
        *(f"voice:{step}" for step in steps),
        "voice:pong",
    ]
    said = dict(events)
    assert said["refused"] == "Invalid or expired token"
    assert said["voice:transcript"] == {"text": "what time is it"}
    assert said["voice:tts_done"] == {"totalChunks": 1}
    assert said["voice:pong"] == {"agentId": "node"}
    chunk = said["voice:tts_chunk"]
    assert (chunk["index"], chunk["contentType"]) == (0, "audio/wav")
    assert decode_wav(base64.b64decode(chunk["audio"]), max_seconds=60).rate > 0


def test_the_client_may_begin_with_a_long_poll(serve, turn, beep):
    told = turn(serve(scripted()), beep, "polling,websocket")
    assert ["voice:transcript", {"text": "what time is it"}] in told
    assert told[-1][0] == "voice:pong"
