"""Several decoders and the queue in front of them, with decoders that wait for the test."""

import asyncio
import errno
import itertools
import os
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from fakes.gated_decoder import NAME, free, gated
from jarvis_backend.engines import sphinx_pool
from jarvis_backend.engines.sphinx_pool import FIRST_PACE, Backlog, SphinxPool
from jarvis_backend.errors import EngineBusy, EngineError

SOON_S = 20


class Speaker:
    """A person whose utterance takes until ``answer``. Lives on the loop."""

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


def lives(pid):
    return Path(f"/proc/{pid}").exists()


@pytest.fixture
def pools(tmp_path):
    """Make a pool, and what makes a speaker for it; the pool is closed at the end."""

    @asynccontextmanager
    async def make(processes=2, waiting=64, timeout_s=SOON_S):
        numbers = itertools.count()
        async with aclosing(SphinxPool(NAME, processes, waiting, timeout_s)) as pool:
            yield pool, lambda: Speaker(pool, tmp_path / f"{next(numbers)}")

    return make


def running(pool):
    return [one._child for one in pool._processes if one._child is not None]


async def test_as_many_at_once_as_there_are_processes_and_the_others_in_order(pools):
    async with pools() as (_, speaker):
        speakers = [speaker() for _ in range(5)]
        first, second = await asyncio.gather(speakers[0].answer(), speakers[1].answer())
        assert first != second
        done = []
        for each in speakers[2:]:
            each.task.add_done_callback(done.append)
        for each in speakers[2:]:
            assert await each.answer() in {first, second}
        assert done == [each.task for each in speakers[2:]]


async def test_a_waiting_utterance_is_not_decoded(pools, until):
    async with pools(processes=1) as (pool, speaker):
        ahead, behind = speaker(), speaker()
        await pool.prepare()
        assert not behind.is_decoded()
        await ahead.answer()
        await until(behind.is_decoded)
        await behind.task


async def test_a_cancelled_wait_stops_no_decoder(pools):
    async with pools(processes=1) as (pool, speaker):
        ahead, behind, last = speaker(), speaker(), speaker()
        await pool.prepare()
        decoder = running(pool)[0].pid
        await behind.leave()
        assert await ahead.answer() == decoder
        assert await last.answer() == decoder


async def test_a_cancelled_utterance_ends_only_its_own_process(pools, until):
    async with pools() as (pool, speaker):
        one, two = speaker(), speaker()
        await until(lambda: len(running(pool)) == 2)
        gone, stays = (child.pid for child in running(pool))
        await one.leave()
        assert not lives(gone)
        assert await two.answer() == stays
        assert int(await pool.transcribe(free())) not in {gone, stays}


async def test_one_too_many_is_refused_at_once(pools):
    async with pools(waiting=1) as (pool, speaker):
        inside = [speaker() for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(EngineBusy, match=r"^STT service not available: it is busy, 1 utt"):
            await pool.transcribe(free())
        assert pool.backlog.refused == 1
        for each in inside:
            await each.answer()
        assert await pool.transcribe(free())


async def test_an_utterance_that_waits_too_long_is_an_error_and_is_removed(pools):
    async with pools(processes=1, timeout_s=0.1) as (pool, speaker):
        ahead, behind = speaker(), speaker()
        for each in (ahead, behind):
            with pytest.raises(EngineError, match=r"^pocketsphinx took more than 0\.1 s$"):
                await each.task
        assert pool.backlog._count == 0


async def test_one_is_started_ahead_and_the_others_when_they_are_needed(pools):
    async with pools(processes=3) as (pool, speaker):
        await pool.prepare()
        assert len(running(pool)) == 1
        await pool.transcribe(free())
        assert len(running(pool)) == 1
        speakers = [speaker() for _ in range(2)]
        await asyncio.gather(*(each.answer() for each in speakers))
        assert len(running(pool)) == 2


async def test_idle_processes_are_ended_but_the_first(pools, until, monkeypatch):
    monkeypatch.setattr(sphinx_pool, "IDLE_S", 0.05)
    async with pools() as (pool, speaker):
        speakers = [speaker() for _ in range(2)]
        first, second = [await each.answer() for each in speakers]
        await until(lambda: not lives(second))
        assert lives(first)
        assert int(await pool.transcribe(free())) == first


async def test_an_idle_process_that_is_used_again_is_not_ended(pools, until):
    async with pools() as (pool, speaker):
        speakers = [speaker() for _ in range(2)]
        _, second = [await each.answer() for each in speakers]
        assert list(pool._idle_timers) == [1]
        keeps, again = speaker(), speaker()
        await until(lambda: pool._free == [])
        assert pool._idle_timers == {}
        assert await again.answer() == second
        await keeps.answer()


async def test_a_closed_pool_leaves_no_process(pools, until):
    pids = []
    async with pools() as (pool, speaker):
        for _ in range(2):
            speaker().task.add_done_callback(lambda task: task.exception())
        await until(lambda: len(running(pool)) == 2)
        pids.extend(child.pid for child in running(pool))
    assert not any(map(lives, pids))


async def test_a_long_wait_is_foreseen(pools):
    async with pools(processes=1) as (pool, speaker):
        ahead = speaker()
        await asyncio.sleep(0)
        pool.backlog.record(1000, 1)
        with pytest.raises(EngineBusy, match="expected at most"):
            await pool.transcribe(free(16_000))
        await ahead.answer()


def test_an_utterance_that_cannot_be_decoded_in_time_is_refused_at_once():
    backlog = Backlog(decoders=2, max_waiting=100, max_wait_s=9.2)
    second = 1 / FIRST_PACE  # of work
    for _ in range(17):
        backlog.add(second)
    with pytest.raises(EngineBusy, match=r"this would take \d+ s, expected at most 9\.2 s$"):
        backlog.add(second)
    backlog.remove(second)
    backlog.remove(second)
    backlog.add(second)
    assert backlog.refused == 1


def test_the_backlog_learns_how_fast_the_machine_is():
    slow, fast = (Backlog(decoders=1, max_waiting=100, max_wait_s=10) for _ in range(2))
    for backlog, work_s in ((slow, 5.0), (fast, 0.1)):
        for _ in range(20):
            backlog.add(1)
            backlog.record(work_s, 1)
            backlog.remove(1)
        backlog.add(1)
        backlog.add(1)
    with pytest.raises(EngineBusy):
        slow.add(1)
    for _ in range(80):
        fast.add(1)


@pytest.mark.parametrize(
    ("decoders", "recorded", "taken"),
    [(2, (1000, 1), (300, 300)), (1, (1, 0), (0, 1))],
    ids=["a decoder is free", "silence teaches nothing"],
)
def test_an_utterance_is_taken_however_slow_the_machine_seems(decoders, recorded, taken):
    backlog = Backlog(decoders, max_waiting=decoders % 2, max_wait_s=1)
    backlog.record(*recorded)
    for seconds in taken:
        backlog.add(seconds)
    with pytest.raises(EngineBusy):
        backlog.add(0)
