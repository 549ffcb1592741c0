"""Connections to a control server, and what the kernel reports of foreign clients."""

import os
import socket
import time
from threading import Event
from types import SimpleNamespace

import pytest

from jarvis_ear.control import unix_socket

SOON_S = 10.0


@pytest.fixture
def connect():
    """Connect to a socket, and send; all connections are closed at the end."""
    clients = []

    def make(path, sent: bytes = b"") -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        clients.append(client)
        client.settimeout(SOON_S)
        client.connect(str(path))
        if sent:
            client.sendall(sent)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def wait_until():
    """Wait until a condition holds, with a deadline."""

    def wait(holds) -> None:
        deadline, pause = time.monotonic() + SOON_S, Event()
        while not holds():
            assert time.monotonic() < deadline
            pause.wait(0.01)

    return wait


@pytest.fixture
def foreign_user(monkeypatch):
    """Let the kernel report another user for each peer, and another one for this process."""

    credentials = SimpleNamespace(size=12, unpack=lambda _raw: (1, 1234, 1234))
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    monkeypatch.setattr(unix_socket, "_CREDENTIALS", credentials)


@pytest.fixture
def accepts(monkeypatch):
    """One entry for each attempt to accept a connection."""
    tried, accept = [], socket.socket.accept

    def counted(listener):
        tried.append(listener)
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", counted)
    return tried
