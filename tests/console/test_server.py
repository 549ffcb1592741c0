"""The server of the console: its routes, its commands, and who may see and give them."""

import asyncio
import json

import pytest
from aiohttp import WSMsgType

from fakes.ear_feed import apply
from jarvis_ear.console import server
from jarvis_ear.console.server import (
    FAILURES_S,
    MAX_FAILURES,
    Refusal,
    RequestGuard,
    request_token,
)
from jarvis_ear.control.commands import BURST
from jarvis_ear.control.feed import MAX_DELTAS, decode
from jarvis_ear.wake_ledger.clips import FOLDER, Clip, ClipFolder

PARTS = ("index.html", "console.css", "console.js", "icon.svg", "kind.json", "token", "feed")
PLACES = ["/console", *(f"/console/{part}" for part in PARTS)]
CLIP = "/console/clips/0123abcd"
BEHIND_THE_TOKEN = ["/console/token", "/console/feed", "/console/clips", CLIP]


def paths_of(app) -> set[str]:
    """A path for each route."""
    canonical = {route.resource.canonical for route in app.router.routes()}
    return {path.replace("{id}", "0123abcd") for path in canonical}


async def test_only_the_parts_of_the_page_need_no_token(site):
    async with site() as one:
        assert {route.method for route in one.app.router.routes()} == {"GET"}
        assert paths_of(one.app) >= {*PLACES, *BEHIND_THE_TOKEN}
        for path in paths_of(one.app):  # the parts of the page say nothing of the ear
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
        for path in (path + query for path in paths_of(one.app)):
            assert (await one.request(path, **headers)).status == status, path
            assert await one.refusal(path=path, **headers) == status, path


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
async def test_every_route_allows_only_get(site, method):
    async with site() as one:
        for path in paths_of(one.app):
            answer = await one.request(path, method)
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
        assert await one.refusal(token) == 401
        assert one.pages.refused == 1


async def test_a_page_sees_everything_and_then_what_changes(site, feed):
    feed.put("state", {"name": "idle"})
    async with site() as one, one.watch() as socket:
        assert socket.protocol == "jarvis-console"  # and not the token
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
        news = json.loads(await socket.receive_str())
        if "answer" in news:
            return news


async def test_a_command_is_carried_out_and_answered(site):
    async with site() as one, one.watch() as socket:
        for number, word in enumerate(["mute", "unmute", "toggle", "stop", "listen"]):
            await socket.send_json({"order": word, "id": number})
            assert await answer_of(socket) == {"answer": {"did": word}, "id": number}


async def test_tuned_values_are_a_command(site):
    async with site() as one, one.watch() as socket:
        for word in ("tune threshold=0.4", "tune threshold=0.4 hangover_ms=900", "tune default"):
            await socket.send_json({"order": word, "id": 1})
            assert await answer_of(socket) == {"answer": {"did": word}, "id": 1}
        for word in ("tune", "tune x", "tune threshold=", "tune a=1 b=2 c=3", "tune a=1\nmute"):
            await socket.send_json({"order": word, "id": 1})
            assert "expected an order" in (await answer_of(socket))["answer"]["error"]


