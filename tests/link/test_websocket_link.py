"""One bare WebSocket against peers that mean harm, or have fallen asleep."""

import asyncio
import base64
import contextlib
import hashlib
import logging
import socket
import time

import pytest
from aiohttp import web

from fakes.peer import peer, serving
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ConnectFailed, Disconnected, Rejected, RemoteProtocolError
from jarvis_ear.link.connection import MAX_UNREAD
from jarvis_ear.link.websocket import MAX_UNSENT, WebSocketLink
from jarvis_ear.wires.messages import (
    AudioEnd,
    AudioPart,
    AudioStart,
    Listening,
    Processing,
    Transcript,
)
from jarvis_ear.wires.voice_ws import PATH, VoiceWsDialect, VoiceWsHandshake

TIMING = Timing(connect_s=0.5, ping_s=0.1, dead_s=0.4)
PATIENT = Timing(connect_s=2.0)
PING, PONG = '{"type":"ping"}', '{"type":"pong"}'


@contextlib.asynccontextmanager
async def link_to(url, timing=TIMING, path=""):
    link = WebSocketLink(
        VoiceWsHandshake(url, path), VoiceWsDialect("den"), timing, asyncio.Event().set
    )
    try:
        yield link
    finally:
        before = time.monotonic()
        await link.close()
        assert time.monotonic() - before < 1.0
        assert [task.get_name() for task in link._tasks if not task.done()] == []


def speaker(*frames, then=None):
    """Answer the first ping, say the frames, and read on until the end."""

    async def script(raw, _request):
        assert (await raw.receive()).data == PING
        for frame in (PONG, *frames):
            await (raw.send_str if isinstance(frame, str) else raw.send_bytes)(frame)
        if then is not None:
            await then(raw)
        async for _ in raw:
            pass

    return script


def refusal(script, timing=TIMING):
    async def story():
        async with peer(PATH, script) as url, link_to(url, timing) as link:
            before = time.monotonic()
            with pytest.raises((ConnectFailed, Rejected, RemoteProtocolError)) as raised:
                await link.open(None)
            assert not link.usable
            return raised.value, time.monotonic() - before

    return asyncio.run(story())


async def mute(raw, _request):
    async for _ in raw:
        pass


async def close_at_once(raw, _request):
    await raw.close()


def test_a_peer_that_never_answers_costs_no_more_than_the_deadline():
    error, took_s = refusal(mute)
    assert isinstance(error, ConnectFailed)
    assert 0.4 < took_s < 1.0


def test_a_peer_that_closes_costs_nothing():
    error, took_s = refusal(close_at_once, PATIENT)
    assert isinstance(error, ConnectFailed)
    assert took_s < 1.0


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, RemoteProtocolError),
        (401, Rejected),
        (403, Rejected),
        (404, RemoteProtocolError),
        (429, RemoteProtocolError),
        (502, ConnectFailed),
    ],
)
def test_an_answer_that_is_no_upgrade(status, kind):
    async def story():
        app = web.Application()

        async def page(_request):
            return web.Response(status=status, text="<html>")

        app.router.add_get(PATH, page)
        async with serving(app) as url, link_to(url) as link:
            with pytest.raises(kind):
                await link.open(None)

    asyncio.run(story())


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_leads_nowhere(status):
    reached = []

    async def elsewhere(raw, _request):
        reached.append(raw)

    async def story():
        async with peer(PATH, elsewhere) as other:
            app = web.Application()

            async def redirect(_request):
                return web.Response(status=status, headers={"Location": f"{other}{PATH}"})

            app.router.add_get(PATH, redirect)
            async with serving(app) as url, link_to(url) as link:
                with pytest.raises(RemoteProtocolError, match="redirects"):
                    await link.open("token")

    asyncio.run(story())
    assert reached == []


def test_nobody_there():
    async def story():
        async with link_to("http://backend.invalid") as link:
            with pytest.raises(ConnectFailed):
                await link.open(None)

    asyncio.run(story())


def live(script, use, timing=PATIENT, **options):
    async def story():
        async with peer(PATH, script, **options) as url, link_to(url, timing) as link:
            await link.open(None)
            assert link.usable
            await use(link)

    asyncio.run(story())


def test_a_token_goes_along_and_a_path_of_its_own():
    shown = []

    async def script(raw, request):
        shown.append(request.headers.get("Authorization"))
        await speaker()(raw, request)

    async def story():
        async with peer("/house/voice", script) as url:
            for token in (None, "canary"):
                async with link_to(url, PATIENT, "/house/voice") as link:
                    await link.open(token)

    asyncio.run(story())
    assert shown == [None, "Bearer canary"]


def test_messages_come_in_order_and_nonsense_is_counted():
    async def use(link):
        assert await link.received.get() == Processing()
        assert await link.received.get() == Transcript("hi")
        assert link.refused == 3
        assert link.received.empty()  # pongs are between the link and itself

    live(
        speaker(
            "nonsense",
            b"odd",
            '{"type":"?"}',
            '{"type":"processing"}',
            '{"type":"transcript","text":"hi"}',
            PONG,
        ),
        use,
    )


