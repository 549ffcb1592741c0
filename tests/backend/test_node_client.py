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
    """Let the client have one turn, and return what it was told."""

    def talk(url, sound, transports="websocket"):
        recording = tmp_path / "recording.wav"
        recording.write_bytes(sound)
        environment = {
            "PATH": os.environ["PATH"],
            "JARVIS_PASSWORD": "jarvis",
            "TRANSPORTS": transports,
        }
        done = subprocess.run(
            ["node", FOLDER / "turn.mjs", url, recording],
            env=environment,
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
    told = turn(serve(), pcm_to_wav(what_time.tobytes()))
    events = [event for event, _ in told]
    assert events == [
        "refused",
        "voice:listening",
        "voice:listening",
        "voice:processing",
        "voice:transcript",
        "voice:thinking",
        "voice:tts_chunk",
        "voice:tts_done",
        "voice:listening",
        "voice:pong",
    ]
    said = dict(told)
    assert said["refused"] == "Invalid or expired token"
    assert said["voice:transcript"] == {"text": "what time is it"}
    assert said["voice:tts_done"] == {"totalChunks": 1}
    assert said["voice:pong"] == {"agentId": "node"}
    chunk = said["voice:tts_chunk"]
    assert (chunk["index"], chunk["contentType"]) == (0, "audio/wav")
    assert decode_wav(base64.b64decode(chunk["audio"]), max_seconds=60).rate > 0


def test_it_may_begin_with_a_long_poll_as_that_client_usually_does(serve, turn, beep):
    told = turn(serve(scripted()), beep, "polling,websocket")
    assert ["voice:transcript", {"text": "what time is it"}] in told
    assert told[-1][0] == "voice:pong"
