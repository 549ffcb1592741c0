"""Which server gets the backend's password."""

import pytest

from jarvis_ear.bus.client import is_same_server


@pytest.mark.parametrize(
    ("bus", "backend", "same"),
    [
        ("ws://localhost:4000/ws", "http://localhost:4000", True),
        ("wss://kitchen/ws", "https://kitchen:443/", True),
        ("ws://localhost:8000/ws", "http://localhost:4000", False),
        ("ws://kitchen:443", "https://kitchen:443", False),
        ("wss://kitchen", "https://hall", False),
    ],
)
def test_one_server_or_two(bus, backend, same):
    assert is_same_server(bus, backend) is same
