import asyncio
import json

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from fakes.ear_feed import apply
from jarvis_ear.console import server
from jarvis_ear.console.server import BURST
from jarvis_ear.control.feed import MAX_DELTAS, decode

PLACES = [
    "/console",
    "/console/kind.json",
    "/console/token",
    "/console/feed",
    "/console/index.html",
    "/console/console.css",
    "/console/console.js",
    "/console/icon.svg",
]
BEHIND_THE_TOKEN = ["/console/token", "/console/feed"]


async def test_the_routes_are_those_that_are_tried(site):
    async with site() as one:
        routes = {(route.method, route.resource.canonical) for route in one.app.router.routes()}
        assert {method for method, _ in routes} == {"GET"}
        assert {path for _, path in routes} >= set(PLACES)
        for _, path in routes:  # the parts of the page say nothing of the ear
            answer = await one.session.get(one.url(path))
            assert answer.status == (401 if path in BEHIND_THE_TOKEN else 200), path


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"Host": "evil.example"}, "", 403),
        ({"Host": "127.0.0.1"}, "", 403),
        ({"Origin": "https://evil.example"}, "", 403),
        ({"Origin": "null"}, "", 403),
        ({}, "?token=the-token", 400),
        ({}, "?x", 400),
    ],
)
async def test_every_route_refuses_other_pages_and_queries(site, headers, query, status):
    async with site() as one:
        good = {"Authorization": "Bearer the-token"}
        for route in one.app.router.routes():
            path = route.resource.canonical + query
            answer = await one.session.get(one.url(path), headers={**good, **headers})
            assert answer.status == status, path
            with pytest.raises(WSServerHandshakeError) as refused:
                await one.session.ws_connect(
                    one.url(path), protocols=("jarvis-console", "token.the-token"), headers=headers
                )
            assert refused.value.status == status, path


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
async def test_every_route_is_for_reading(site, method):
    async with site() as one:
        for route in one.app.router.routes():
            path = route.resource.canonical
            answer = await one.session.request(
                method, one.url(path), headers={"Authorization": "Bearer the-token"}
            )
            assert answer.status == 405, path
            assert "Access-Control-Allow-Origin" not in answer.headers


async def test_every_response_has_the_security_headers(site):
    async with site() as one:
        for path in [*PLACES, "/", "/console/nothing", "/console/../feed"]:
            answer = await one.session.get(one.url(path))
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"], path
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"
            assert "ython" not in answer.headers["Server"]


@pytest.mark.parametrize("token", ["", "wrong", "the-token-and-more"])
async def test_without_the_token_there_is_nothing_to_see(site, token):
    async with site() as one:
        with pytest.raises(WSServerHandshakeError) as refused:
            await one.watch(token)
        assert refused.value.status == 401
        assert one.pages.refused == 1


async def test_the_token_is_never_sent_back(site):
    async with site() as one, one.watch() as socket:
        assert socket.protocol == "jarvis-console"


async def test_a_page_sees_everything_and_then_what_changes(site, feed):
    feed.put("state", {"name": "idle"})
    async with site() as one, one.watch() as socket:
        seen = apply({}, decode(await socket.receive_str()))
        assert seen == {"ear": {"up": True}, "state": {"name": "idle"}}
        feed.put("state", {"name": "listening"})
        seen = apply(seen, decode(await socket.receive_str()))
        assert seen["state"] == {"name": "listening"}


async def test_a_flood_of_changes_ends_in_the_current_state(site, feed):
    async with site() as one, one.watch() as socket:
        seen = apply({}, decode(await socket.receive_str()))
        for number in range(3 * MAX_DELTAS):
            feed.put("n", number)
        while seen.get("n") != 3 * MAX_DELTAS - 1:
            seen = apply(seen, decode(await socket.receive_str()))


async def answer_of(socket):
    while True:
        told = json.loads(await socket.receive_str())
        if "answer" in told:
            return told


async def test_a_command_is_carried_out_and_answered(site):
    async with site() as one, one.watch() as socket:
        for number, word in enumerate(["mute", "unmute", "toggle", "hush"]):
            await socket.send_json({"order": word, "id": number})
            assert await answer_of(socket) == {"answer": {"did": word}, "id": number}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"order":"status","id":1}',
        '{"order":"mute"}',
        '{"order":1,"id":1}',
        "[" * 50_000,
    ],
)
async def test_an_invalid_command_is_refused(site, text):
    async with site() as one, one.watch() as socket:
        await socket.send_str(text)
        assert "expected an order" in (await answer_of(socket))["answer"]["error"]


async def close_code(socket):
    while True:
        message = await socket.receive()
        if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED):
            return socket.close_code


async def test_binary_too_much_and_too_large_end_the_connection(site):
    async with site() as one:
        async with one.watch() as socket:
            await socket.send_bytes(b"x")
            assert await close_code(socket) == 1008
        async with one.watch() as socket:
            await socket.send_str("x" * (server.MAX_MESSAGE + 1))
            assert await close_code(socket) == 1009
        async with one.watch() as socket:
            for number in range(int(BURST) + 10):
                await socket.send_json({"order": "mute", "id": number})
            assert await close_code(socket) == 1008


async def test_one_page_too_many_gets_503(site, monkeypatch):
    monkeypatch.setattr(server, "MAX_BROWSERS", 1)
    async with site() as one:
        async with one.watch() as socket:
            await socket.receive_str()
            with pytest.raises(WSServerHandshakeError) as refused:
                await one.watch()
            assert refused.value.status == 503
        while one.pages._open:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        async with one.watch() as socket:
            await socket.receive_str()


async def test_without_a_websocket_the_feed_says_what_it_expected(site):
    async with site() as one:
        good = {"Authorization": "Bearer the-token"}
        answer = await one.session.get(one.url("/console/feed"), headers=good)
        assert answer.status == 426
        answer = await one.session.get(one.url("/console/token"), headers=good)
        assert answer.status == 204
