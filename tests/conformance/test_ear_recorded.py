"""Recorded turns, said again by a server to the ear's own links and its membership of the bus."""

import asyncio

import pytest

from fakes.recorded_server import TOKEN, recorded_server
from fakes.switch import FakeSwitch
from fakes.voice_server import wait_until
from jarvis_ear.bus.client import BusClient
from jarvis_ear.config import BackendOptions, BusOptions
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.link.registry import WIRES
from jarvis_ear.link.tls_and_tcp import TrustStore
from jarvis_ear.wires.messages import (
    Answer,
    AudioChunk,
    AudioEnd,
    AudioPart,
    AudioStart,
    BackendError,
    Listening,
    Ping,
    Processing,
    Thinking,
    Transcript,
    TtsChunk,
    TtsDone,
)

SOUND = bytes(range(256)) * 10
WHOLE, PARTS = [AudioChunk(b"RIFF" + SOUND)], [AudioPart(0, SOUND)]
UNDERSTOOD, ANSWER = Transcript("what time is it"), Answer("Late. Very.")

TURNS = {
    "socketio": (
        "voice_socketio",
        WHOLE,
        [Listening, Processing, UNDERSTOOD, Thinking, TtsChunk, TtsChunk, TtsDone(2), Listening],
    ),
    "voice-ws": (
        "voice_ws",
        PARTS,
        [Listening, Processing, UNDERSTOOD, ANSWER, TtsChunk, TtsDone(1)],
    ),
    "realtime": (
        "realtime_wav",
        PARTS,
        [Listening, Processing, UNDERSTOOD, Processing, ANSWER, TtsChunk, TtsChunk, TtsDone(2)],
    ),
}
"""The recording, what is said of an utterance, and what the link makes of the answers."""


def talk(wire, recording, scene):

    async def run():
        with recorded_server(recording) as server:
            config = BackendOptions(url=server.url, agent_id="probe", protocol=wire)
            link = WIRES[wire].link(config, Timing(), lambda: None, TrustStore())
            try:
                await link.open(TOKEN)
                await scene(link, server)
                assert link.refused == 0
                assert link.usable
            finally:
                await link.close()

    asyncio.run(asyncio.wait_for(run(), 10))


async def hears(link, *expected):
    for each in expected:
        message = await link.received.get()
        assert each in (message, type(message)), (message, each)


async def until(happens):
    await asyncio.to_thread(wait_until, happens)


@pytest.mark.parametrize("wire", TURNS)
def test_a_recorded_turn_is_understood(wire):
    recording, sound, answers = TURNS[wire]

    async def scene(link, server):
        await link.send(AudioStart())
        await hears(link, answers[0])
        for message in [*sound, AudioEnd()]:
            await link.send(message)
        await hears(link, *answers[1:])
        await link.send(Ping())
        server.say_the_rest()
        if wire != "socketio":
            await hears(link, BackendError)
        assert link.received.empty()

    talk(wire, recording, scene)


def test_a_session_that_only_gives_back_what_it_hears_answers_nothing():
    async def scene(link, server):
        await link.send(AudioStart())
        await hears(link, Listening)
        await link.send(AudioPart(0, SOUND))
        server.say_the_rest()
        await link.send(AudioStart())
        await hears(link, Listening)  # and nothing before it
        assert link.received.empty()

    talk("session", "session_pcm", scene)


def test_a_recorded_bus_is_followed():
    async def scene():
        with recorded_server("event_bus") as server:
            bus = BusOptions(url=server.url.replace("http", "ws"))
            client = BusClient(bus, BackendOptions(), FakeSwitch(), Timing(ping_s=0.05))
            client.start()
            try:
                client.switch_module("vision", enabled=False)
                await until(lambda: client.modules == {"vision": False})
                server.say_the_rest()
                await until(lambda: client.counters()["bus_refused"] == 1)  # "Invalid JSON"
            finally:
                await asyncio.to_thread(client.stop)

    asyncio.run(asyncio.wait_for(scene(), 10))
