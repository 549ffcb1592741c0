"""A timer ends: the backend speaks unasked, on each wire that has announcements."""

import json
from datetime import datetime

import pytest

from fakes.engines import ScriptedEar, scripted
from jarvis_backend.brain import HouseholdBrain
from jarvis_backend.conversation import Engines
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.wires import socketio as wire


def kind(message):
    """What a frame is: "sound", or the state or the type of its JSON."""
    if message.get("text") is None:
        return "sound"
    told = json.loads(message["text"])
    return told.get("payload", {}).get("state") or told["type"]


@pytest.fixture
def timed(tmp_path) -> Engines:
    """Engines that set a timer for a second, whatever they hear."""
    brain = HouseholdBrain(lambda: datetime.now().astimezone(), tmp_path)
    return scripted(stt=ScriptedEar("set a timer for one second"), brain=brain)


async def test_a_satellite_hears_it_after_its_turn(serve, connect, beep, timed):
    async with connect(serve(timed, password="jarvis")) as kitchen:
        await kitchen.utter(beep, "kitchen")
        await kitchen.until(wire.TTS_DONE)
        assert await kitchen.next() == (wire.LISTENING, {})
        events = await kitchen.until(wire.TTS_DONE)
        assert [event for event, _ in events] == [wire.TTS_CHUNK, wire.TTS_DONE]
        assert events[0][1]["index"] == 0
        assert events[1][1] == {"totalChunks": 1}


def test_the_voice_channel_hears_it(start_client, timed):
    with start_client(timed).websocket_connect("/ws/voice") as line:
        line.send_json({"type": "start"})
        line.send_bytes(bytes(3200))
        line.send_json({"type": "end"})
        kinds = []
        while kinds.count("done") < 2:
            kinds.append(kind(line.receive()))
        announced = kinds[kinds.index("done") + 1 :]
        assert set(announced[:-1]) == {"sound"}


def test_the_realtime_stream_hears_it(start_client, timed):
    client = start_client(timed)
    with client.websocket_connect("/ws/realtime", subprotocols=[client.token()]) as line:
        line.receive_json()
        line.send_bytes(pcm_to_wav(bytes(3200)))
        line.send_json({"event": "end"})
        told = []
        while told.count("idle") < 2:
            told.append(kind(line.receive()))
        assert told[told.index("idle") + 1 :] == ["audio", "sound", "idle"]
