"""The one turn of a connection."""

import asyncio

from jarvis_backend.endpoints.turns import TurnTask


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
