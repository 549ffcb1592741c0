"""The handshakes: a session is created, used and stopped; the realtime token is a subprotocol."""

import asyncio
import contextlib
import time

import pytest
from aiohttp import web

from fakes.peer import peer, serving
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ConnectFailed, Rejected, RemoteProtocolError
from jarvis_ear.link.websocket import WebSocketLink
from jarvis_ear.wires.messages import AudioStart, Listening
from jarvis_ear.wires.realtime import (
    PATH,
    RealtimeDialect,
    RealtimeHandshake,
    RealtimeState,
    RealtimeStatus,
    encode,
)
from jarvis_ear.wires.session import SessionDialect, SessionHandshake

TIMING = Timing(connect_s=1.0, close_s=0.5)


@contextlib.asynccontextmanager
async def link_to(handshake, dialect, timing=TIMING):
    link = WebSocketLink(handshake, dialect, timing, lambda: None)
    try:
        yield link
    finally:
        before = time.monotonic()
        await link.close()
        assert time.monotonic() - before < 4 * TIMING.close_s


class SessionServer:
    """Answers with the given status and body, and records the requests."""

    def __init__(self, status=201, body='{"id":"s1"}', *, stops=True):
        self._status, self._body, self._stops = status, body, stops
        self.asked = []

    def app(self):
        app = web.Application()
        app.router.add_post("/api/sessions", self._create)
        app.router.add_post("/api/sessions/{id}/stop", self._stop)
        app.router.add_get("/ws/sessions/{id}", self._carry)
        return app

    async def _create(self, request):
        self.asked.append((await request.text(), request.headers.get("Authorization")))
        moved = {"Location": "/elsewhere"} if self._status == 307 else {}
        return web.Response(status=self._status, text=self._body, headers=moved)

    async def _stop(self, request):
        self.asked.append(f"stop {request.match_info['id']}")
        if not self._stops:
            await asyncio.Event().wait()
        return web.Response()

    async def _carry(self, request):
        self.asked.append(f"carry {request.match_info['id']}")
        raw = web.WebSocketResponse()
        await raw.prepare(request)
        async for message in raw:
            self.asked.append(message.data)
            await raw.send_str('{"type":"status","state":"running"}')
        return raw


def session_link(url):
    return link_to(SessionHandshake(url), SessionDialect())


def opened(server, token=None):
    async def scenario():
        async with serving(server.app()) as url:
            async with session_link(url) as link:
                await link.open(token)
                assert link.usable
            await asyncio.sleep(0)
        return server.asked

    return asyncio.run(scenario())


def test_a_session_from_its_announcement_to_its_end():
    assert opened(SessionServer(), "canary") == [
        ('{"mode": "assistant"}', "Bearer canary"),
        "carry s1",
        '{"type":"start","sampleRate":16000}',
        "stop s1",
    ]


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_without_announcements_gets_a_generated_name(status):
    [_, carried, *_] = opened(SessionServer(status, "no"))
    assert len(carried.removeprefix("carry ")) >= 16


def test_an_unanswered_stop_is_not_waited_for():
    assert "stop s1" in opened(SessionServer(stops=False))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, "", Rejected),
        (403, "", Rejected),
        (503, "", ConnectFailed),
        (307, "", RemoteProtocolError),
        (400, "", RemoteProtocolError),
        (201, "<html>", RemoteProtocolError),
        (201, "[]", RemoteProtocolError),
        (201, '{"id":7}', RemoteProtocolError),
        (201, '{"id":"../../etc"}', RemoteProtocolError),
        (201, '{"id":""}', RemoteProtocolError),
        (201, '{"id":"' + "a" * 200 + '"}', RemoteProtocolError),
        (201, "[" * 40_000, RemoteProtocolError),
        (201, "x" * 70_000, RemoteProtocolError),
    ],
)
def test_any_other_answer_to_a_new_session_is_an_error_of_its_kind(status, body, kind):
    server = SessionServer(status, body)

    async def scenario():
        async with serving(server.app()) as url, session_link(url) as link:
            with pytest.raises(kind):
                await link.open(None)

    asyncio.run(scenario())
    assert len(server.asked) == 1


def realtime_link(url, path="", connect_s=0.5):
    timing = Timing(connect_s=connect_s)
    return link_to(RealtimeHandshake(url, path), RealtimeDialect(), timing)


def status(state):
    return encode(RealtimeStatus(state), 0.0)


def peer_that_says(*frames, path=PATH, echo=True):
    """Serve a realtime stream that sends these frames, and may echo the token."""

    async def script(raw, _request):
        for frame in frames:
            await raw.send_str(frame)
        async for _ in raw:
            pass

    return peer(path, script, echo=echo)


def test_a_realtime_link_and_the_ping_of_the_websocket_as_the_answer_to_a_start():
    async def scenario():
        async with (
            peer_that_says(status(RealtimeState.RECORDING), path="/elsewhere") as url,
            realtime_link(url, "/elsewhere") as link,
        ):
            await link.open("canary")
            await link.send(AudioStart())
            assert await asyncio.wait_for(link.received.get(), 2.0) == Listening()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("frames", "echo", "kind", "words"),
    [
        ([status(RealtimeState.RECORDING)], False, RemoteProtocolError, "without the token"),
        ([], True, ConnectFailed, "no connection within"),
        (["nonsense"], True, ConnectFailed, "no connection within"),
        ([status(RealtimeState.IDLE)], True, ConnectFailed, "no connection within"),
    ],
    ids=["no echo", "silence", "nonsense", "idle"],
)
def test_a_realtime_backend_must_echo_the_token_and_record_in_time(frames, echo, kind, words):
    async def scenario():
        connect_s = 0.1 if echo else 0.5
        async with (
            peer_that_says(*frames, echo=echo) as url,
            realtime_link(url, connect_s=connect_s) as link,
        ):
            with pytest.raises(kind, match=words):
                await link.open("canary")

    asyncio.run(scenario())


@pytest.mark.parametrize("token", ["two words", "a,b", "a;b", "ü", 'quo"te', ""])
def test_a_token_that_cannot_be_a_subprotocol_is_refused(token):
    async def scenario():
        async with realtime_link("http://127.0.0.1:9") as link:
            with pytest.raises(RemoteProtocolError, match="cannot be a subprotocol"):
                await link.open(token)

    asyncio.run(scenario())
