"""The one turn of a connection."""

import inspect

from jarvis_backend.endpoints.speaking import Speaking


def test_a_turn_that_is_stopped_before_its_first_step_leaves_nothing_behind(run):
    async def turn():
        raise AssertionError("it was stopped")

    async def scene():
        speaking = Speaking()
        work = turn()
        await speaking.begin(work)
        assert await speaking.stop()
        assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED
        assert not await speaking.stop()

    run(scene())
