"""A session is created, used and stopped; each other answer is an error of its kind."""

import asyncio
import contextlib
import time

import pytest
from aiohttp import web

from fakes.peer import serving
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ConnectFailed, Rejected, RemoteProtocolError
from jarvis_ear.link.websocket import WebSocketLink
from jarvis_ear.wires.session import SessionDialect, SessionHandshake

TIMING = Timing(connect_s=1.0, close_s=0.5)
RUNNING = '{"type":"status","state":"running"}'


class SessionServer:
    """Answers as told, and remembers what it was asked."""

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
            await raw.send_str(RUNNING)
        return raw


@contextlib.asynccontextmanager
async def link_to(url):
    link = WebSocketLink(SessionHandshake(url), SessionDialect(), TIMING, lambda: None)
    try:
        yield link
    finally:
        before = time.monotonic()
        await link.close()
        assert time.monotonic() - before < 4 * TIMING.close_s


def opened(server, token=None):
    async def scenario():
        async with serving(server.app()) as url:
            async with link_to(url) as link:
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
def test_a_server_that_wants_none_announced_gets_a_name_of_ours(status):
    [_, carried, *_] = opened(SessionServer(status, "no"))
    assert len(carried.removeprefix("carry ")) >= 16


def test_a_stop_that_nobody_answers_is_not_waited_for():
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
def test_any_other_answer_is_an_error_of_its_kind(status, body, kind):
    server = SessionServer(status, body)

    async def scenario():
        async with serving(server.app()) as url, link_to(url) as link:
            with pytest.raises(kind):
                await link.open(None)

    asyncio.run(scenario())
    assert len(server.asked) == 1
