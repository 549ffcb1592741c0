"""The event bus: everybody is told, and nobody waits for the slowest."""

import asyncio
import time

import pytest
from starlette.testclient import TestClient

from fakes.engines import scripted
from jarvis_backend.app import create_app
from jarvis_backend.config import BackendConfig
from jarvis_backend.endpoints.event_bus import QUEUE_EVENTS, EventBus, serve_client
from jarvis_backend.message_queue import MessageQueue
from jarvis_ear.wires import event_bus as wire

KEY = "k" * 32


def a_bus():
    return EventBus(None, time.time, MessageQueue())


@pytest.fixture(scope="module")
def client():
    with TestClient(create_app(BackendConfig(), scripted())) as client:
        yield client


def test_a_ping_is_answered_with_the_time(client):
    with client.websocket_connect("/ws") as line:
        line.send_json({"type": "ping"})
        pong = line.receive_json()
        assert pong.keys() == {"type", "timestamp"}
        assert pong["type"] == "pong"


def test_everybody_is_told_of_a_switch_and_of_any_event(client):
    with client.websocket_connect("/ws") as one, client.websocket_connect("/ws") as two:
        one.send_json({"type": "module_control", "module": "vision", "enabled": True})
        for line in (one, two):
            told = line.receive_json()
            assert told["type"] == "module_status_changed"
            assert told["data"] == {"module": "vision", "enabled": True}
        two.send_json({"type": "pet_state_changed", "data": {"mood": 1}, "timestamp": "t"})
        for line in (one, two):
            assert line.receive_json() == {
                "type": "pet_state_changed",
                "data": {"mood": 1},
                "timestamp": "t",
            }


def test_who_joins_is_told_which_modules_are_off():
    with TestClient(create_app(BackendConfig(), scripted())) as client:
        with client.websocket_connect("/ws") as line:
            for module, enabled in (("vision", False), ("audio", False), ("vision", True)):
                control = {"type": "module_control", "module": module, "enabled": enabled}
                line.send_json(control)
                switched = line.receive_json()
        with client.websocket_connect("/ws") as late:
            late.send_json({"type": "ping"})
            told = late.receive_json()
            assert told["type"] == "module_status_changed"
            assert told["data"] == {"module": "audio", "enabled": False}
            assert told["timestamp"] <= switched["timestamp"], "when it was said"
            assert late.receive_json()["type"] == "pong", "and of no other"


def test_with_a_key_who_joins_is_told_so_that_it_can_be_believed():
    with TestClient(create_app(BackendConfig(bus_key=KEY), scripted())) as client:
        with client.websocket_connect("/ws") as line:
            control = {"type": "module_control", "module": "audio", "enabled": False}
            line.send_json(wire.sign(control, KEY.encode(), time.time()))
            line.receive_json()
        with client.websocket_connect("/ws") as late:
            wire.check(late.receive_json(), KEY.encode(), time.time())


def test_what_an_ear_says_of_itself_switches_nothing():
    with TestClient(create_app(BackendConfig(), scripted())) as client:
        with client.websocket_connect("/ws") as line:
            line.send_json({"type": "module_control", "module": "audio", "enabled": False})
            line.receive_json()
            for enabled in (True, False, True):
                mine = wire.announced("kitchen", enabled=enabled, by=(), now_s=time.time())
                line.send_json(wire.encode(mine))
                assert line.receive_json()["data"]["agentId"] == "kitchen"
        assert client.get("/api/status").json()["modules"]["audio"] is False
        with client.websocket_connect("/ws") as late:
            assert late.receive_json()["data"] == {"module": "audio", "enabled": False}


def test_the_other_fields_of_a_message_reach_everybody(client):
    said = {"type": "pet_state_changed", "timestamp": "t", "mood": {"joy": 1}, "id": [1, None]}
    with client.websocket_connect("/ws") as line:
        line.send_json(said)
        assert line.receive_json() == {**said, "data": {}}


