"""A WebSocket that takes nothing is given up."""

import asyncio
import time

import pytest

from jarvis_backend.config import Limits
from jarvis_backend.endpoints import websocket
from jarvis_backend.endpoints.websocket import PeerGone, WireSocket


class StuckSocket:
    """Never takes a frame, and has always another one."""

    async def receive(self):
        return {"type": "websocket.receive", "text": "still here"}

    async def send_text(self, _text):
        await asyncio.Event().wait()

    async def close(self, *_):
        await asyncio.Event().wait()


async def test_a_client_that_takes_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(websocket, "SEND_S", 0.05)
    line = WireSocket(StuckSocket(), Limits(), time.monotonic)
    assert await line.receive() == "still here"
    for _ in range(2):
        with pytest.raises(PeerGone):
            await line.send("hello")
    with pytest.raises(PeerGone):
        await line.receive()
    await line.close()
