"""One thread for work that would block the loop."""

import asyncio
import threading

import pytest

from jarvis_backend.engines.worker import QUEUE_JOBS, EngineThread
from jarvis_backend.errors import EngineError


def wait(stop: threading.Event) -> str:
    assert stop.wait(10)
    return "stopped"


@pytest.mark.usefixtures("leaves_no_thread")
def test_jobs_run_one_after_another_on_one_thread_of_that_name():
    async def work():
        worker = EngineThread("busy", 10)
        names = await asyncio.gather(
            *(worker.run(lambda _stop: threading.current_thread().name) for _ in range(3))
        )
        worker.close()
        return names

    assert asyncio.run(work()) == ["busy_0"] * 3


def test_what_a_job_raises_reaches_whoever_waits():
    async def work():
        worker = EngineThread("busy", 10)
        with pytest.raises(KeyError, match="lost"):
            await worker.run(lambda _stop: {}["lost"])
        assert await worker.run(lambda _stop: 1) == 1
        worker.close()

    asyncio.run(work())


def test_a_job_that_takes_too_long_is_an_error_and_is_stopped():
    async def work():
        worker = EngineThread("busy", 0.05)
        with pytest.raises(EngineError, match=r"^busy took more than 0\.05 s$"):
            await worker.run(wait)
        worker.close()

    asyncio.run(work())


def test_whoever_stops_waiting_stops_the_job():
    ended = threading.Event()

    async def work():
        worker = EngineThread("busy", 10)
        running = threading.Event()

        def job(stop):
            running.set()
            wait(stop)
            ended.set()

        task = asyncio.ensure_future(worker.run(job))
        assert await asyncio.to_thread(running.wait, 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert ended.wait(10)
        worker.close()

    asyncio.run(work())


def test_a_job_nobody_waits_for_is_not_begun():
    begun = []

    async def work():
        worker = EngineThread("busy", 10)
        first = asyncio.ensure_future(worker.run(wait))
        second = asyncio.ensure_future(worker.run(begun.append))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        worker.close()
        await asyncio.gather(first, second, return_exceptions=True)

    asyncio.run(work())
    assert begun == []


def test_more_jobs_than_the_queue_holds_are_refused_and_counted():
    async def work():
        worker = EngineThread("busy", 10)
        running = threading.Event()

        def job(stop):
            running.set()
            wait(stop)

        tasks = [asyncio.ensure_future(worker.run(job))]
        await asyncio.sleep(0)
        assert running.wait(10)
        tasks += [asyncio.ensure_future(worker.run(job)) for _ in range(QUEUE_JOBS)]
        await asyncio.sleep(0)
        with pytest.raises(EngineError, match=r"^busy is busy with 64 jobs already$"):
            await worker.run(job)
        assert worker.refused == 1
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        worker.close()

    asyncio.run(work())


def test_closing_what_never_ran_is_fine():
    EngineThread("idle", 10).close()
