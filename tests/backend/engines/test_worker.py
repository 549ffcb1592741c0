"""One thread for work that would block the loop."""

import asyncio
import threading
from contextlib import closing

import pytest

from jarvis_backend.engines.worker import QUEUE_JOBS, EngineThread
from jarvis_backend.errors import EngineError


def wait(stop: threading.Event) -> str:
    assert stop.wait(10)
    return "stopped"


@pytest.fixture
def worker():
    """A thread that gives each job ten seconds."""
    with closing(EngineThread("busy", 10)) as thread:
        yield thread


@pytest.fixture
def begin(worker):
    """Begin a job that waits until it is stopped."""
    running, ended = threading.Event(), threading.Event()

    def job(stop):
        running.set()
        wait(stop)
        ended.set()

    async def begin():
        task = asyncio.ensure_future(worker.run(job))
        assert await asyncio.to_thread(running.wait, 10)
        return task, ended

    return begin


@pytest.mark.usefixtures("leaves_no_thread")
async def test_jobs_run_one_after_another_on_one_thread_of_that_name(worker):
    jobs = (worker.run(lambda _stop: threading.current_thread().name) for _ in range(3))
    assert await asyncio.gather(*jobs) == ["busy_0"] * 3


async def test_the_exception_of_a_job_reaches_its_caller(worker):
    with pytest.raises(KeyError, match="lost"):
        await worker.run(lambda _stop: {}["lost"])
    assert await worker.run(lambda _stop: 1) == 1


async def test_a_job_that_takes_too_long_is_an_error_and_is_stopped():
    complaint = r"^busy took more than 0\.05 s$"
    with closing(EngineThread("busy", 0.05)) as worker, pytest.raises(EngineError, match=complaint):
        await worker.run(wait)


async def test_a_cancelled_wait_stops_the_job(begin):
    task, ended = await begin()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert ended.wait(10)


async def test_a_job_that_is_cancelled_in_the_queue_is_not_begun(worker):
    begun = []
    first = asyncio.ensure_future(worker.run(wait))
    second = asyncio.ensure_future(worker.run(begun.append))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    worker.close()
    await asyncio.gather(first, second, return_exceptions=True)
    assert begun == []


async def test_more_jobs_than_the_queue_holds_are_refused_and_counted(worker, begin):
    tasks = [(await begin())[0]]
    tasks += [asyncio.ensure_future(worker.run(wait)) for _ in range(QUEUE_JOBS)]
    await asyncio.sleep(0)
    with pytest.raises(EngineError, match=r"^busy is busy with 64 jobs already$"):
        await worker.run(wait)
    assert worker.refused == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_a_thread_that_never_ran_can_be_closed(worker):
    worker.close()
