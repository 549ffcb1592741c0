"""Several backends and one Redis server are one backend."""

import asyncio
import json
import logging
import time
from contextlib import asynccontextmanager

import aiohttp
import pytest
import requests
import socketio

from fakes.engines import scripted
from fakes.redis_server import PROGRAM, RedisServer
from jarvis_backend import redis_queue
from jarvis_backend.config import Limits
from jarvis_ear.wires import event_bus
from jarvis_ear.wires import socketio as wire

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed")

API = "/api/sessions"


@pytest.fixture
def redis(tmp_path):
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def log(caplog):
    """What is logged of the queue at a level."""
    caplog.set_level(logging.INFO, logger=redis_queue.__name__)
    return lambda level: [
        record.getMessage()
        for record in caplog.records
        if record.name == redis_queue.__name__ and record.levelno == level
    ]


@pytest.fixture
def backend(serve, redis):
    """Start one more of them."""
    shared = {"message_queue": redis.url, "jwt_secret": "s" * 32}
    return lambda **options: serve(scripted(), **shared, **options)


@asynccontextmanager
async def line(url, path, **options):
    async with aiohttp.ClientSession() as http, http.ws_connect(url + path, **options) as socket:
        yield socket


async def told(socket, kind):
    """The next JSON of that type."""
    async with asyncio.timeout(10):
        while (message := json.loads((await socket.receive()).data)).get("type") != kind:
            pass
        return message


def ask(method, url, path, **options):
    return requests.request(method, url + path, timeout=10, **options).json()


async def until(condition):
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.02)


async def joined(*sockets):
    """Wait until what the first one says reaches all: both servers have found Redis."""
    async with asyncio.timeout(15):
        waiting = [asyncio.create_task(told(one, "knock")) for one in sockets]
        while not all(task.done() for task in waiting):
            await sockets[0].send_json({"type": "knock"})
            await asyncio.sleep(0.05)


def agents(url):
    return {one["agentId"]: one["state"] for one in ask("GET", url, "/api/status")["agents"]}


def modules(url):
    return ask("GET", url, "/api/status")["modules"]


async def test_an_event_and_a_switch_on_one_bus_arrive_on_the_other(backend):
    one, other = backend(), backend()
    async with line(one, "/ws") as here, line(other, "/ws") as there:
        await joined(here, there)
        await here.send_json({"type": "pet_state_changed", "data": {"mood": 1}})
        assert (await told(there, "pet_state_changed"))["data"] == {"mood": 1}
        await there.send_json({"type": "module_control", "module": "audio", "enabled": False})
        changed = await told(here, "module_status_changed")
        assert changed["data"] == {"module": "audio", "enabled": False}
    await until(lambda: modules(one)["audio"] is False)
    late = backend()
    await until(lambda: modules(late)["audio"] is False)


async def test_a_session_made_on_one_is_carried_on_the_other_and_stopped_from_the_first(backend):
    one, other = backend(), backend()
    async with line(one, "/ws") as here, line(other, "/ws") as there:
        await joined(here, there)
    made = ask("POST", one, API, json={"mode": "loopback"})
    async with line(other, made["path"]) as stream:
        await stream.send_json({"type": "start", "sampleRate": 16000})
        assert (await told(stream, "status"))["state"] == "running"
        await stream.send_bytes(b"\1\2" * 320)
        assert await stream.receive_bytes() == b"\1\2" * 320
        assert ask("GET", one, f"{API}/{made['id']}")["state"] == "running"
        async with line(one, made["path"]) as second:
            await second.receive()
            assert second.close_code == 4409
        assert ask("POST", one, f"{API}/{made['id']}/stop")["state"] == "stopped"
        assert (await told(stream, "status"))["state"] == "stopped"
        assert (await stream.receive()).type is aiohttp.WSMsgType.CLOSE
    await until(lambda: ask("GET", one, f"{API}/{made['id']}")["receivedBytes"] == 640)


