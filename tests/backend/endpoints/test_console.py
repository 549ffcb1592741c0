import pytest
from starlette.testclient import TestClient

from fakes.engines import scripted
from jarvis_backend.app import create_app
from jarvis_backend.config import BackendConfig
from jarvis_ear.page import read_assets


@pytest.fixture
def client():
    with TestClient(create_app(BackendConfig(console=True), scripted())) as made:
        yield made


def test_it_is_not_there_unless_it_is_asked_for():
    with TestClient(create_app(BackendConfig(), scripted())) as client:
        assert client.get("/console").status_code == 404
        assert client.get("/console/kind.json").status_code == 404


def test_it_says_who_serves_it_and_where_to_talk(client):
    assert client.get("/console/kind.json").json() == {
        "kind": "backend",
        "realtime": "/ws/realtime",
    }


@pytest.mark.parametrize("path", ["", *(f"/{name}" for name in read_assets())])
def test_every_part_is_served_and_dressed(client, path):
    answer = client.get(f"/console{path}")
    assert answer.status_code == 200
    assert answer.content
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "microphone=(self)" in answer.headers["Permissions-Policy"]


@pytest.mark.parametrize("name", ["nothing", "..%2fconfig.py", "%2e%2e%2fassets.py", "a/b"])
def test_nothing_else_is(client, name):
    assert client.get(f"/console/{name}").status_code == 404


def test_it_is_for_reading(client):
    assert client.post("/console").status_code == 405