@pytest.fixture
def clip(tmp_path, monkeypatch):
    """A clip in the state folder of the console's user."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    words = ("0123abcd", "wake", "2026-01-02T03:04:05.678+00:00", 0.83, 0.5, "Hey Jarvis")
    with ClipFolder(tmp_path / FOLDER) as clips:
        made = Clip(*words, -21.4, -60.2, 0.0, 1.0)
        clips.add(made, b"RIFF")
    return made


async def test_clips_are_listed_and_sent_to_whom_they_belong(site, clip, tmp_path, monkeypatch):
    async with site() as one:
        listed = await (await one.request("/console/clips")).json()
        assert listed["events"] == [clip.as_json()]
        sent = await one.request(CLIP)
        assert (await sent.read(), sent.content_type) == (b"RIFF", "audio/wav")
        assert (await one.request(CLIP.replace("0", "f"))).status == 404
        (tmp_path / FOLDER).rename(tmp_path / "elsewhere")
        assert (await one.request(CLIP)).status == 404
        assert (await (await one.request("/console/clips")).json())["events"] == []

        def refuse():
            raise PermissionError(13, "Permission denied", "/var/lib/jarvis-ear")

        monkeypatch.setattr(server, "find_folder", refuse)
        listed = await (await one.request("/console/clips")).json()
        assert listed["error"].startswith("the clips belong to another user: run the console as")
        assert (await one.request(CLIP)).status == 404


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "[" * 50_000),
        *(f'{{"order":{order}}}' for order in ('"status","id":1', '"mute"', '1,"id":1')),
    ],
)
async def test_an_invalid_command_is_refused(site, text):
    async with site() as one, one.watch() as socket:
        await socket.send_str(text)
        assert "expected an order" in (await answer_of(socket))["answer"]["error"]


async def flood(socket):
    for number in range(int(BURST) + 10):
        await socket.send_json({"order": "mute", "id": number})


@pytest.mark.parametrize(
    ("send", "code"),
    [
        (lambda socket: socket.send_bytes(b"x"), 1008),
        (lambda socket: socket.send_str("x" * (server.MAX_MESSAGE + 1)), 1009),
        (flood, 1008),
    ],
    ids=["binary", "too large", "too many"],
)
async def test_binary_too_much_and_too_large_end_the_connection(site, send, code):
    async with site() as one, one.watch() as socket:
        await send(socket)
        while (await socket.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSED):
            pass
        assert socket.close_code == code


async def test_one_page_too_many_gets_503(site, monkeypatch):
    monkeypatch.setattr(server, "MAX_BROWSERS", 1)
    async with site() as one:
        async with one.watch() as socket:
            await socket.receive_str()
            assert await one.refusal() == 503
        while one.pages._open:  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0.01)
        async with one.watch() as socket:
            await socket.receive_str()


async def test_without_a_websocket_the_feed_says_what_it_expected(site):
    async with site() as one:
        assert (await one.request("/console/feed")).status == 426
        assert (await one.request("/console/token")).status == 204


HOST = "127.0.0.1:4888"


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def guard(now):
    return RequestGuard(4888, "the-token", lambda: now[0])


@pytest.mark.parametrize("host", [HOST, "localhost:4888", "LOCALHOST:4888"])
def test_the_own_page_is_accepted(guard, host):
    guard.check_page(host, None, "")
    guard.check_page(host, f"http://{host}", "")
    guard.check_token("the-token")


@pytest.mark.parametrize(
    ("host", "origin", "query", "status"),
    [
        ("", None, "", 403),
        ("evil.example", None, "", 403),
        ("evil.example:4888", None, "", 403),
        ("127.0.0.1", None, "", 403),
        ("127.0.0.1:80", None, "", 403),
        ("192.0.2.1:4888", None, "", 403),
        (HOST, "", "", 403),
        (HOST, "null", "", 403),
        (HOST, "http://evil.example", "", 403),
        (HOST, "https://127.0.0.1:4888", "", 403),
        (HOST, "http://localhost:4888", "", 403),
        (HOST, "http://127.0.0.1:4889", "", 403),
        (HOST, None, "token=the-token", 400),
    ],
)
def test_other_names_other_pages_and_every_query_are_refused(guard, host, origin, query, status):
    with pytest.raises(Refusal, match="Bad Request" if query else "Forbidden") as refused:
        guard.check_page(host, origin, query)
    assert refused.value.status == status


@pytest.mark.parametrize("token", ["", "wrong", "the-token ", "\udcff"])
def test_a_wrong_token_is_refused(guard, token):
    with pytest.raises(Refusal) as refused:
        guard.check_token(token)
    assert refused.value.status == 401


def test_after_many_wrong_tokens_all_are_refused_for_a_while(guard, now):
    for _ in range(MAX_FAILURES):
        with pytest.raises(Refusal, match="Unauthorized"):
            guard.check_token("guess")
    with pytest.raises(Refusal) as refused:
        guard.check_token("the-token")
    assert refused.value.status == 429
    now[0] += FAILURES_S + 1
    guard.check_token("the-token")


def test_a_missing_token_is_not_counted_as_wrong(guard):
    for _ in range(MAX_FAILURES + 1):
        with pytest.raises(Refusal, match="Unauthorized"):
            guard.check_token("")
    guard.check_token("the-token")


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"Sec-WebSocket-Protocol": "jarvis-console, token.abc"}, "abc"),
        ({"Sec-WebSocket-Protocol": "jarvis-console"}, ""),
        ({"Authorization": "Bearer abc"}, "abc"),
        ({"Authorization": "Basic abc"}, ""),
    ],
)
def test_where_a_token_may_be(headers, token):
    assert request_token(headers) == token
