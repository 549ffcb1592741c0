"""Every route of the app against those who may not come, and against what nobody should send."""

import asyncio
import json
from contextlib import ExitStack

import pytest
import requests
import socketio
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from fakes.engines import scripted
from jarvis_backend import rate_limit
from jarvis_backend.app import create_app
from jarvis_backend.auth import Auth, LoginRefused, Password
from jarvis_backend.config import BackendConfig, Limits

STRANGER = ("192.0.2.7", 40_000)
LIMITS = Limits(message_bytes=65_536, messages_per_s=10)
PAGE = {"/console", "/console/kind.json", "/console/{name}"}
PUBLIC = {"/health", "/api/health", "/api/auth/login", *PAGE}


def app(**options):
    return create_app(BackendConfig(limits=LIMITS, console=True, **options), scripted())


def routes():
    """Every route with its methods; a WebSocket has none."""
    found = []
    for entry in app().routes:
        inner = getattr(entry, "original_router", entry)
        for route in getattr(inner, "routes", None) or [inner]:
            path = (
                getattr(route, "path", "")
                .replace("{session_id}", "unknown")
                .replace("{action}", "stop")
            )
            found.append((path, tuple(sorted(getattr(route, "methods", None) or ()))))
    return [one for one in found if one[0] and one[0] != "/socket.io"]


SOCKETS = [path for path, methods in routes() if not methods]
PLACES = [(path, method) for path, methods in routes() for method in methods]


@pytest.fixture(scope="module")
def stranger():
    with TestClient(app(), client=STRANGER) as client:
        yield client


@pytest.fixture(scope="module")
def neighbour():
    with TestClient(app(), client=("127.0.0.1", 40_000)) as client:
        yield client


def token(client):
    return client.post("/api/auth/login", json={"password": "jarvis"}).json()["token"]


def close_code(client, path, **headers):
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect(path, headers=headers),
    ):
        pass
    return refused.value.code


def test_the_routes_are_found():
    assert "/ws/voice" in SOCKETS
    assert ("/api/auth/login", "POST") in PLACES
    assert {path for path, _ in PLACES} >= PUBLIC


@pytest.mark.parametrize("path", SOCKETS)
def test_a_stranger_opens_no_socket_without_a_good_token(stranger, path):
    assert close_code(stranger, path) == 1008
    assert close_code(stranger, path, Authorization="Bearer nonsense") == 1008
    assert close_code(stranger, path, **{"Sec-WebSocket-Protocol": "nonsense"}) == 1008
    assert close_code(stranger, path, Authorization="Basic x") == 1008


@pytest.mark.parametrize("path", SOCKETS)
def test_a_bad_token_is_refused_from_this_machine_too(neighbour, path):
    assert close_code(neighbour, path, Authorization="Bearer nonsense") == 1008


@pytest.mark.parametrize("path", SOCKETS)
def test_with_require_token_this_machine_is_asked_too(path):
    with TestClient(app(require_token=True), client=("::1", 1)) as client:
        assert close_code(client, path) == 1008


@pytest.mark.parametrize("path", SOCKETS)
def test_foreign_pages_and_names_open_no_socket(neighbour, path):
    good = {"Authorization": f"Bearer {token(neighbour)}"}
    assert close_code(neighbour, path, Origin="https://evil.example", **good) == 1008
    assert close_code(neighbour, path, Origin="null", **good) == 1008
    assert close_code(neighbour, path, Host="evil.example", **good) == 1008


@pytest.mark.parametrize(("path", "method"), PLACES)
def test_foreign_pages_and_names_get_nothing_over_http(neighbour, path, method):
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        assert neighbour.request(method, path, headers=headers).status_code == 403


@pytest.mark.parametrize(("path", "method"), [one for one in PLACES if one[0] not in PUBLIC])
def test_a_stranger_gets_nothing_over_http_without_a_good_token(stranger, path, method):
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic x"}):
        assert stranger.request(method, path, headers=headers).status_code == 401


@pytest.mark.parametrize(("path", "method"), PLACES)
def test_a_body_that_is_too_large_is_not_kept(neighbour, path, method):
    headers = {"Authorization": f"Bearer {token(neighbour)}", "Content-Type": "application/json"}
    answer = neighbour.request(method, path, content=b"[" * 200_000, headers=headers)
    assert method == "GET" or answer.status_code in (404, 413)


@pytest.fixture(params=SOCKETS)
def line(request, neighbour):
    path = request.param
    if path == "/ws/sessions/unknown":
        path = neighbour.post("/api/sessions").json()["path"]
    with neighbour.websocket_connect(path, subprotocols=[token(neighbour)]) as line:
        yield line


def closed_with(line):
    while True:
        message = line.receive()
        if message["type"] == "websocket.close":
            return message["code"]


@pytest.mark.parametrize("frame", ["x" * 65_537, b"x" * 65_537])
def test_an_oversized_frame_closes_the_socket(line, frame):
    line.send_text(frame) if isinstance(frame, str) else line.send_bytes(frame)
    assert closed_with(line) == 1009


def test_a_flood_closes_the_socket(line):
    for _ in range(100):
        line.send_text("x")
    assert closed_with(line) == 1008


GARBAGE = [
    "",
    "{",
    "[]",
    "null",
    "[" * 30_000,
    '{"type":{}}',
    '{"type":"\\ud800"}',
    b"",
    b"\x00",
    b"RIFF\xff",
]


