"""Several decoders and the queue in front of them, with decoders that wait for the test."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from fakes.gated_decoder import NAME, free, gated
from jarvis_backend.engines import sphinx_pool
from jarvis_backend.engines.sphinx_pool import SphinxPool
from jarvis_backend.errors import EngineBusy, EngineError

SOON_S = 20


class Speaker:
    """Somebody whose utterance takes until ``let_go``. Lives on the loop."""

    def __init__(self, pool, path):
        os.mkfifo(path)
        self._path = path
        self.task = asyncio.create_task(pool.transcribe(gated(path)))

    def is_decoded(self):
        """Whether a decoder works on it, which a look lets go on."""
        try:
            os.close(os.open(self._path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno == errno.ENXIO:  # nobody reads
                return False
            raise
        return True

    async def answer(self):
        """Let the decoder go on, and return which it was."""
        gate = await asyncio.to_thread(open, self._path, "wb")
        gate.close()
        return int(await self.task)

    async def leave(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def until(happens):
    async with asyncio.timeout(SOON_S):
        while not happens():  # noqa: ASYNC110 - processes tell nobody
            await asyncio.sleep(0.005)


def lives(pid):
    return Path(f"/proc/{pid}").exists()


@pytest.fixture
def pool_work(tmp_path):
    """Run a coroutine with a pool, and with what makes somebody speak to it."""

    def run(work, processes=2, waiting=64, timeout_s=SOON_S):
        async def begin():
            pool = SphinxPool(NAME, processes, waiting, timeout_s)
            numbers = iter(range(100))
            try:
                async with asyncio.timeout(2 * SOON_S):
                    await work(pool, lambda: Speaker(pool, tmp_path / f"{next(numbers)}"))
            finally:
                await pool.aclose()

        asyncio.run(begin())

    return run


def running(pool):
    return [one._child for one in pool._processes if one._child is not None]


def test_as_many_at_once_as_there_are_processes_and_the_others_in_order(pool_work):
    async def work(pool, speaker):
        speakers = [speaker() for _ in range(5)]
        first, second = await asyncio.gather(speakers[0].answer(), speakers[1].answer())
        assert first != second
        done = []
        for each in speakers[2:]:
            each.task.add_done_callback(done.append)
        for each in speakers[2:]:
            assert await each.answer() in {first, second}
        assert done == [each.task for each in speakers[2:]]

    pool_work(work)


def test_who_waits_has_not_begun(pool_work):
    async def work(pool, speaker):
        ahead, behind = speaker(), speaker()
        await pool.prepare()
        assert not behind.is_decoded()
        await ahead.answer()
        await until(behind.is_decoded)
        await behind.task

    pool_work(work, processes=1)


def test_who_leaves_the_queue_stops_nobody(pool_work):
    async def work(pool, speaker):
        ahead, behind, last = speaker(), speaker(), speaker()
        await pool.prepare()
        decoder = running(pool)[0].pid
        await behind.leave()
        assert await ahead.answer() == decoder
        assert await last.answer() == decoder

    pool_work(work, processes=1)


def test_who_leaves_later_takes_only_their_own_process(pool_work):
    async def work(pool, speaker):
        one, two = speaker(), speaker()
        await until(lambda: len(running(pool)) == 2)
        gone, stays = (child.pid for child in running(pool))
        await one.leave()
        assert not lives(gone)
        assert await two.answer() == stays
        assert int(await pool.transcribe(free())) not in {gone, stays}

    pool_work(work)


def test_one_too_many_is_refused_at_once(pool_work):
    async def work(pool, speaker):
        inside = [speaker() for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(EngineBusy, match=r"^STT service not available: it is busy, 1 utt"):
            await pool.transcribe(free())
        assert pool.backlog.refused == 1
        for each in inside:
            await each.answer()
        assert await pool.transcribe(free())

    pool_work(work, waiting=1)


def test_too_late_in_the_queue_is_an_error_and_is_forgotten(pool_work):
    async def work(pool, speaker):
        ahead, behind = speaker(), speaker()
        for each in (ahead, behind):
            with pytest.raises(EngineError, match=r"^pocketsphinx took more than 0\.1 s$"):
                await each.task
        assert pool.backlog._count == 0

    pool_work(work, processes=1, timeout_s=0.1)


def test_one_is_started_ahead_and_the_others_when_they_are_needed(pool_work):
    async def work(pool, speaker):
        await pool.prepare()
        assert len(running(pool)) == 1
        await pool.transcribe(free())
        assert len(running(pool)) == 1
        speakers = [speaker() for _ in range(2)]
        await asyncio.gather(*(each.answer() for each in speakers))
        assert len(running(pool)) == 2

    pool_work(work, processes=3)


def test_what_nobody_needs_any_more_is_ended_but_the_first(pool_work, monkeypatch):
    monkeypatch.setattr(sphinx_pool, "IDLE_S", 0.05)

    async def work(pool, speaker):
        speakers = [speaker() for _ in range(2)]
        first, second = [await each.answer() for each in speakers]
        await until(lambda: not lives(second))
        assert lives(first)
        assert int(await pool.transcribe(free())) == first

    pool_work(work)


def test_who_rested_and_is_needed_again_is_not_ended(pool_work):
    async def work(pool, speaker):
        speakers = [speaker() for _ in range(2)]
        _, second = [await each.answer() for each in speakers]
        assert list(pool._idle_timers) == [1]
        keeps, again = speaker(), speaker()
        await until(lambda: pool._free == [])
        assert pool._idle_timers == {}
        assert await again.answer() == second
        await keeps.answer()

    pool_work(work)


def test_nothing_is_left_of_it(pool_work):
    pids = []

    async def work(pool, speaker):
        for _ in range(2):
            speaker().task.add_done_callback(lambda task: task.exception())
        await until(lambda: len(running(pool)) == 2)
        pids.extend(child.pid for child in running(pool))

    pool_work(work)
    assert not any(map(lives, pids))


def test_a_long_wait_is_foreseen(pool_work):
    async def work(pool, speaker):
        ahead = speaker()
        await asyncio.sleep(0)
        pool.backlog.record(1000, 1)
        with pytest.raises(EngineBusy, match="expected at most"):
            await pool.transcribe(free(16_000))
        await ahead.answer()

    pool_work(work, processes=1)
