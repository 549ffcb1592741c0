"""Is it there, and does it have everything."""

import pytest
from starlette.testclient import TestClient

from fakes.clock import FakeClock
from fakes.engines import ScriptedVoice, scripted
from jarvis_backend.app import create_app
from jarvis_backend.config import BackendConfig
from jarvis_backend.engines.engine import MissingEngine


def client(clock=None, **engines):
    return TestClient(
        create_app(BackendConfig(), scripted(**engines), now=(clock or FakeClock()).monotonic)
    )


def test_it_is_healthy():
    answer = client().get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})


def test_liveness_needs_no_engine():
    clock = FakeClock()
    asked = client(clock, stt=MissingEngine("install one"))
    clock.now += 12.5
    answer = asked.get("/api/health?liveness")
    assert answer.status_code == 200
    assert answer.json().keys() == {"status", "timestamp", "uptime", "version"}
    assert (answer.json()["status"], answer.json()["uptime"]) == ("ok", 12.5)


def test_with_all_engines_it_is_ok():
    answer = client(tts=ScriptedVoice()).get("/api/health")
    assert answer.status_code == 200
    assert {part["status"] for part in answer.json()["components"].values()} == {"ok"}


@pytest.mark.parametrize(
    ("part", "engine"),
    [("stt", MissingEngine("install one")), ("tts", MissingEngine("install one"))],
)
def test_an_engine_that_is_missing_is_named_with_what_helps(part, engine):
    answer = client(**{part: engine}).get("/api/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "degraded")
    missing = {"engine": "none", "status": "missing", "reason": "install one"}
    assert answer.json()["components"][part] == missing
