"""The acceptance test of the voice channel: four cases."""

import pytest
from fastapi.testclient import TestClient

from fakes.engines import scripted
from jarvis_backend.app import create_app
from jarvis_backend.config import BackendConfig


@pytest.fixture(scope="module")
def client():
    with TestClient(create_app(BackendConfig(), scripted())) as client:
        yield client


def test_websocket_connection(client):
    with client.websocket_connect("/ws/voice") as websocket:
        assert websocket is not None


def test_websocket_ping_pong(client):
    with client.websocket_connect("/ws/voice") as websocket:
        websocket.send_json({"type": "ping"})
        assert websocket.receive_json() == {"type": "pong"}


def test_websocket_binary_audio(client):
    with client.websocket_connect("/ws/voice") as websocket:
        websocket.send_bytes(b"\x00" * 1024)
        assert websocket.receive_json()["type"] == "audio_received"


def test_health_endpoint(client):
    response = client.get("/health")
    assert response.status_code == 200
    assert response.json()["status"] == "healthy"
