"""Unfinished utterances, decoded again and again: never two at once, never too much."""

import asyncio

import numpy as np

from jarvis_backend.engines.redecoding import MAX_SAMPLES, STEP_SAMPLES, Redecoding

STEP = np.zeros(STEP_SAMPLES, np.int16)


class Engine:
    def __init__(self):
        self.asked = []
        self.may_answer = asyncio.Event()

    async def transcribe(self, pcm):
        self.asked.append(len(pcm))
        await self.may_answer.wait()
        return f"{len(self.asked)} words"


async def test_a_guess_is_asked_for_after_each_step_of_sound():
    engine = Engine()
    engine.may_answer.set()
    busy = asyncio.Lock()
    listening = Redecoding(engine.transcribe, busy)
    assert await listening.feed(STEP[1:]) == ""
    assert await listening.feed(STEP[:1]) == "1 words"
    assert await listening.feed(STEP[1:]) == "1 words"
    async with busy:
        pass
    assert await listening.feed(np.tile(STEP, 20)) == "2 words"
    assert engine.asked == [STEP_SAMPLES, MAX_SAMPLES]
    await listening.aclose()


async def test_one_guess_runs_at_a_time_and_a_cancelled_one_is_completed():
    engine = Engine()
    busy = asyncio.Lock()
    first = asyncio.ensure_future(Redecoding(engine.transcribe, busy).feed(STEP))
    await asyncio.sleep(0)
    second = Redecoding(engine.transcribe, busy)
    assert await second.feed(STEP) == ""
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert await second.feed(STEP) == ""
    engine.may_answer.set()
    async with busy:
        pass
    assert await second.feed(STEP) == "2 words"


async def test_guesses_of_all_utterances_leave_half_of_the_time_to_answers(monkeypatch):
    engine, busy = Engine(), asyncio.Lock()
    loop = asyncio.get_running_loop()
    first = asyncio.ensure_future(Redecoding(engine.transcribe, busy).feed(STEP))
    await asyncio.sleep(0)
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + 0.2)  # decoding took 200 ms
    engine.may_answer.set()
    assert await first == "1 words"
    free_at = loop.time() + 0.15
    assert await Redecoding(engine.transcribe, busy).feed(STEP) == ""
    async with busy:
        assert loop.time() >= free_at
    assert engine.asked == [STEP_SAMPLES]
