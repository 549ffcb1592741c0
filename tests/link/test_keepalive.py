"""A link lives as long as somebody answers, if they ever do."""

import asyncio

import pytest

from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ClosedInOrder, Disconnected
from jarvis_ear.link.websocket import Keepalive

TIMING = Timing(ping_s=0.02, dead_s=0.1)


def watched(story):
    pings = []

    async def ping():
        pings.append(asyncio.get_running_loop().time())

    async def run():
        vigil = Keepalive(TIMING)
        await story(vigil, ping)

    asyncio.run(run())
    return pings


def test_the_first_reason_counts():
    async def story(vigil, ping):
        vigil.end("first")
        vigil.end("second")
        with pytest.raises(Disconnected, match="first"):
            await vigil.watch(ping)

    assert len(watched(story)) == 1


def test_who_answers_pings_is_held_to_them():
    async def story(vigil, ping):
        vigil.heard(pong=True)
        with pytest.raises(Disconnected, match=r"no word of the backend for 0\.1 s"):
            await vigil.watch(ping)

    assert len(watched(story)) >= 3


def test_who_never_answers_is_not():
    async def story(vigil, ping):
        vigil.heard()
        watch = asyncio.create_task(vigil.watch(ping))
        done, _ = await asyncio.wait({watch}, timeout=3 * TIMING.dead_s)
        assert not done
        watch.cancel()

    watched(story)


@pytest.mark.parametrize("in_order", [True, False])
def test_a_close_in_order_is_told_apart(in_order):
    async def story(vigil, ping):
        vigil.end("closed", in_order=in_order)
        vigil.end("lost", in_order=not in_order)
        with pytest.raises(Disconnected, match="closed") as raised:
            await vigil.watch(ping)
        assert isinstance(raised.value, ClosedInOrder) == in_order

    watched(story)
