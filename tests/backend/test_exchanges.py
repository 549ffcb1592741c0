"""Recorded turns, said again to our server by the plain `websockets` library.

`RECORD_EXCHANGES=1 make test ARGS="tests/backend/test_exchanges.py"` records them anew.
"""

import base64
import json
import os

import pytest
import requests
from websockets.sync.client import connect as connect_websocket

from fakes.engines import ScriptedBrain, scripted
from fakes.exchange import Line, load, save, timeless
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.wires import socketio as voice

FRAME = bytes(range(256)) * 2 + bytes(128)
"""20 ms of something."""

AGENT = {"agentId": "probe"}
AUDIO = {"audio": base64.b64encode(pcm_to_wav(FRAME)).decode(), "seq": 0}
PATHS = {"voice_ws": "/ws/voice", "event_bus": "/ws", "realtime_wav": "/ws/realtime"}
SCENES = {
    "voice_ws": [
        {"type": "ping"},
        1,
        {"type": "start"},
        FRAME,
        1,
        {"type": "end"},
        6,
        {"type": "interrupt"},
        {"type": "nonsense"},
        1,
    ],
    "session_pcm": [{"type": "start", "sampleRate": 16000}, 1, FRAME, 1, {"type": "stop"}, 1],
    "event_bus": [
        {"type": "ping"},
        1,
        {"type": "module_control", "module": "vision", "enabled": False},
        1,
        {"type": "pet_state_changed", "data": {"mood": "glad"}, "timestamp": "whenever"},
        1,
        "{",
        1,
    ],
    "realtime_wav": [1, pcm_to_wav(FRAME), {"event": "end"}, 9, {"event": "nonsense"}, 1],
}
"""What the client says, and how many frames of the server follow."""

SOCKET_IO_SCENE = [
    [voice.AUDIO_START, AGENT],
    1,
    [voice.AUDIO_CHUNK, AGENT | AUDIO],
    [voice.AUDIO_END, AGENT],
    7,
    [voice.PING, AGENT],
    1,
]


def open_line(url, wire, token):
    path = PATHS.get(wire)
    if path is None:
        made = requests.post(url + "/api/sessions", json={"mode": "loopback"}, timeout=10)
        path = made.json()["path"]
    return connect_websocket(
        url.replace("http", "ws", 1) + path, subprotocols=[token], compression="deflate"
    )


def hear(line):
    frame = line.recv(timeout=10)
    return frame if isinstance(frame, bytes) else timeless(json.loads(frame))


@pytest.fixture
def url(serve):
    return serve(scripted(brain=ScriptedBrain("Late. Very.")))


def check(wire, lines):
    """Compare a turn with its recording, or record it."""
    if "RECORD_EXCHANGES" in os.environ:
        save(wire, lines)
    assert lines == load(wire)


@pytest.mark.parametrize("wire", SCENES)
def test_a_recorded_turn_is_still_said_so(url, wire, log_in):
    lines = []
    with open_line(url, wire, log_in(url)) as line:
        for step in SCENES[wire]:
            if isinstance(step, int):
                lines += [Line("server", hear(line)) for _ in range(step)]
            else:
                line.send(step if isinstance(step, (bytes, str)) else json.dumps(step))
                lines.append(Line("client", step))
    check(wire, lines)


async def test_the_recorded_turn_of_socket_io_is_still_said_so(url, connect):
    lines = []
    async with connect(url) as satellite:
        for step in SOCKET_IO_SCENE:
            if isinstance(step, int):
                lines += [Line("server", list(await satellite.next())) for _ in range(step)]
            else:
                await satellite.say(*step)
                lines.append(Line("client", step))
    check("voice_socketio", lines)
