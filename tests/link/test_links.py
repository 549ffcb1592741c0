"""One link of each wire against peers that are hostile, or do not answer any more."""

import asyncio
import base64
import contextlib
import hashlib
import logging
import socket
import time

import pytest
from aiohttp import web

from fakes.link_ends import PATIENT, SOCKETIO, TIMING, VOICE_WS
from fakes.peer import peer, serving
from jarvis_ear.errors import ConnectFailed, Disconnected, Rejected, RemoteProtocolError
from jarvis_ear.link.connection import MAX_UNREAD
from jarvis_ear.wires.messages import AudioChunk, AudioPart, Transcript


@pytest.fixture(params=[SOCKETIO, VOICE_WS], ids=["socketio", "voice-ws"])
def wire(request):
    return request.param


def test_a_peer_that_never_answers_costs_no_more_than_the_deadline(wire):
    async def silent(raw, _request):
        async for _ in raw:
            pass

    error, took_s = wire.refusal(silent)
    assert isinstance(error, ConnectFailed)
    assert 0.4 < took_s < 1.0


def test_a_peer_that_closes_costs_nothing(wire):
    async def close_at_once(raw, _request):
        await raw.close()

    error, took_s = wire.refusal(close_at_once, PATIENT)
    assert isinstance(error, ConnectFailed)
    assert took_s < 1.0


@contextlib.asynccontextmanager
async def answering(wire, **answer):
    """Open a link to a server that answers instead of an upgrade."""

    async def page(_request):
        return web.Response(**answer)

    app = web.Application()
    app.router.add_get(wire.path, page)
    async with serving(app) as url, wire.link_to(url) as link:
        yield link


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_leads_nowhere(wire, status):
    reached = []

    async def elsewhere(raw, _request):
        reached.append(raw)

    async def scene():
        async with peer(wire.path, elsewhere) as other:
            moved = {"Location": f"{other}{wire.path}"}
            async with answering(wire, status=status, headers=moved) as link:
                with pytest.raises(RemoteProtocolError, match="redirects"):
                    await link.open("token")

    asyncio.run(scene())
    assert reached == []


@pytest.mark.parametrize(
    ("wire", "status", "kind"),
    [
        *((SOCKETIO, status, ConnectFailed) for status in (200, 404, 502)),
        *((VOICE_WS, status, RemoteProtocolError) for status in (200, 404, 429)),
        *((VOICE_WS, status, Rejected) for status in (401, 403)),
        (VOICE_WS, 502, ConnectFailed),
    ],
)
def test_an_answer_that_is_no_upgrade(wire, status, kind):
    async def scene():
        async with answering(wire, status=status, text="<html>") as link:
            with pytest.raises(kind, match=str(status) if kind is not Rejected else "refuses"):
                await link.open("token")

    asyncio.run(scene())


def test_names_are_looked_up(wire):
    async def scene():
        async with peer(wire.path, wire.speaker()) as url:
            there = url.replace("127.0.0.1", "localhost")
            async with wire.link_to(there, PATIENT) as link:
                await link.open("token")
                assert link.usable
            async with wire.link_to("http://backend.invalid", PATIENT) as link:
                with pytest.raises(ConnectFailed):
                    await link.open("token")

    asyncio.run(scene())


def test_silence_ends_the_link_to_a_backend_that_answers_pings(wire):
    script = wire.speaker(wire.pong)
    wire.ends(script, r"nothing received from the backend for 0\.4 s", TIMING)


def test_pings_keep_a_link_alive(wire):
    async def answer(raw):
        async for message in raw:
            assert message.data == wire.ping
            await raw.send_str(wire.pong)

    wire.live(wire.speaker(then=answer), wire.stays, TIMING)


def test_more_than_can_be_processed_ends_the_link(wire):
    async def use(link):
        with pytest.raises(Disconnected, match="more than can be processed"):
            await link.run()
        assert link.received.qsize() == MAX_UNREAD
        assert link.overflows >= 1

    async def flood(raw):
        await raw.receive()
        with contextlib.suppress(ConnectionError):
            for _ in range(MAX_UNREAD + 100):
                await raw.send_str(wire.processing)

    wire.live(wire.speaker(then=flood), use)


def test_a_message_beyond_all_bounds_ends_the_link(wire):
    async def shout(raw):
        await raw.receive()
        with contextlib.suppress(ConnectionError):
            await raw.send_str(wire.transcript.replace("secret", "x" * 9_000_000))

    wire.ends(wire.speaker(then=shout), "link lost|closed the link", within_s=5.0)


def asleep(wire, use):
    """Use a link to a peer that upgrades, greets, and reads no more."""
    ended = asyncio.Event()

    async def talk(reader, writer):
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        [key] = [each for each in request.split("\r\n") if each.startswith("Sec-WebSocket-K")]
        magic = key.split(": ")[1] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        digest = hashlib.sha1(magic.encode(), usedforsecurity=False).digest()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
        )
        for text in wire.greeting:
            writer.write(bytes([0x81, len(text)]) + text.encode())
        await writer.drain()
        await ended.wait()
        with pytest.raises(ConnectionResetError):
            await reader.read(-1)
        writer.close()

    async def scene():
        server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=1024)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, wire.link_to(url, PATIENT) as link:
            await link.open("token")
            await use(link)
            before = time.monotonic()
            link.abort("enough")
            await link.close()
            assert time.monotonic() - before < 0.5
            ended.set()

    asyncio.run(scene())


def test_a_peer_that_sleeps_takes_no_flush_and_an_abort_is_a_reset(wire):
    async def use(link):
        for _ in range(4):
            whole = AudioChunk(bytes(3_900_000))
            await link.send(whole if wire is SOCKETIO else AudioPart(0, bytes(3_000_000)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await link.flushed()

    asleep(wire, use)


def test_more_than_waits_to_be_sent_ends_the_link():
    async def use(link):
        for _ in range(5):
            with contextlib.suppress(Disconnected):
                await link.send(AudioPart(0, bytes(1000 * 3200)))
        assert not link.usable

    asleep(VOICE_WS, use)


def test_the_kernel_gives_up_too(wire):
    async def use(link):
        [opened] = link._sockets._opened
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    wire.live(wire.speaker(), use)


def test_no_sound_text_or_token_reaches_the_log(wire, caplog):
    caplog.set_level(logging.DEBUG)

    async def use(link):
        assert await link.received.get() == Transcript("secret")

    wire.live(wire.speaker(wire.transcript, '{"type":"secret"}'), use)
    lines = "\n".join(each.getMessage() for each in caplog.records)
    assert "secret" not in lines
    assert '"token"' not in lines
    assert "Bearer" not in lines
