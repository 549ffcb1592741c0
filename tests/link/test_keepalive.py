"""A link lives as long as somebody answers, if they ever do."""

import asyncio

import pytest

from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ClosedInOrder, Disconnected
from jarvis_ear.link.connection import Keepalive

TIMING = Timing(ping_s=0.02, dead_s=0.1)


def watched(scene):
    pings = []

    async def ping():
        pings.append(asyncio.get_running_loop().time())

    async def run():
        await scene(Keepalive(TIMING), ping)

    asyncio.run(run())
    return pings


def test_the_first_reason_counts():
    async def scene(keepalive, ping):
        keepalive.end("first")
        keepalive.end("second")
        with pytest.raises(Disconnected, match="first"):
            await keepalive.watch(ping)

    assert len(watched(scene)) == 1


def test_who_answers_pings_is_held_to_them():
    async def scene(keepalive, ping):
        keepalive.heard(pong=True)
        with pytest.raises(Disconnected, match=r"nothing received from the backend for 0\.1 s"):
            await keepalive.watch(ping)

    assert len(watched(scene)) >= 3


def test_who_never_answers_is_not():
    async def scene(keepalive, ping):
        keepalive.heard()
        watch = asyncio.create_task(keepalive.watch(ping))
        done, _ = await asyncio.wait({watch}, timeout=3 * TIMING.dead_s)
        assert not done
        watch.cancel()

    watched(scene)


@pytest.mark.parametrize("in_order", [True, False])
def test_a_close_in_order_is_told_apart(in_order):
    async def scene(keepalive, ping):
        keepalive.end("closed", in_order=in_order)
        keepalive.end("lost", in_order=not in_order)
        with pytest.raises(Disconnected, match="closed") as raised:
            await keepalive.watch(ping)
        assert isinstance(raised.value, ClosedInOrder) == in_order

    watched(scene)
