"""One link against peers that know the protocol and mean harm, or have fallen asleep."""

import asyncio
import base64
import contextlib
import hashlib
import json
import logging
import socket
import time

import pytest
from aiohttp import WSMsgType, web
from engineio import base_client

from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ConnectFailed, Disconnected, Rejected, RemoteProtocolError
from jarvis_ear.link.connection import MAX_UNREAD
from jarvis_ear.link.socketio import SocketIoLink
from jarvis_ear.wires.messages import AudioChunk, Listening, Processing, Transcript

TIMING = Timing(connect_s=0.5, ping_s=0.1, dead_s=0.4)
PATIENT = Timing(connect_s=2.0)
OPEN = "0" + json.dumps(
    {"sid": "s", "upgrades": [], "pingInterval": 25000, "pingTimeout": 10000, "maxPayload": 1}
)
WELCOME = '40/voice,{"sid":"n"}'


def event(name, payload):
    return f"42/voice,{json.dumps([name, payload])}"


@contextlib.asynccontextmanager
async def peer(script):
    """Serve WebSockets that do what ``script(socket, request)`` does."""

    async def handle(request):
        raw = web.WebSocketResponse(max_msg_size=0)
        await raw.prepare(request)
        await script(raw, request)
        return raw

    app = web.Application()
    app.router.add_get("/socket.io/", handle)
    async with serving(app) as url:
        yield url


@contextlib.asynccontextmanager
async def serving(app):
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def link_to(url, timing=TIMING):
    woken = asyncio.Event()
    link = SocketIoLink(url, "den", timing, woken.set)
    try:
        yield link
    finally:
        before = time.monotonic()
        await link.close()
        assert time.monotonic() - before < 1.0
        assert base_client.connected_clients == []


def speaker(*frames, then=None):
    """Say the frames, answer the CONNECT, and read on until the end."""

    async def script(raw, _request):
        await raw.send_str(OPEN)
        assert (await raw.receive()).data == '40/voice,{"token":"token"}'
        for frame in (WELCOME, *frames):
            await raw.send_str(frame)
        if then is not None:
            await then(raw)
        async for _ in raw:
            pass

    return script


def refusal(script, timing=TIMING):
    """Open a link to a peer that does not let us; return the error and the seconds it took."""

    async def story():
        async with peer(script) as url, link_to(url, timing) as link:
            before = time.monotonic()
            with pytest.raises((ConnectFailed, Rejected, RemoteProtocolError)) as raised:
                await link.open("token")
            assert not link.usable
            return raised.value, time.monotonic() - before

    return asyncio.run(story())


async def mute(raw, _request):
    await raw.receive()


async def open_only(raw, _request):
    await raw.send_str(OPEN)
    async for _ in raw:
        pass


async def close_before_open(raw, _request):
    await raw.close()


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


@pytest.mark.parametrize("script", [mute, open_only])
def test_a_peer_that_falls_silent_costs_no_more_than_the_deadline(script):
    error, took_s = refusal(script)
    assert isinstance(error, ConnectFailed)
    assert 0.4 < took_s < 1.0


