"""pocketsphinx, for real."""

import asyncio
import contextlib
import importlib.util
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from jarvis_backend.config import SpeechToTextOptions
from jarvis_backend.engines.sphinx import SphinxSpeechToText
from jarvis_backend.errors import EngineError, EngineMissing


def ear(processes):
    return SphinxSpeechToText(SpeechToTextOptions(listeners=2, processes=processes))


def child(engine):
    return engine._pool._processes[0]._child


def silence(ms):
    return np.zeros(ms * 16, np.int16)


@pytest.fixture(scope="module")
def loop():
    """Run a coroutine on the loop on which the shared engine lives."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(scope="module")
def engine(loop):
    """One engine, shared by all who leave it as they found it: to load its models takes time."""

    async def made():
        shared = ear(2)
        await shared.prepare()
        return shared

    shared = loop(made())
    yield shared
    loop(shared.aclose())


@pytest.fixture
def transcripts(loop, engine):
    """Have the shared engine understand several sounds."""

    async def work(sounds):
        return await asyncio.gather(*(engine.transcribe(sound) for sound in sounds))

    return lambda *sounds: loop(work(sounds))


def test_it_understands_a_command_and_what_may_stand_around_it(flite, what_time, transcripts):
    hiss = np.random.default_rng(1).normal(0, 20, len(what_time)).astype(np.int16)
    remnant = flite("Hey Jarvis")
    spoken = np.flatnonzero(np.abs(remnant) > 300)[-1]
    sounds = [what_time, (what_time + hiss), (what_time // 5 + hiss)]
    for ms in (60, 80, 100):
        last_s = remnant[spoken - ms * 16 : spoken]
        sounds.append(np.concatenate([last_s, silence(200), what_time[8000:]]))
    assert transcripts(*sounds) == ["what time is it"] * len(sounds)


def test_where_nothing_is_said_it_hears_nothing(transcripts):
    hiss = np.random.default_rng(0).normal(0, 200, 32_000).astype(np.int16)
    assert transcripts(silence(0), silence(1000), hiss) == ["", "", ""]


def test_decoding_does_not_hold_the_loop(loop, engine, what_time):
    async def work():
        decoding = asyncio.ensure_future(engine.transcribe(np.tile(what_time, 4)))
        longest = 0.0
        while not decoding.done():
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - before)
        return longest

    # A thread would hold it for a second: the decoder keeps the interpreter to itself.
    assert loop(work()) < 0.7


def test_whoever_stops_waiting_stops_the_decoder_and_the_next_gets_a_fresh_one(
    loop, engine, what_time
):
    async def work():
        first = child(engine)
        decoding = asyncio.ensure_future(engine.transcribe(np.tile(what_time, 4)))
        await asyncio.sleep(0)
        decoding.cancel()
        await asyncio.gather(decoding, return_exceptions=True)
        assert first.returncode == -signal.SIGKILL
        assert await engine.transcribe(what_time) == "what time is it"

    loop(work())


def test_a_decoder_that_dies_is_told_and_replaced(loop, engine, what_time):
    async def work():
        os.kill(child(engine).pid, signal.SIGKILL)
        with pytest.raises(EngineError, match=r"^pocketsphinx broke off: "):
            await engine.transcribe(what_time)
        assert await engine.transcribe(what_time) == "what time is it"

    loop(work())


def test_several_are_understood_at_once(engine, what_time, transcripts):
    assert transcripts(*[what_time] * 4) == ["what time is it"] * 4
    assert all(process._child for process in engine._pool._processes)


@pytest.mark.parametrize(("cpus", "processes"), [(1, 1), (3, 3), (64, 4)])
def test_unless_the_owner_says_there_is_a_process_for_each_cpu(monkeypatch, cpus, processes):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(cpus)))
    assert len(ear(0)._pool._processes) == processes


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(EngineMissing, match=r"pip install pocketsphinx"):
        ear(1)


@contextlib.asynccontextmanager
async def listening_to(engine):
    """Listen to somebody who begins to speak, and no longer at the end."""
    listening = engine.listen()
    try:
        yield listening
    finally:
        await listening.aclose()


def cpu_s(pid):
    """What a process has worked: the clock on the wall also counts what others do."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


async def fed(listening, sound, step=1600):
    return [await listening.feed(sound[at : at + step]) for at in range(0, len(sound), step)]


def test_it_understands_while_it_is_spoken_and_keeps_up(loop, engine, what_time):
    async def work():
        async with listening_to(engine) as listening:
            await listening.feed(silence(0))
            loaded_s = cpu_s(engine._live._child.pid)
            said = await fed(listening, np.tile(what_time, 2))
            return said, cpu_s(engine._live._child.pid) - loaded_s

    said, took = loop(work())
    assert [said[0], said[2]] == ["", ""]
    assert said[12].split()[0] == "what"
    assert said[-1].count("time is it") >= 2
    assert took < len(what_time) * 2 / 16_000 / 2


def test_people_are_not_mixed_up_and_one_too_many_is_refused(loop, engine, what_time):
    async def work():
        async with listening_to(engine) as two:
            async with listening_to(engine) as one:
                with pytest.raises(EngineError, match="as many people as it can"):
                    engine.listen()
                heard = [await one.feed(half) for half in np.array_split(what_time, 2)]
                assert await two.feed(silence(3000)) == ""
                assert await one.feed(silence(100)) == heard[-1] != ""
            async with listening_to(engine) as three:
                assert await three.feed(silence(100)) == ""

    loop(work())


def test_who_leaves_in_the_middle_leaves_the_decoder_whole(loop, engine, what_time):
    async def work():
        async with listening_to(engine) as two:
            async with listening_to(engine) as one:
                feeding = asyncio.ensure_future(one.feed(what_time))
                await asyncio.sleep(0)
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
            async with listening_to(engine) as next_one:
                heard = await next_one.feed(what_time)
            assert heard == (await fed(two, what_time, 1 << 20))[0]

    loop(work())


def test_a_listener_that_dies_is_told_and_replaced_in_mid_sentence(loop, engine, what_time):
    async def work():
        async with listening_to(engine) as one:
            await one.feed(what_time[:8000])
            os.kill(engine._live._child.pid, signal.SIGKILL)
            with pytest.raises(EngineError, match=r"^pocketsphinx broke off: "):
                await one.feed(what_time)
            assert "time" in await one.feed(what_time)

    loop(work())


def test_it_ends_with_its_parent(loop, engine):
    async def work():
        await engine.prepare()
        child(engine).stdin.close()
        return await asyncio.wait_for(child(engine).wait(), 10)

    assert loop(work()) == 0
