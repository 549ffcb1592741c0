"""pocketsphinx, for real."""

import asyncio
import importlib.util
import os
import signal
import time

import numpy as np
import pytest

from jarvis_backend.engines.sphinx import SphinxSpeechToText
from jarvis_backend.errors import EngineError, EngineMissing


def silence(ms):
    return np.zeros(ms * 16, np.int16)


def transcripts(*sounds):
    async def work():
        engine = SphinxSpeechToText(30)
        try:
            return await asyncio.gather(*(engine.transcribe(sound) for sound in sounds))
        finally:
            await engine.aclose()

    return asyncio.run(work())


def test_it_understands_a_command_and_what_may_stand_around_it(flite, what_time):
    hiss = np.random.default_rng(1).normal(0, 20, len(what_time)).astype(np.int16)
    remnant = flite("Hey Jarvis")
    spoken = np.flatnonzero(np.abs(remnant) > 300)[-1]
    sounds = [what_time, (what_time + hiss), (what_time // 5 + hiss)]
    for ms in (60, 80, 100):
        last_s = remnant[spoken - ms * 16 : spoken]
        sounds.append(np.concatenate([last_s, silence(200), what_time[8000:]]))
    assert transcripts(*sounds) == ["what time is it"] * len(sounds)


def test_where_nothing_is_said_it_hears_nothing():
    hiss = np.random.default_rng(0).normal(0, 200, 32_000).astype(np.int16)
    assert transcripts(silence(0), silence(1000), hiss) == ["", "", ""]


def test_decoding_does_not_hold_the_loop(what_time):
    async def work():
        engine = SphinxSpeechToText(30)
        await engine.prepare()
        decoding = asyncio.ensure_future(engine.transcribe(np.tile(what_time, 4)))
        longest = 0.0
        while not decoding.done():
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - before)
        await engine.aclose()
        return longest

    # A thread would hold it for a second: the decoder keeps the interpreter to itself.
    assert asyncio.run(work()) < 0.7


def test_whoever_stops_waiting_stops_the_decoder_and_the_next_gets_a_fresh_one(what_time):
    async def work():
        engine = SphinxSpeechToText(30)
        await engine.prepare()
        first = engine._child
        decoding = asyncio.ensure_future(engine.transcribe(np.tile(what_time, 20)))
        await asyncio.sleep(0)
        decoding.cancel()
        await asyncio.gather(decoding, return_exceptions=True)
        assert first.returncode == -signal.SIGKILL
        assert await engine.transcribe(what_time) == "what time is it"
        await engine.aclose()

    asyncio.run(work())


def test_a_decoder_that_dies_is_told_and_replaced(what_time):
    async def work():
        engine = SphinxSpeechToText(30)
        await engine.prepare()
        os.kill(engine._child.pid, signal.SIGKILL)
        with pytest.raises(EngineError, match=r"^pocketsphinx broke off: "):
            await engine.transcribe(what_time)
        assert await engine.transcribe(what_time) == "what time is it"
        await engine.aclose()

    asyncio.run(work())


def test_too_late_is_an_error(what_time):
    async def work():
        engine = SphinxSpeechToText(0.01)
        with pytest.raises(EngineError, match=r"^pocketsphinx took more than 0\.01 s$"):
            await engine.transcribe(what_time)
        await engine.aclose()

    asyncio.run(work())


def test_it_ends_with_its_parent(what_time):
    async def work():
        engine = SphinxSpeechToText(30)
        await engine.prepare()
        engine._child.stdin.close()
        return await asyncio.wait_for(engine._child.wait(), 10)

    assert asyncio.run(work()) == 0


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(EngineMissing, match=r"pip install pocketsphinx"):
        SphinxSpeechToText(30)