async def test_a_satellite_of_one_is_seen_on_the_other_and_reached_by_its_name(
    backend, connect, redis, beep
):
    one, other = backend(), backend()
    async with connect(one) as satellite:
        await satellite.start("kitchen")
        await until(lambda: agents(other) == {"kitchen": "recording"})
        emitter = socketio.RedisManager(
            redis.url, channel=redis_queue.PREFIX + "socketio", write_only=True
        )
        emitter.emit("news", {"n": 1}, room="agent:kitchen", namespace=wire.NAMESPACE)
        assert await satellite.next() == ("news", {"n": 1})
        await satellite.chunk(beep, "kitchen")
        await satellite.end("kitchen")
        await satellite.until(wire.TTS_DONE)
        await until(lambda: agents(other) == {"kitchen": "listening"})
    await until(lambda: agents(other) == {})


async def test_a_token_of_one_is_good_on_the_other_and_a_signature_only_once(backend, log_in):
    key = "k" * 32
    one, other = (backend(bus_key=key, require_token=True) for _ in range(2))
    headers = {"Authorization": f"Bearer {log_in(one)}"}
    async with (
        line(one, "/ws", headers=headers) as here,
        line(other, "/ws", headers=headers) as there,
        asyncio.timeout(10),
    ):
        error = ""
        while "Repeated" not in error:
            signed = event_bus.sign({"type": "knock"}, key.encode(), time.time())
            await here.send_json(signed)
            await told(here, "knock")
            await there.send_json(signed)
            error = json.loads((await there.receive()).data).get("error", "")
            await asyncio.sleep(0.05)


async def test_without_redis_everything_works_alone(backend, connect, redis, beep):
    redis.stop()
    one = backend()
    async with connect(one) as satellite:
        await satellite.utter(beep)
        await satellite.until(wire.TTS_DONE)
    made = ask("POST", one, API, json={"mode": "loopback"})
    async with line(one, made["path"]) as stream:
        await stream.send_json({"type": "start", "sampleRate": 16000})
        assert (await told(stream, "status"))["state"] == "running"
    async with line(one, "/ws") as here:
        await here.send_json({"type": "still"})
        assert await told(here, "still")


async def test_wrong_passwords_are_counted_together(backend):
    one, other = (backend(limits=Limits(guesses_per_min=4)) for _ in range(2))

    def guess(url):
        answer = requests.post(url + "/api/auth/login", json={"password": "no"}, timeout=10)
        return answer.status_code

    async with line(one, "/ws") as here, line(other, "/ws") as there:
        await joined(here, there)
    assert [guess(url) for url in (one, one, other, other, other)] == [401] * 4 + [429]


@pytest.mark.long
async def test_redis_may_come_late_and_go_and_come_back(backend, redis, log):
    redis.stop()
    one, other = backend(), backend()
    async with line(one, "/ws") as here, line(other, "/ws") as there:
        await here.send_json({"type": "module_control", "module": "vision", "enabled": False})
        assert await told(here, "module_status_changed")
        await asyncio.to_thread(redis.start)
        await joined(here, there)
        await asyncio.to_thread(redis.stop)
        await until(lambda: len(log(logging.WARNING)) == 4)
        await here.send_json({"type": "still"})
        assert await told(here, "still")
        await asyncio.to_thread(redis.start)
        await joined(here, there)
        await joined(there, here)
        await until(lambda: modules(one)["vision"] is modules(other)["vision"] is False)
    warned, back = log(logging.WARNING), log(logging.INFO)
    assert (len(warned), len(back)) == (4, 4)  # two servers, twice each
    assert "continues alone" in warned[0]
    assert "is back after" in back[0]


async def test_foreign_messages_in_our_channels_end_nothing(backend, redis):
    one, other = backend(), backend()
    async with line(one, "/ws") as here, line(other, "/ws") as there:
        await joined(here, there)
        async with redis_queue.Redis.from_url(redis.url) as stranger:
            for channel in ("bus", "sessions", "socketio"):
                for text in ("{", "[]", "{}", '{"id":1}', '{"from":"x","event":{"type":1}}'):
                    await stranger.publish(redis_queue.PREFIX + channel, text)
        await joined(here, there)
