"""Recorded turns, said again to our server by the plain `websockets` library.

`python tests/backend/test_exchanges.py` (with tests and the sources on the path) records them anew.
"""

import base64
import json

import pytest
import requests
from websockets.sync.client import connect

from fakes.engines import ScriptedBrain, scripted, spoken
from fakes.exchange import Line, load, save, timeless
from jarvis_backend.config import BackendConfig
from jarvis_backend.server import Server
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.wires import socketio as voice

FRAME = bytes(range(256)) * 2 + bytes(128)
"""20 ms of something."""

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
    "realtime_wav": [
        1,
        pcm_to_wav(FRAME),
        {"event": "end"},
        9,
        {"event": "nonsense"},
        1,
    ],
}
"""What the client says, and how many frames of the server follow."""


def path_and_token(url, wire):
    login = requests.post(url + "/api/auth/login", json={"password": "jarvis"}, timeout=10)
    if wire == "session_pcm":
        made = requests.post(url + "/api/sessions", json={"mode": "loopback"}, timeout=10)
        return made.json()["path"], login.json()["token"]
    paths = {"voice_ws": "/ws/voice", "event_bus": "/ws", "realtime_wav": "/ws/realtime"}
    return paths[wire], login.json()["token"]


def open_line(url, wire):
    path, token = path_and_token(url, wire)
    return connect(url.replace("http", "ws", 1) + path, subprotocols=[token], compression="deflate")


def say(line, said):
    line.send(said if isinstance(said, (bytes, str)) else json.dumps(said))


def hear(line):
    frame = line.recv(timeout=10)
    return frame if isinstance(frame, bytes) else timeless(json.loads(frame))


def engines():
    return scripted(brain=ScriptedBrain("Late. Very."))


@pytest.mark.parametrize("wire", SCENES)
def test_a_recorded_turn_is_still_said_so(serve, wire):
    with open_line(serve(engines()), wire) as line:
        for recorded in load(wire):
            if recorded.sender == "client":
                say(line, recorded.said)
            else:
                heard = hear(line)
                assert heard == timeless(recorded.said)


async def test_the_recorded_turn_of_socket_io_is_still_said_so(serve, connect):
    url = serve(engines())
    async with connect(url) as satellite:
        for recorded in load("voice_socketio"):
            if recorded.sender == "client":
                await satellite.say(*recorded.said)
            else:
                assert list(await satellite.next()) == recorded.said


def socket_io_turn():
    agent = {"agentId": "probe"}
    audio = {"audio": base64.b64encode(pcm_to_wav(FRAME)).decode(), "seq": 0}
    client = [
        [voice.AUDIO_START, agent],
        [voice.AUDIO_CHUNK, agent | audio],
        [voice.AUDIO_END, agent],
        [voice.PING, agent],
    ]
    speech = [
        {
            "index": index,
            "contentType": "audio/wav",
            "audio": base64.b64encode(spoken(sentence)).decode(),
        }
        for index, sentence in enumerate(("Late.", "Very."))
    ]
    server = [
        [[voice.LISTENING, agent]],
        [],
        [
            [voice.PROCESSING, {}],
            [voice.TRANSCRIPT, {"text": "what time is it"}],
            [voice.THINKING, {"provider": "scripted"}],
            *([voice.TTS_CHUNK, chunk] for chunk in speech),
            [voice.TTS_DONE, {"totalChunks": 2}],
            [voice.LISTENING, {}],
        ],
        [[voice.PONG, agent]],
    ]
    lines = []
    for said, answers in zip(client, server, strict=True):
        lines += [Line("client", said), *(Line("server", answer) for answer in answers)]
    return lines


def record():
    save("voice_socketio", socket_io_turn())
    with Server(BackendConfig(port=0), engines()) as server:
        for wire, scene in SCENES.items():
            lines = []
            with open_line(server.url, wire) as line:
                for step in scene:
                    if isinstance(step, int):
                        lines += [Line("server", hear(line)) for _ in range(step)]
                    else:
                        say(line, step)
                        lines.append(Line("client", step))
            save(wire, lines)


if __name__ == "__main__":
    record()
