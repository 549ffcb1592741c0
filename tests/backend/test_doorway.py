"""Who is let through the door."""

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from fakes.engines import scripted
from jarvis_backend.app import create_app
from jarvis_backend.config import Config
from jarvis_backend.doorway import DoorRules


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        ("localhost:4000", True),
        ("LOCALHOST", True),
        ("127.0.0.1:4000", True),
        ("[::1]:4000", True),
        ("192.168.1.20:4000", True),
        ("jarvis-pi", True),
        ("jarvis.local:4000", True),
        ("jarvis.home.arpa", True),
        ("local", True),
        ("notlocal.example", False),
        ("house.example", True),
        ("evil.example", False),
        ("evil.example:4000", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_a_name_with_a_dot_must_be_known(host, admitted):
    assert DoorRules({"house.example"}, ()).admits_host(host) is admitted


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
    rules = DoorRules((), {"https://panel.example"})
    assert rules.admits_origin(origin, "localhost:4000") is admitted


@pytest.fixture(scope="module")
def client():
    with TestClient(create_app(Config(), scripted())) as client:
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


def test_no_documentation_of_the_interface_is_served(client):
    assert {client.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json")} == {404}
