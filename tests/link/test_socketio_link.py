"""What only the Socket.IO link does, against peers that know the protocol and break it."""

import asyncio
import contextlib

import pytest
from aiohttp import web

from fakes.link_ends import OPEN, PATIENT, SOCKETIO, TIMING, event
from fakes.peer import serving
from jarvis_ear.errors import ConnectFailed, Rejected
from jarvis_ear.wires.messages import Listening, Processing, Transcript

PATH, PONG = SOCKETIO.path, SOCKETIO.pong
live, speaker, ends, link_to = SOCKETIO.live, SOCKETIO.speaker, SOCKETIO.ends, SOCKETIO.link_to


async def open_only(raw, _request):
    await raw.send_str(OPEN)
    async for _ in raw:
        pass


async def close_after_open(raw, _request):
    await raw.send_str(OPEN)
    await raw.close()


def junk(text):
    async def script(raw, _request):
        await raw.send_str(text)
        await raw.receive()

    return script


async def refuse_token(raw, _request):
    await raw.send_str(OPEN)
    await raw.receive()
    await raw.send_str('44/voice,{"message":"Invalid or expired token"}')
    await raw.receive()


def test_a_peer_that_falls_silent_costs_no_more_than_the_deadline():
    error, took_s = SOCKETIO.refusal(open_only)
    assert isinstance(error, ConnectFailed)
    assert 0.4 < took_s < 1.0


@pytest.mark.parametrize(
    "script",
    [
        close_after_open,
        junk("0{}"),
        junk("0[]"),
        junk('0{"sid":"s","upgrades":[],"pingInterval":null,"pingTimeout":1}'),
        junk("4"),
        junk("nonsense"),
        junk(""),
    ],
)
def test_a_peer_that_talks_nonsense_costs_nothing(script):
    error, took_s = SOCKETIO.refusal(script, PATIENT)
    assert isinstance(error, ConnectFailed)
    assert took_s < 1.0


def test_a_refused_token_is_told_apart():
    error, _ = SOCKETIO.refusal(refuse_token, PATIENT)
    assert isinstance(error, Rejected)


@pytest.mark.parametrize("status", [200, 404, 502])
def test_an_answer_that_is_no_upgrade(status):
    async def scene():
        app = web.Application()

        async def page(_request):
            return web.Response(status=status, text="<html>")

        app.router.add_get("/socket.io/", page)
        async with serving(app) as url, link_to(url) as link:
            with pytest.raises(ConnectFailed):
                await link.open("token")

    asyncio.run(scene())


def test_messages_come_in_order_without_the_greeting():
    async def use(link):
        assert await link.received.get() == Listening("den")
        assert await link.received.get() == Transcript("hi")
        assert link.refused == 2

    live(
        speaker(
            event("voice:listening", {}),
            event("voice:listening", {"agentId": "den"}),
            event("voice:tts_chunk", {"index": True}),
            event("voice:unheard_of", {}),
            event("voice:transcript", {"text": "hi"}),
        ),
        use,
    )


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("listening", {}),
        ("processing", {}),
        ("transcript", {"text": "hi"}),
        ("thinking", {"provider": "none"}),
        ("tts_chunk", {"index": 0, "contentType": "audio/wav", "audio": "UklGRg=="}),
        ("tts_done", {"totalChunks": 1}),
        ("error", {"error": "x"}),
        ("pong", {}),
        ("unheard_of", {}),
    ],
)
def test_what_names_another_ear_is_not_ours(name, payload):
    async def use(link):
        assert await link.received.get() == Transcript("ours")
        assert link.received.empty()
        assert (link.strays, link.refused) == (1, 0)

    live(
        speaker(
            event("voice:listening", {}),
            event(f"voice:{name}", {**payload, "agentId": "kitchen"}),
            event("voice:transcript", {"text": "ours", "agentId": "den"}),
        ),
        use,
    )


def test_a_backend_without_a_greeting_is_heard_from_its_first_word():
    async def use(link):
        assert await link.received.get() == Processing()
        assert await link.received.get() == Listening()

    live(speaker(event("voice:processing", {}), event("voice:listening", {})), use)


def test_a_path_in_the_address_leads_to_login_and_socket_alike():
    paths = []

    async def scene():
        app = web.Application()

        async def handle(request):
            paths.append(request.path)
            raw = web.WebSocketResponse()
            await raw.prepare(request)
            await speaker()(raw, request)
            return raw

        app.router.add_get("/house/jarvis/socket.io/", handle)
        async with serving(app) as url, link_to(f"{url}/house/jarvis", PATIENT) as link:
            await link.open("token")

    asyncio.run(scene())
    assert paths == ["/house/jarvis/socket.io/"]


def test_a_link_that_is_closed_ends():
    async def close(raw):
        await raw.close()

    ends(speaker(then=close), "link lost")


def test_a_namespace_that_is_closed_ends_the_link():
    ends(speaker("41/voice,"), "closed the link")


def test_an_engine_that_says_goodbye_ends_the_link():
    ends(speaker("1"), "link lost|closed the link")


def test_a_backend_that_knows_no_pings_is_not_held_to_them():
    async def use(link):
        watch = asyncio.create_task(link.run())
        done, _ = await asyncio.wait({watch}, timeout=3 * TIMING.dead_s)
        assert not done
        watch.cancel()

    live(speaker(), use, TIMING)


def test_a_poisoned_codec_is_found_out_by_silence():
    poison = '451-/voice,["voice:transcript",{"_placeholder":true,"num":"a"}]'

    async def go_on(raw):
        with contextlib.suppress(ConnectionError):
            for _ in range(20):
                await raw.send_str(event("voice:pong", {}))
                await asyncio.sleep(0.05)

    ends(speaker(PONG, poison, then=go_on), "nothing received", TIMING)
