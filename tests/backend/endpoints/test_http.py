"""Health, and the page of the backend."""

import pytest
from starlette.testclient import TestClient

from fakes.clock import FakeClock
from fakes.engines import scripted
from jarvis_backend.app import create_app
from jarvis_backend.config import BackendConfig
from jarvis_backend.engines.engine import MissingEngine
from jarvis_ear.page import read_assets

MISSING = MissingEngine("install one")


def test_a_running_application_is_healthy(start_client):
    answer = start_client().get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})


def test_liveness_needs_no_engine():
    clock = FakeClock()
    app = create_app(BackendConfig(), scripted(stt=MISSING), now=clock.monotonic)
    clock.now += 12.5
    answer = TestClient(app).get("/api/health?liveness")
    assert answer.status_code == 200
    assert answer.json().keys() == {"status", "timestamp", "uptime", "version"}
    assert (answer.json()["status"], answer.json()["uptime"]) == ("ok", 12.5)


def test_with_all_engines_it_is_ok(start_client):
    answer = start_client().get("/api/health")
    assert answer.status_code == 200
    assert {part["status"] for part in answer.json()["components"].values()} == {"ok"}


@pytest.mark.parametrize("part", ["stt", "tts"])
def test_a_missing_engine_is_named_with_what_helps(start_client, part):
    answer = start_client(scripted(**{part: MISSING})).get("/api/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "degraded")
    missing = {"engine": "none", "status": "missing", "reason": "install one"}
    assert answer.json()["components"][part] == missing


@pytest.fixture
def client(start_client):
    return start_client(console=True)


@pytest.mark.parametrize("path", ["/console", "/console/kind.json"])
def test_by_default_there_is_no_page(start_client, path):
    assert start_client().get(path).status_code == 404


def test_the_page_is_given_the_kind_and_the_path_of_the_stream(client):
    assert client.get("/console/kind.json").json() == {
        "kind": "backend",
        "realtime": "/ws/realtime",
    }


@pytest.mark.parametrize("path", ["", *(f"/{name}" for name in read_assets())])
def test_every_part_of_the_page_has_content_and_security_headers(client, path):
    answer = client.get(f"/console{path}")
    assert answer.status_code == 200
    assert answer.content
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "microphone=(self)" in answer.headers["Permissions-Policy"]


@pytest.mark.parametrize("name", ["nothing", "..%2fconfig.py", "%2e%2e%2fassets.py", "a/b"])
def test_no_other_file_is_served(client, name):
    assert client.get(f"/console/{name}").status_code == 404


def test_the_page_is_read_only(client):
    assert client.post("/console").status_code == 405