@pytest.mark.parametrize("times", [1, QUEUE_EVENTS])
def test_answers_come_in_the_order_of_what_they_answer(run, times):
    class Line:
        """Has heard everything already, and takes what it is told."""

        def __init__(self):
            self.frames = ['{"type":"tick"}', "{", '{"type":"ping"}'] * times
            self.told = asyncio.Queue()

        async def receive(self):
            return self.frames.pop(0) if self.frames else await asyncio.Event().wait()

        async def send(self, *frames):
            for frame in frames:
                self.told.put_nowait(wire.read(frame))

    async def scene():
        line, bus = Line(), a_bus()
        served = asyncio.create_task(serve_client(line, bus))
        try:
            async with asyncio.timeout(5):
                told = [await line.told.get() for _ in range(3 * times)]
        finally:
            served.cancel()
        kinds = [each.get("type", each.get("error")) for each in told]
        assert kinds == ["tick", "Invalid JSON", "pong"] * times
        assert bus.dropped == 0

    run(scene())


@pytest.mark.parametrize("frame", ["{", "[]", b"{}"])
def test_what_is_not_json_is_said_and_the_connection_stays(client, frame):
    with client.websocket_connect("/ws") as line:
        line.send_text(frame) if isinstance(frame, str) else line.send_bytes(frame)
        assert line.receive_text().replace(" ", "") == '{"error":"InvalidJSON"}'
        line.send_json({"type": "module_control", "module": "smell", "enabled": True})
        assert "unknown module" in line.receive_json()["error"]
        line.send_json({"type": "ping"})
        assert line.receive_json()["type"] == "pong"


def test_with_a_key_only_signed_messages_count_and_each_one_once():
    app = create_app(BackendConfig(bus_key=KEY), scripted())
    with TestClient(app) as client, client.websocket_connect("/ws") as line:
        line.send_json({"type": "ping"})
        refused = line.receive_json()
        assert "Unsigned" in refused["error"]
        wire.check(refused, KEY.encode(), time.time())
        signed = wire.sign({"type": "ping"}, KEY.encode(), time.time())
        line.send_json(signed)
        pong = line.receive_json()
        assert pong["type"] == "pong"
        wire.check(pong, KEY.encode(), time.time())
        line.send_json(signed)
        assert "Repeated" in line.receive_json()["error"]


def test_cors_is_closed_unless_a_page_is_named(client):
    asks = {
        "Origin": "https://panel.example",
        "Access-Control-Request-Method": "POST",
    }
    assert client.options("/api/sessions", headers=asks).status_code == 403
    with TestClient(
        create_app(BackendConfig(allow_origins=("https://panel.example",)), scripted())
    ) as c:
        answer = c.options("/api/sessions", headers=asks)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://panel.example"
        assert (
            c.options("/api/sessions", headers={**asks, "Origin": "https://evil"}).status_code
            == 403
        )


def test_a_client_that_falls_behind_is_dropped_and_nobody_waits(run):
    async def scene():
        bus = a_bus()
        stuck, awake = bus.join(), bus.join()
        for number in range(QUEUE_EVENTS + 1):
            await bus.forward(wire.Event("tick", {"n": number}))
            assert wire.read(await awake.waiting.get())["data"] == {"n": number}
        assert stuck.fell_behind.is_set()
        assert not awake.fell_behind.is_set()
        assert bus.dropped == 1
        bus.leave(stuck)

    run(scene())


def test_a_stuck_connection_ends():
    class Stuck:
        closed = False

        async def receive(self):
            await asyncio.Event().wait()

        async def send(self, *_):
            await asyncio.Event().wait()

    async def scene():
        bus = a_bus()
        served = asyncio.create_task(serve_client(Stuck(), bus))
        await asyncio.sleep(0)
        for _ in range(QUEUE_EVENTS + 2):
            await bus.forward(wire.Event("tick"))
            await asyncio.sleep(0)
        await asyncio.wait_for(served, 2)
        assert bus.dropped == 1

    asyncio.run(scene())


def test_the_bus_remembers_what_ears_announce(run):
    async def scene():
        bus = a_bus()
        await bus.forward(
            wire.Event("module_status_changed", {"module": "audio", "enabled": False})
        )
        assert bus.modules["audio"] is False

    run(scene())