def test_what_is_said_goes_up_in_order():
    heard = []

    async def listen(raw):
        heard.extend([(await raw.receive()).data for _ in range(5)])
        await raw.send_str(PONG)

    async def use(link):
        await link.send(AudioStart("den"))
        await link.send(AudioPart("den", 0, bytes(3202)))
        await link.send(AudioEnd("den"))
        await link.flushed()
        assert await link.received.get() == Listening("den")

    live(speaker(then=listen), use)
    assert heard == ['{"type":"start"}', PING, bytes(3200), bytes(2), '{"type":"end"}']


def ends(script, match, timing=PATIENT, within_s=3.0, **options):
    async def use(link):
        async with asyncio.timeout(within_s):
            with pytest.raises(Disconnected, match=match):
                await link.run()
        link.abort("again")
        assert not link.usable
        with pytest.raises(Disconnected):
            await link.send(AudioStart("den"))

    live(script, use, timing, **options)


def test_a_link_that_is_closed_ends():
    async def close(raw):
        await raw.receive()
        await raw.close()

    ends(speaker(then=close), "closed the link")


def test_silence_ends_the_link():
    ends(speaker(), r"no word of the backend for 0\.4 s", TIMING)


def test_pings_keep_a_link_alive():
    async def answer(raw):
        async for message in raw:
            assert message.data == PING
            await raw.send_str(PONG)

    async def use(link):
        watch = asyncio.create_task(link.run())
        done, _ = await asyncio.wait({watch}, timeout=3 * TIMING.dead_s)
        assert not done
        watch.cancel()

    live(speaker(then=answer), use, TIMING)


def test_more_than_can_be_heard_ends_the_link():
    async def use(link):
        with pytest.raises(Disconnected, match="more than can be processed"):
            await link.run()
        assert link.received.qsize() == MAX_UNREAD
        assert link.overflows >= 1

    async def flood(raw):
        await raw.receive()
        with contextlib.suppress(ConnectionError):
            for _ in range(MAX_UNREAD + 100):
                await raw.send_str('{"type":"processing"}')

    live(speaker(then=flood), use)


def test_a_message_beyond_all_bounds_ends_the_link():
    async def shout(raw):
        await raw.receive()
        with contextlib.suppress(ConnectionError):
            await raw.send_bytes(bytes(9_000_000))

    ends(speaker(then=shout), "closed the link", within_s=5.0)


def test_the_pings_of_the_peer_are_answered():
    answered = asyncio.Event()

    async def ask(raw):
        await raw.ping(b"there?")
        message = await raw.receive()
        assert (message.type.name, bytes(message.data)) == ("PONG", b"there?")
        answered.set()

    async def use(_link):
        await asyncio.wait_for(answered.wait(), 2.0)

    live(speaker(then=ask), use, autoping=False)


async def _asleep(reader, writer, ended):
    """Upgrade, answer the first ping, and read no more until told to."""
    request = await reader.readuntil(b"\r\n\r\n")
    [key] = [line for line in request.decode().split("\r\n") if line.startswith("Sec-WebSocket-K")]
    magic = key.split(": ")[1] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    digest = hashlib.sha1(magic.encode(), usedforsecurity=False).digest()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )
    writer.write(bytes([0x81, len(PONG)]) + PONG.encode())
    await writer.drain()
    await ended.wait()
    with pytest.raises(ConnectionResetError):
        await reader.read(-1)
    writer.close()


def asleep(use):
    async def story():
        ended = asyncio.Event()
        server = await asyncio.start_server(
            lambda reader, writer: _asleep(reader, writer, ended), "127.0.0.1", 0, limit=1024
        )
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, link_to(url, PATIENT) as link:
            await link.open(None)
            await use(link)
            before = time.monotonic()
            link.abort("enough")
            await link.close()
            assert time.monotonic() - before < 0.5
            ended.set()

    asyncio.run(story())


def test_a_peer_that_sleeps_takes_no_flush_and_an_abort_is_a_reset():
    async def use(link):
        await link.send(AudioPart("den", 0, bytes(12_000_000)[: MAX_UNSENT * 3000]))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await link.flushed()

    asleep(use)


def test_more_than_waits_to_be_sent_ends_the_link():
    async def use(link):
        for _ in range(5):
            with contextlib.suppress(Disconnected):
                await link.send(AudioPart("den", 0, bytes(1000 * 3200)))
        assert not link.usable

    asleep(use)


def test_the_kernel_gives_up_too():
    async def use(link):
        [opened] = link._sockets._opened
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    live(speaker(), use)


def test_nothing_of_it_reaches_the_log(caplog):
    caplog.set_level(logging.DEBUG)

    async def story():
        script = speaker('{"type":"transcript","text":"secret"}', '{"type":"secret"}')
        async with peer(PATH, script) as url, link_to(url, PATIENT) as link:
            await link.open("canary")
            assert await link.received.get() == Transcript("secret")

    asyncio.run(story())
    said = "\n".join(each.getMessage() for each in caplog.records)
    assert "secret" not in said
    assert "canary" not in said
