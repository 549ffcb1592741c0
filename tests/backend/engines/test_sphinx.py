"""pocketsphinx, for real."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from jarvis_backend.config import SpeechToTextOptions
from jarvis_backend.engines.sphinx import SphinxSpeechToText
from jarvis_backend.errors import EngineError


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
    """One engine, shared by the tests that leave it as they found it: its models load slowly."""
    shared = ear(2)
    loop(shared.prepare())
    yield shared
    loop(shared.aclose())


@pytest.fixture
def transcripts(loop, engine):
    """Have the shared engine understand several sounds."""

    async def work(sounds):
        return await asyncio.gather(*(engine.transcribe(sound) for sound in sounds))

    return lambda *sounds: loop(work(sounds))


def test_a_command_is_understood_between_noise_and_the_end_of_the_wake_word(
    flite, what_time, transcripts
):
    hiss = np.random.default_rng(1).normal(0, 20, len(what_time)).astype(np.int16)
    remnant = flite("Hey Jarvis")
    spoken = np.flatnonzero(np.abs(remnant) > 300)[-1]
    sounds = [what_time, (what_time + hiss), (what_time // 5 + hiss)]
    for ms in (60, 80, 100):
        last_s = remnant[spoken - ms * 16 : spoken]
        sounds.append(np.concatenate([last_s, silence(200), what_time[8000:]]))
    assert transcripts(*sounds) == ["what time is it"] * len(sounds)


def test_silence_and_noise_are_no_words(transcripts):
    hiss = np.random.default_rng(0).normal(0, 200, 32_000).astype(np.int16)
    assert transcripts(silence(0), silence(1000), hiss) == ["", "", ""]


async def test_decoding_does_not_hold_the_loop(loop, engine, what_time):
    decoding = asyncio.ensure_future(engine.transcribe(np.tile(what_time, 4)))
    longest = 0.0
    while not decoding.done():
        before = time.perf_counter()
        await asyncio.sleep(0.005)
        longest = max(longest, time.perf_counter() - before)
    # A thread would hold it for a second: the decoder keeps the interpreter to itself.
    assert longest < 0.7


async def test_a_cancelled_wait_ends_the_decoder_and_the_next_one_is_new(loop, engine, what_time):
    first = child(engine)
    decoding = asyncio.ensure_future(engine.transcribe(np.tile(what_time, 4)))
    await asyncio.sleep(0)
    decoding.cancel()
    await asyncio.gather(decoding, return_exceptions=True)
    assert first.returncode == -signal.SIGKILL
    assert await engine.transcribe(what_time) == "what time is it"


async def test_a_decoder_that_dies_is_an_error_and_is_replaced(loop, engine, what_time):
    os.kill(child(engine).pid, signal.SIGKILL)
    with pytest.raises(EngineError, match=r"^pocketsphinx broke off: "):
        await engine.transcribe(what_time)
    assert await engine.transcribe(what_time) == "what time is it"


def test_several_are_understood_at_once(engine, what_time, transcripts):
    assert transcripts(*[what_time] * 4) == ["what time is it"] * 4
    assert all(process._child for process in engine._pool._processes)


@pytest.mark.parametrize(("cpus", "processes"), [(1, 1), (3, 3), (64, 4)])
def test_by_default_there_is_a_process_for_each_cpu(monkeypatch, cpus, processes):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(cpus)))
    assert len(ear(0)._pool._processes) == processes


def listening_to(engine):
    """Listen to a person who begins to speak, and no longer at the end."""
    return contextlib.aclosing(engine.listen())


def cpu_s(pid):
    """What a process has worked: the clock on the wall also counts what others do."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


async def fed(listening, sound, step=1600):
    return [await listening.feed(sound[at : at + step]) for at in range(0, len(sound), step)]


async def test_speech_is_understood_while_it_is_spoken_and_in_time(loop, engine, what_time):
    async with listening_to(engine) as listening:
        await listening.feed(silence(0))
        loaded_s = cpu_s(engine._live._child.pid)
        said = await fed(listening, np.tile(what_time, 2))
        took = cpu_s(engine._live._child.pid) - loaded_s
    assert [said[0], said[2]] == ["", ""]
    assert said[12].split()[0] == "what"
    assert said[-1].count("time is it") >= 2
    assert took < len(what_time) * 2 / 16_000 / 2


async def test_people_are_not_mixed_up_and_one_too_many_is_refused(loop, engine, what_time):
    async with listening_to(engine) as two:
        async with listening_to(engine) as one:
            with pytest.raises(EngineError, match="as many people as it can"):
                engine.listen()
            heard = [await one.feed(half) for half in np.array_split(what_time, 2)]
            assert await two.feed(silence(3000)) == ""
            assert await one.feed(silence(100)) == heard[-1] != ""
        async with listening_to(engine) as three:
            assert await three.feed(silence(100)) == ""


async def test_a_cancelled_guess_leaves_the_decoder_whole(loop, engine, what_time):
    async with listening_to(engine) as two:
        async with listening_to(engine) as one:
            feeding = asyncio.ensure_future(one.feed(what_time))
            await asyncio.sleep(0)
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        async with listening_to(engine) as next_one:
            heard = await next_one.feed(what_time)
        assert heard == (await fed(two, what_time, 1 << 20))[0]


async def test_a_listener_that_dies_is_an_error_and_is_replaced_in_mid_sentence(
    loop, engine, what_time
):
    async with listening_to(engine) as one:
        await one.feed(what_time[:8000])
        os.kill(engine._live._child.pid, signal.SIGKILL)
        with pytest.raises(EngineError, match=r"^pocketsphinx broke off: "):
            await one.feed(what_time)
        assert "time" in await one.feed(what_time)


async def test_a_decoder_ends_with_its_parent(loop, engine):
    await engine.prepare()
    child(engine).stdin.close()
    assert await asyncio.wait_for(child(engine).wait(), 10) == 0
