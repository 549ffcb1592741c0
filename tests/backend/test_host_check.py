"""Who is let through the door."""

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from fakes.engines import scripted
from jarvis_backend.app import create_app
from jarvis_backend.config import BackendConfig
from jarvis_backend.host_check import HostRules, Malformed


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        ("localhost:4000", True),
        ("LOCALHOST", True),
        ("127.0.0.1:4000", True),
        ("[::1]:4000", True),
        ("192.168.1.20:4000", True),
        ("x.localhost:4000", True),
        ("localhost.", True),
        ("jarvis-pi", False),
        ("jarvis.local:4000", False),
        ("jarvis.lan", False),
        ("jarvis.home.arpa", False),
        ("local", False),
        ("testserver", False),
        ("localhost.evil.example", False),
        ("notlocalhost", False),
        ("notlocal.example", False),
        ("house.example", True),
        ("HOUSE.local", True),
        ("evil.example", False),
        ("evil.example:4000", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
    ],
)
def test_a_name_must_be_known(host, admitted):
    assert HostRules({"house.example", "house.local"}, ()).allows_host(host) is admitted


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        ("jarvis-pi", True),
        ("jarvis.local:4000", True),
        ("jarvis.lan", True),
        ("localhost", True),
        ("evil.example", False),
        ("notlocal.example", False),
    ],
)
def test_with_a_token_a_name_of_the_local_network_is_fine(host, admitted):
    assert HostRules((), ()).allows_host(host, with_token=True) is admitted


@pytest.mark.parametrize("host", ["[::1", "xn--", "\xff\xfe"])
def test_what_is_no_name_at_all_is_malformed(host):
    with pytest.raises(Malformed):
        HostRules((), ()).allows_host(host)


@pytest.mark.parametrize("origin", ["http://[", "http://[x]:y"])
def test_what_is_no_page_at_all_is_malformed(origin):
    with pytest.raises(Malformed):
        HostRules((), ()).allows_origin(origin, "localhost:4000")


@pytest.mark.parametrize(
    ("origin", "admitted"),
    [
        (None, True),
        ("http://localhost:4000", True),
        ("https://panel.example", True),
        ("https://PANEL.example/", True),
        ("http://panel.example", False),
        ("http://localhost:8080", False),
        ("https://evil.example", False),
        ("null", False),
        ("", False),
        ("file://localhost:4000", False),
    ],
)
def test_a_page_must_be_ours_or_named(origin, admitted):
    rules = HostRules((), {"https://panel.example"})
    assert rules.allows_origin(origin, "localhost:4000") is admitted


@pytest.fixture(scope="module")
def client():
    with TestClient(create_app(BackendConfig(), scripted())) as client:
        yield client


@pytest.mark.parametrize("path", ["/health", "/api/health", "/socket.io/?EIO=4&transport=polling"])
def test_a_foreign_page_or_name_gets_403(client, path):
    assert client.get(path).status_code == 200
    assert client.get(path, headers={"Origin": "http://testserver"}).status_code == 200
    assert client.get(path, headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.get(path, headers={"Host": "evil.example"}).status_code == 403


def test_a_foreign_page_opens_no_websocket(client):
    url = "/socket.io/?EIO=4&transport=websocket"
    with pytest.raises(WebSocketDisconnect) as refused:
        client.websocket_connect(url, headers={"Origin": "https://evil.example"}).__enter__()
    assert refused.value.code == 1008


@pytest.mark.parametrize("name", ["jarvis.local", "jarvis.lan", "jarvis-pi", "evil"])
def test_a_page_that_binds_its_own_name_to_us_gets_nothing(client, name):
    """A page of ``http://evil:4000`` whose name leads here now: Origin and Host are the same."""
    rebound = {"Host": f"{name}:4000", "Origin": f"http://{name}:4000"}
    for path in ("/health", "/socket.io/?EIO=4&transport=polling", "/api/status"):
        assert client.get(path, headers=rebound).status_code == 403
    login = {"password": "jarvis"}
    assert client.post("/api/auth/login", json=login, headers=rebound).status_code == 403
    with pytest.raises(WebSocketDisconnect) as refused:
        client.websocket_connect("/ws/voice", headers=rebound).__enter__()
    assert refused.value.code == 1008


def test_a_name_of_the_local_network_needs_a_good_token_or_a_permission(client):
    token = client.post("/api/auth/login", json={"password": "jarvis"}).json()["token"]
    host = {"Host": "jarvis.local:4000"}
    for word, status in ((token, 200), ("nonsense", 403)):
        headers = host | {"Authorization": f"Bearer {word}"}
        assert client.get("/api/status", headers=headers).status_code == status
    offered = {"subprotocols": [token], "headers": host}
    with client.websocket_connect("/ws/voice", **offered) as line:
        assert line.accepted_subprotocol == token
    known = create_app(BackendConfig(allow_hosts=["jarvis.local"]), scripted())
    with TestClient(known) as other:
        assert other.get("/api/status", headers=host).status_code == 200


def test_the_name_of_the_test_client_is_good_in_process_only(client):
    assert client.get("/health", headers={"Host": "testserver"}).status_code == 200
    with TestClient(create_app(BackendConfig(), scripted()), base_url="http://192.0.2.1") as other:
        assert other.get("/health").status_code == 200
        assert other.get("/health", headers={"Host": "testserver"}).status_code == 403


def test_malformed_headers_are_400(client):
    for headers in ({"Origin": "http://["}, {"Host": "xn--"}):
        assert client.get("/health", headers=headers).status_code == 400


def test_no_documentation_of_the_interface_is_served(client):
    assert {client.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json")} == {404}
