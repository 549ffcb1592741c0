"""Wrong passwords are counted for a minute, cost growing waits, and for so many addresses."""

import asyncio

import pytest

from jarvis_backend import auth as module
from jarvis_backend.auth import MAX_WAIT_S, RESET_S, WINDOW_S, LoginLimiter
from jarvis_backend.message_queue import MessageQueue


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


async def wait_s(limiter, address):
    async with limiter.attempt(address) as wait:
        return wait


def test_they_are_forgotten_after_a_minute_and_of_others_first(run, clock, monkeypatch):
    monkeypatch.setattr(module, "ADDRESSES", 2)
    limiter = LoginLimiter(1, MessageQueue(), clock)

    async def scene():
        await limiter.failed("a")
        assert await wait_s(limiter, "a") == WINDOW_S
        assert await wait_s(limiter, "b") == 0
        assert await wait_s(limiter, "c") == 0  # and "a" had to make room
        assert await wait_s(limiter, "a") == 0
        await limiter.failed("a")
        clock.now += WINDOW_S
        assert await wait_s(limiter, "a") == 0

    run(scene())


async def guessed(limiter, clock, for_s):
    """Guess as often as one may for so long; return the waits that it cost, 0 for none."""
    waits, ends = [], clock.now + for_s
    while (wait := await wait_s(limiter, "192.0.2.1")) + clock.now < ends:
        clock.now += wait
        await limiter.failed("192.0.2.1")
        waits.append(wait)
    clock.now = ends
    return waits


def test_ten_a_minute_with_growing_waits_and_then_one_a_minute(run, clock):
    limiter = LoginLimiter(10, MessageQueue(), clock)

    async def scene():
        assert await guessed(limiter, clock, 59) == [0, 0, 0, 0, 0, 0, 1, 2, 4, 8]
        assert len(await guessed(limiter, clock, 600)) <= 600 / MAX_WAIT_S + 2

    run(scene())


def test_elsewhere_nobody_waits(run, clock):
    limiter = LoginLimiter(10, MessageQueue(), clock)

    async def scene():
        for _ in range(10):
            await limiter.failed("192.0.2.1")
        assert await wait_s(limiter, "192.0.2.1") > 0
        assert await wait_s(limiter, "192.0.2.2") == 0
        assert await wait_s(limiter, "::ffff:192.0.2.1") > 0

    run(scene())


def test_addresses_of_one_ipv6_network_are_one(run, clock):
    limiter = LoginLimiter(1, MessageQueue(), clock)

    async def scene():
        await limiter.failed("2001:db8::1")
        assert await wait_s(limiter, "2001:db8::ffff:2") > 0
        assert await wait_s(limiter, "2001:db8:0:1::1") == 0

    run(scene())


def test_the_waits_begin_anew_after_a_right_one_and_after_a_while(run, clock):
    limiter = LoginLimiter(10, MessageQueue(), clock)

    async def scene():
        for begin_anew in (lambda: limiter.succeeded("192.0.2.1"), lambda: forget(clock)):
            assert len(await guessed(limiter, clock, 60)) > 8
            clock.now += WINDOW_S
            begin_anew()
            assert (await guessed(limiter, clock, 10))[:6] == [0] * 6
            forget(clock)

    run(scene())


def forget(clock):
    clock.now += RESET_S


def test_guesses_that_come_at_once_are_looked_at_one_by_one(run, clock):
    limiter = LoginLimiter(3, MessageQueue(), clock)
    looked_at = []

    async def guess():
        async with limiter.attempt("a") as wait:
            if wait == 0:
                looked_at.append(wait)
                await asyncio.sleep(0)  # the password is compared on another thread
                await limiter.failed("a")

    async def scene():
        await asyncio.gather(*(guess() for _ in range(50)))

    run(scene())
    assert len(looked_at) == 2  # the third one has to wait a second
