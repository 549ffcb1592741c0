"""The event bus: every client receives every event, and none waits for the slowest."""

import asyncio
import time

import pytest

from jarvis_backend.endpoints.event_bus import QUEUE_EVENTS, EventBus, serve_client
from jarvis_backend.message_queue import MessageQueue
from jarvis_ear.wires import event_bus as wire

KEY = "k" * 32


def a_bus():
    return EventBus(None, time.time, MessageQueue())


@pytest.fixture(scope="module")
def client(app_client):
    with app_client() as client:
        yield client


def switch(line, module, *, enabled):
    """Switch a module, and return what the bus sends of it."""
    line.send_json(control(module, enabled=enabled))
    return line.receive_json()


def control(module, *, enabled):
    return {"type": "module_control", "module": module, "enabled": enabled}


def test_a_switch_and_any_event_with_all_its_fields_reach_every_client(client):
    with client.websocket_connect("/ws") as one, client.websocket_connect("/ws") as two:
        one.send_json(control("vision", enabled=True))
        for line in (one, two):
            told = line.receive_json()
            assert told["type"] == "module_status_changed"
            assert told["data"] == {"module": "vision", "enabled": True}
        event = {"type": "pet_state_changed", "timestamp": "t"}
        for more in ({"data": {"mood": 1}}, {"mood": {"joy": 1}, "id": [1, None]}):
            two.send_json(event | more)
            assert one.receive_json() == two.receive_json() == event | {"data": {}} | more


def test_a_new_client_receives_which_modules_are_off(start_client):
    client = start_client()
    with client.websocket_connect("/ws") as line:
        switch(line, "vision", enabled=False)
        switch(line, "audio", enabled=False)
        switched = switch(line, "vision", enabled=True)
    with client.websocket_connect("/ws") as late:
        late.send_json({"type": "ping"})
        told = late.receive_json()
        assert told["type"] == "module_status_changed"
        assert told["data"] == {"module": "audio", "enabled": False}
        assert told["timestamp"] <= switched["timestamp"], "when it was said"
        assert late.receive_json()["type"] == "pong", "and of no other"


def test_an_announcement_of_one_ear_switches_no_module(start_client):
    client = start_client()
    with client.websocket_connect("/ws") as line:
        switch(line, "audio", enabled=False)
        for enabled in (True, False, True):
            mine = wire.announced("kitchen", enabled=enabled, by=(), now_s=time.time())
            line.send_json(wire.encode(mine))
            assert line.receive_json()["data"]["agentId"] == "kitchen"
    assert client.get("/api/status").json()["modules"]["audio"] is False
    with client.websocket_connect("/ws") as late:
        assert late.receive_json()["data"] == {"module": "audio", "enabled": False}


@pytest.mark.parametrize("times", [1, QUEUE_EVENTS])
async def test_answers_come_in_the_order_of_what_they_answer(times):
    class Line:
        """Has received everything already, and takes every answer."""

        def __init__(self):
            self.frames = ['{"type":"tick"}', "{", '{"type":"ping"}'] * times
            self.told = asyncio.Queue()

        async def receive(self):
            return self.frames.pop(0) if self.frames else await asyncio.Event().wait()

        async def send(self, *frames):
            for frame in frames:
                self.told.put_nowait(wire.read(frame))

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


@pytest.mark.parametrize("frame", ["{", "[]", b"{}"])
def test_a_frame_that_is_not_json_is_an_error_and_the_connection_stays(client, frame):
    with client.websocket_connect("/ws") as line:
        line.send_text(frame) if isinstance(frame, str) else line.send_bytes(frame)
        assert line.receive_text().replace(" ", "") == '{"error":"InvalidJSON"}'
        assert "unknown module" in switch(line, "smell", enabled=True)["error"]
        line.send_json({"type": "ping"})
        assert line.receive_json()["type"] == "pong"


def test_with_a_key_only_signed_messages_count_and_each_one_once(start_client):
    client = start_client(bus_key=KEY)

    def signed(message):
        return wire.sign(message, KEY.encode(), time.time())

    with client.websocket_connect("/ws") as line:

        def answer(message):
            line.send_json(message)
            told = line.receive_json()
            wire.check(told, KEY.encode(), time.time())
            return told

        assert "Unsigned" in answer({"type": "ping"})["error"]
        ping = signed({"type": "ping"})
        assert answer(ping)["type"] == "pong"
        assert "Repeated" in answer(ping)["error"]
        answer(signed(control("audio", enabled=False)))
    with client.websocket_connect("/ws") as late:
        wire.check(late.receive_json(), KEY.encode(), time.time())


async def test_a_client_that_falls_behind_is_dropped_and_the_others_go_on():
    bus = a_bus()
    stuck, awake = bus.join(), bus.join()
    for number in range(QUEUE_EVENTS + 1):
        await bus.forward(wire.Event("tick", {"n": number}))
        assert wire.read(await awake.waiting.get())["data"] == {"n": number}
    assert stuck.fell_behind.is_set()
    assert not awake.fell_behind.is_set()
    assert bus.dropped == 1
    bus.leave(stuck)


async def test_a_stuck_connection_ends():
    class Stuck:
        closed = False

        async def receive(self):
            await asyncio.Event().wait()

        async def send(self, *_):
            await asyncio.Event().wait()

    bus = a_bus()
    served = asyncio.create_task(serve_client(Stuck(), bus))
    for _ in range(QUEUE_EVENTS + 3):
        await asyncio.sleep(0)
        await bus.forward(wire.Event("tick"))
    await asyncio.wait_for(served, 2)
    assert bus.dropped == 1