def test_garbage_does_not_end_the_server(line, neighbour):
    for frame in GARBAGE:
        line.send_text(frame) if isinstance(frame, str) else line.send_bytes(frame)
    line.send_text(json.dumps({"type": "ping", "event": "nonsense"}))
    assert line.receive()["type"] == "websocket.send"
    assert neighbour.get("/health").status_code == 200


def test_a_good_token_opens_the_door_and_comes_back_as_subprotocol(stranger):
    good = token(stranger)
    with stranger.websocket_connect("/ws/voice", subprotocols=[good]) as line:
        assert line.accepted_subprotocol == good
    with stranger.websocket_connect(
        "/ws/voice", headers={"Authorization": f"bearer {good}"}
    ) as line:
        assert line.accepted_subprotocol is None


SOCKET_IO = "/socket.io/?EIO=4&transport=websocket"


def flood(line):
    while True:
        line.send("3")


def close_code_of(line):
    try:
        while True:
            line.recv(timeout=20)
    except ConnectionClosed as closed:
        return closed.rcvd.code


def open_socket_io(url):
    return connect(url.replace("http", "ws", 1) + SOCKET_IO)


def test_a_flood_closes_a_socket_that_never_said_who_it_is(serve):
    with open_socket_io(serve(scripted(), limits=LIMITS)) as line:
        assert line.recv(timeout=10).startswith("0{")
        with pytest.raises(ConnectionClosed) as closed:
            flood(line)
        assert closed.value.rcvd.code == 1008


def test_foreign_pages_and_names_open_no_socket_of_socket_io(neighbour):
    assert close_code(neighbour, SOCKET_IO, Origin="https://evil.example") == 1008
    assert close_code(neighbour, SOCKET_IO, Host="evil.example") == 1008


def test_sockets_that_never_say_who_they_are_are_bounded(serve):
    url = serve(scripted(), limits=Limits(connections=1))
    with open_socket_io(url) as oldest, open_socket_io(url) as other, open_socket_io(url) as late:
        assert close_code_of(oldest) == 1008
        for line in (other, late):
            line.send("3")  # they are there
        assert line.recv(timeout=10).startswith("0{")


def test_who_has_logged_in_makes_no_room(serve, run, connect):
    url = serve(scripted(), limits=Limits(connections=2))

    async def scene():
        async with connect(url) as one, connect(url) as other:
            with ExitStack() as up:
                lines = [up.enter_context(open_socket_io(url)) for _ in range(20)]
                for line in lines[:-2]:
                    assert await asyncio.to_thread(close_code_of, line) == 1008
                assert await one.fence() == await other.fence() == []

    run(scene())


def test_who_does_not_log_in_is_given_up_and_who_does_is_not(serve, run, connect, monkeypatch):
    monkeypatch.setattr(rate_limit, "LOGIN_S", 0.5)
    url = serve(scripted())

    async def scene():
        async with connect(url) as satellite:
            with open_socket_io(url) as line:
                assert await asyncio.to_thread(close_code_of, line) == 1008
            assert await satellite.fence() == []

    run(scene())


def test_who_comes_from_a_long_poll_may_stay(serve, run, monkeypatch):
    monkeypatch.setattr(rate_limit, "LOGIN_S", 0.5)
    url = serve(scripted())
    login = {"password": "jarvis"}
    token = requests.post(f"{url}/api/auth/login", json=login, timeout=10).json()["token"]

    async def scene():
        client = socketio.AsyncClient(reconnection=False)
        told = asyncio.Queue()
        client.on("*", lambda event, *_: told.put_nowait(event), namespace="/voice")
        await client.connect(url, namespaces=["/voice"], auth={"token": token})
        assert client.transport() == "websocket"
        with open_socket_io(url) as line:  # older is only the satellite's
            assert await asyncio.to_thread(close_code_of, line) == 1008
        await client.emit("voice:ping", {}, namespace="/voice")
        async with asyncio.timeout(10):
            while await told.get() != "voice:pong":
                pass
        await client.disconnect()

    run(scene())


def test_sessions_that_begin_with_a_long_poll_are_bounded(serve):
    url = serve(scripted(), limits=Limits(connections=1))
    poll = f"{url}/socket.io/?EIO=4&transport=polling"
    answers = [requests.get(poll, timeout=10).status_code for _ in range(6)]
    assert answers == [200] * 4 + [503] * 2
    with open_socket_io(url) as line:
        assert line.recv(timeout=10).startswith("0{")


def test_who_guesses_has_to_wait():
    app = create_app(BackendConfig(limits=Limits(guesses_per_min=2)), scripted())
    with TestClient(app) as client:

        def login(password):
            return client.post("/api/auth/login", json={"password": password}).status_code

        assert [login(word) for word in ("a", "jarvis", "b", "c", "jarvis")] == [
            *(401, 200, 401),
            *(429, 429),
        ]


def test_one_connection_too_many_is_refused():
    limits = Limits(connections=1)
    with TestClient(create_app(BackendConfig(limits=limits), scripted())) as client:
        with client.websocket_connect("/ws/voice"):
            assert close_code(client, "/ws/voice") == 1013
        with client.websocket_connect("/ws/voice"):
            pass


@pytest.mark.parametrize(
    ("peer", "is_in"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("testclient", True),
        ("::ffff:192.0.2.1", False),
        ("192.0.2.1", False),
        ("localhost.evil.example", False),
        ("", False),
        (None, False),
    ],
)
def test_only_this_machine_is_this_machine(peer, is_in):
    auth = Auth(Password("x"), None, lambda: 0)
    if is_in:
        assert auth.authorize(peer, None) is None
        return
    with pytest.raises(LoginRefused):
        auth.authorize(peer, None)
