"""A WebSocket that takes nothing is given up; the one turn of a connection."""

import asyncio
import time

import pytest

from jarvis_backend.config import Limits
from jarvis_backend.endpoints import websocket
from jarvis_backend.endpoints.turns import TurnTask
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


async def test_a_turn_that_is_cancelled_before_its_first_step_leaves_nothing_behind():
    async def work():
        raise AssertionError("it was cancelled")

    turn = TurnTask(None)
    await turn.run(work())
    assert await turn.cancel()
    assert not await turn.cancel()


async def test_an_unexpected_exception_reaches_the_log(caplog):
    async def work():
        raise KeyError("unexpected")

    turn = TurnTask(None)
    await turn.run(work())
    await asyncio.sleep(0.01)
    assert not await turn.cancel()
    assert "unexpected" in caplog.text
