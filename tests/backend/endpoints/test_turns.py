"""The one turn of a connection."""

from jarvis_backend.endpoints.turns import TurnTask


def test_a_turn_that_is_cancelled_before_its_first_step_leaves_nothing_behind(run):
    async def work():
        raise AssertionError("it was cancelled")

    async def scene():
        turn = TurnTask()
        await turn.start(work)
        assert await turn.cancel()
        assert not await turn.cancel()

    run(scene())