@pytest.mark.parametrize(
    "script",
    [
        close_before_open,
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
    error, took_s = refusal(script, PATIENT)
    assert isinstance(error, ConnectFailed)
    assert took_s < 1.0


def test_a_refused_token_is_told_apart():
    error, _ = refusal(refuse_token, PATIENT)
    assert isinstance(error, Rejected)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_leads_nowhere(status):
    reached = []

    async def elsewhere(raw, _request):
        reached.append(raw)

    async def story():
        async with peer(elsewhere) as other:
            app = web.Application()

            async def redirect(_request):
                return web.Response(status=status, headers={"Location": f"{other}/socket.io/"})

            app.router.add_get("/socket.io/", redirect)
            async with serving(app) as url, link_to(url) as link:
                with pytest.raises(RemoteProtocolError, match="redirects"):
                    await link.open("token")

    asyncio.run(story())
    assert reached == []


@pytest.mark.parametrize("status", [200, 404, 502])
def test_an_answer_that_is_no_upgrade(status):
    async def story():
        app = web.Application()

        async def page(_request):
            return web.Response(status=status, text="<html>")

        app.router.add_get("/socket.io/", page)
        async with serving(app) as url, link_to(url) as link:
            with pytest.raises(ConnectFailed):
                await link.open("token")

    asyncio.run(story())


def live(script, use, timing=PATIENT):
    async def story():
        async with peer(script) as url, link_to(url, timing) as link:
            await link.open("token")
            assert link.usable
            await use(link)

    asyncio.run(story())


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

    async def story():
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

    asyncio.run(story())
    assert paths == ["/house/jarvis/socket.io/"]


def ends(script, match, timing=PATIENT, within_s=2.0):
    async def use(link):
        async with asyncio.timeout(within_s):
            with pytest.raises(Disconnected, match=match):
                await link.run()
        link.abort("again")
        assert not link.usable
        with pytest.raises(Disconnected):
            await link.send(AudioChunk("den", b"RIFF", 0))

    live(script, use, timing)


def test_a_link_that_is_closed_ends():
    async def close(raw):
        await raw.close()

    ends(speaker(then=close), "link lost")


def test_a_namespace_that_is_closed_ends_the_link():
    ends(speaker("41/voice,"), "closed the link")


def test_an_engine_that_says_goodbye_ends_the_link():
    ends(speaker("1"), "link lost|closed the link")


PONG = event("voice:pong", {"agentId": "den"})


def test_silence_ends_the_link_to_a_backend_that_answers_pings():
    ends(speaker(PONG), "no word of the backend for 0.4 s", TIMING)


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

    ends(speaker(PONG, poison, then=go_on), "no word", TIMING)


def test_more_than_can_be_heard_ends_the_link():
    flood = [event("voice:processing", {})] * (MAX_UNREAD + 100)

    async def use(link):
        with pytest.raises(Disconnected, match="more than can be processed"):
            await link.run()
        assert link.received.qsize() == MAX_UNREAD

    live(speaker(*flood), use)


def test_a_message_beyond_all_bounds_ends_the_link():
    async def shout(raw):
        with contextlib.suppress(ConnectionError):
            await raw.send_str(event("voice:transcript", {"text": "x" * 9_000_000}))

    ends(speaker(then=shout), "link lost", within_s=5.0)


def test_pings_keep_a_link_alive():
    async def answer(raw):
        async for message in raw:
            assert message.type is WSMsgType.TEXT
            assert message.data == event("voice:ping", {"agentId": "den"}).replace(" ", "")
            await raw.send_str(event("voice:pong", {"agentId": "den"}))

    async def use(link):
        watch = asyncio.create_task(link.run())
        done, _ = await asyncio.wait({watch}, timeout=1.2)
        assert not done
        watch.cancel()

    live(speaker(then=answer), use, TIMING)


async def _asleep(reader, writer, got_reset):
    """Upgrade, open, welcome - and then read no more until told to."""
    request = await reader.readuntil(b"\r\n\r\n")
    key = next(
        line for line in request.decode().split("\r\n") if line.startswith("Sec-WebSocket-Key")
    )
    digest = hashlib.sha1(
        (key.split(": ")[1] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode(),
        usedforsecurity=False,
    ).digest()
    accept = base64.b64encode(digest).decode()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
    )
    for text in (OPEN, WELCOME):
        writer.write(bytes([0x81, len(text)]) + text.encode())
    await writer.drain()
    await got_reset(reader, writer)


def test_a_peer_that_sleeps_takes_no_flush_and_an_abort_is_a_reset():
    ended = asyncio.Event()

    async def sleep_until_the_end(reader, writer):
        await ended.wait()
        with pytest.raises(ConnectionResetError):
            await reader.read(-1)
        writer.close()

    async def story():
        def handle(reader, writer):
            return _asleep(reader, writer, sleep_until_the_end)

        server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=1024)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, link_to(url, PATIENT) as link:
            await link.open("token")
            for _ in range(4):
                await link.send(AudioChunk("den", bytes(3_900_000), 0))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await link.flushed()
            before = time.monotonic()
            link.abort("enough")
            await link.close()
            assert time.monotonic() - before < 0.5
            ended.set()

    asyncio.run(story())


def test_the_kernel_gives_up_too():
    async def use(link):
        [opened] = link._sockets._opened
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    live(speaker(), use)


def test_nothing_of_the_libraries_reaches_the_log(caplog):
    caplog.set_level(logging.DEBUG)

    async def use(link):
        assert await link.received.get() == Transcript("secret")

    live(speaker(event("voice:transcript", {"text": "secret"})), use)
    assert "secret" not in caplog.text
    assert "token" not in caplog.text


def test_names_are_looked_up():
    async def story():
        async with peer(speaker()) as url:
            async with link_to(url.replace("127.0.0.1", "localhost"), PATIENT) as link:
                await link.open("token")
                assert link.usable
            async with link_to("http://backend.invalid", PATIENT) as link:
                with pytest.raises(ConnectFailed):
                    await link.open("token")

    asyncio.run(story())
