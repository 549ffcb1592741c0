"""Every route against clients without permission, and against invalid and endless input."""

import asyncio
from contextlib import ExitStack

import pytest
import requests
import socketio
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from fakes.engines import scripted
from jarvis_backend import rate_limit
from jarvis_backend.app import create_app
from jarvis_backend.config import BackendConfig, Limits

LIMITS = Limits(message_bytes=65_536, messages_per_s=10)
OPTIONS = {"limits": LIMITS, "console": True}
PAGE = {"/console", "/console/kind.json", "/console/{name}"}
PUBLIC = {"/health", "/api/health", "/api/auth/login", *PAGE}
FOREIGN = ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"})
BAD_TOKENS = ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic x"})


def routes():
    """Every route with its methods; a WebSocket has none."""
    found = []
    for entry in create_app(BackendConfig(**OPTIONS), scripted()).routes:
        inner = getattr(entry, "original_router", entry)
        for route in getattr(inner, "routes", None) or [inner]:
            path = getattr(route, "path", "")
            for name, value in (("{session_id}", "unknown"), ("{action}", "stop")):
                path = path.replace(name, value)
            found.append((path, tuple(sorted(getattr(route, "methods", None) or ()))))
    return [one for one in found if one[0] and one[0] != "/socket.io"]


SOCKETS = [path for path, methods in routes() if not methods]
PLACES = [(path, method) for path, methods in routes() for method in methods]


@pytest.fixture(scope="module")
def remote(app_client):
    """A client of another machine."""
    with app_client(client=("192.0.2.7", 40_000), **OPTIONS) as client:
        yield client


@pytest.fixture(scope="module")
def local(app_client):
    """A client of this machine."""
    with app_client(client=("127.0.0.1", 40_000), **OPTIONS) as client:
        yield client


def test_the_routes_are_found():
    assert "/ws/voice" in SOCKETS
    assert ("/api/auth/login", "POST") in PLACES
    assert {path for path, _ in PLACES} >= PUBLIC


@pytest.mark.parametrize("path", SOCKETS)
def test_no_socket_opens_for_another_machine_without_a_token_or_for_a_bad_one(remote, local, path):
    for headers in (*BAD_TOKENS, {"Sec-WebSocket-Protocol": "nonsense"}):
        assert remote.close_code(path, **headers) == 1008
    assert local.close_code(path, Authorization="Bearer nonsense") == 1008


@pytest.mark.parametrize("path", SOCKETS)
def test_with_require_token_this_machine_needs_one_too(start_client, path):
    client = start_client(client=("::1", 1), require_token=True, **OPTIONS)
    assert client.close_code(path) == 1008


@pytest.mark.parametrize("path", SOCKETS)
def test_foreign_pages_and_names_open_no_socket(local, path):
    good = {"Authorization": f"Bearer {local.token()}"}
    for headers in FOREIGN:
        assert local.close_code(path, **headers, **good) == 1008


@pytest.mark.parametrize(("path", "method"), PLACES)
def test_foreign_pages_and_names_get_nothing_over_http(local, path, method):
    for headers in FOREIGN:
        assert local.request(method, path, headers=headers).status_code == 403


@pytest.mark.parametrize(("path", "method"), [one for one in PLACES if one[0] not in PUBLIC])
def test_another_machine_gets_nothing_over_http_without_a_good_token(remote, path, method):
    for headers in BAD_TOKENS:
        assert remote.request(method, path, headers=headers).status_code == 401


@pytest.mark.parametrize(("path", "method"), PLACES)
def test_a_body_that_is_too_large_is_not_kept(local, path, method):
    headers = {"Authorization": f"Bearer {local.token()}", "Content-Type": "application/json"}
    answer = local.request(method, path, content=b"[" * 200_000, headers=headers)
    assert method == "GET" or answer.status_code in (404, 413)


@pytest.fixture(params=SOCKETS)
def line(request, local):
    path = request.param
    if path == "/ws/sessions/unknown":
        path = local.post("/api/sessions").json()["path"]
    with local.websocket_connect(path, subprotocols=[local.token()]) as line:
        yield line


def closed_with(line):
    while True:
        message = line.receive()
        if message["type"] == "websocket.close":
            return message["code"]


@pytest.mark.parametrize("frame", ["x" * 65_537, b"x" * 65_537], ids=["text", "binary"])
def test_an_oversized_frame_closes_the_socket(line, frame):
    line.send_text(frame) if isinstance(frame, str) else line.send_bytes(frame)
    assert closed_with(line) == 1009


def test_a_flood_closes_the_socket(line):
    for _ in range(100):
        line.send_text("x")
    assert closed_with(line) == 1008


