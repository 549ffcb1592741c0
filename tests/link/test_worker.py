import asyncio
import threading

import pytest

from jarvis_ear.link.tls_and_tcp import AbandonableTask


def test_the_outcome_is_what_the_work_returned():
    async def story():
        worker = AbandonableTask("worker", threading.current_thread)
        assert not worker.busy
        thread = await worker.start()
        worker.settle()
        assert (thread.name, thread.daemon) == ("worker", True)
        assert not worker.busy

    asyncio.run(story())


def test_the_outcome_is_what_the_work_raised():
    def fail():
        raise SystemExit(3)

    async def story():
        outcome = AbandonableTask("worker", fail).start()
        await asyncio.wait({outcome})
        assert isinstance(outcome.exception(), SystemExit)

    asyncio.run(story())


def test_nobody_waits_for_work_that_hangs():
    release = threading.Event()

    async def story():
        worker = AbandonableTask("worker", lambda: release.wait(10))
        outcome = worker.start()
        worker.settle()
        assert worker.busy
        release.set()
        assert await outcome
        worker.settle()
        assert not worker.busy

    asyncio.run(story())


@pytest.mark.filterwarnings("error")
def test_an_outcome_that_nobody_wants_any_more_harms_nobody():
    release = threading.Event()

    async def story():
        worker = AbandonableTask("worker", lambda: release.wait(10))
        worker.start().cancel()
        return worker

    worker = asyncio.run(story())
    release.set()
    while worker.busy:
        worker.settle()