def test_garbage_does_not_end_the_server(line, local):
    for frame in ("", "{", "[]", "null", "[" * 30_000, '{"type":{}}', '{"type":"\\ud800"}'):
        line.send_text(frame)
    for frame in (b"", b"\x00", b"RIFF\xff"):
        line.send_bytes(frame)
    line.send_text('{"type": "ping", "event": "nonsense"}')
    assert line.receive()["type"] == "websocket.send"
    assert local.get("/health").status_code == 200


def test_a_good_token_is_accepted_and_returned_as_subprotocol(remote):
    good = remote.token()
    with remote.websocket_connect("/ws/voice", subprotocols=[good]) as line:
        assert line.accepted_subprotocol == good
    headers = {"Authorization": f"bearer {good}"}
    with remote.websocket_connect("/ws/voice", headers=headers) as line:
        assert line.accepted_subprotocol is None


def test_one_connection_too_many_is_refused(start_client):
    client = start_client(limits=Limits(connections=1))
    with client.websocket_connect("/ws/voice"):
        assert client.close_code("/ws/voice") == 1013
    with client.websocket_connect("/ws/voice"):
        pass


# Socket.IO, where the login is a message

SOCKET_IO = "/socket.io/?EIO=4&transport=websocket"


def close_code_of(line):
    try:
        while True:
            line.recv(timeout=20)
    except ConnectionClosed as closed:
        return closed.rcvd.code


def flood(line):
    while True:
        line.send("3")


def open_socket_io(url):
    return connect(url.replace("http", "ws", 1) + SOCKET_IO)


def is_open(line):
    return line.recv(timeout=10).startswith("0{")


def test_a_flood_closes_a_socket_without_a_login(serve):
    with open_socket_io(serve(scripted(), limits=LIMITS)) as line:
        assert is_open(line)
        with pytest.raises(ConnectionClosed) as closed:
            flood(line)
        assert closed.value.rcvd.code == 1008


@pytest.mark.parametrize("headers", FOREIGN)
def test_foreign_pages_and_names_open_no_socket_of_socket_io(local, headers):
    assert local.close_code(SOCKET_IO, **headers) == 1008


def test_sockets_without_a_login_are_bounded(serve):
    url = serve(scripted(), limits=Limits(connections=1))
    with open_socket_io(url) as oldest, open_socket_io(url) as other, open_socket_io(url) as late:
        assert close_code_of(oldest) == 1008
        for line in (other, late):
            line.send("3")  # they are there
        assert is_open(line)


async def test_sockets_with_a_login_make_no_room(serve, connect):
    url = serve(scripted(), limits=Limits(connections=2))
    async with connect(url) as one, connect(url) as other:
        with ExitStack() as up:
            lines = [up.enter_context(open_socket_io(url)) for _ in range(20)]
            for line in lines[:-2]:
                assert await asyncio.to_thread(close_code_of, line) == 1008
            assert await one.fence() == await other.fence() == []


async def test_only_a_socket_without_a_login_is_given_up(serve, connect, monkeypatch):
    monkeypatch.setattr(rate_limit, "LOGIN_S", 0.5)
    url = serve(scripted())
    async with connect(url) as satellite:
        with open_socket_io(url) as line:
            assert await asyncio.to_thread(close_code_of, line) == 1008
        assert await satellite.fence() == []


async def test_a_login_over_a_long_poll_counts_too(serve, log_in, monkeypatch):
    monkeypatch.setattr(rate_limit, "LOGIN_S", 0.5)
    url = serve(scripted())
    client = socketio.AsyncClient(reconnection=False)
    told = asyncio.Queue()
    client.on("*", lambda event, *_: told.put_nowait(event), namespace="/voice")
    await client.connect(url, namespaces=["/voice"], auth={"token": log_in(url)})
    assert client.transport() == "websocket"
    with open_socket_io(url) as line:  # older is only the satellite's
        assert await asyncio.to_thread(close_code_of, line) == 1008
    await client.emit("voice:ping", {}, namespace="/voice")
    async with asyncio.timeout(10):
        while await told.get() != "voice:pong":
            pass
    await client.disconnect()


def test_sessions_that_begin_with_a_long_poll_are_bounded(serve):
    url = serve(scripted(), limits=Limits(connections=1))
    poll = f"{url}/socket.io/?EIO=4&transport=polling"
    answers = [requests.get(poll, timeout=10).status_code for _ in range(6)]
    assert answers == [200] * 4 + [503] * 2
    with open_socket_io(url) as line:
        assert is_open(line)
