import asyncio

import pytest

from jarvis_ear.errors import Rejected
from jarvis_ear.link.login import RENEW_AFTER_S, TokenCache


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Logins:
    count = 0

    async def __call__(self):
        self.count += 1
        return f"token {self.count}"


def test_one_login_serves_many_links_and_is_renewed_after_six_days():
    clock, logins = Clock(), Logins()
    cache = TokenCache(logins, clock)

    async def story():
        assert not cache.is_valid
        assert await cache.get() == "token 1"
        clock.now += RENEW_AFTER_S - 1
        assert cache.is_valid
        assert await cache.get() == "token 1"
        clock.now += 1
        assert not cache.is_valid
        assert await cache.get() == "token 2"
        assert cache.is_valid

    asyncio.run(story())
    assert RENEW_AFTER_S == 6 * 24 * 60 * 60


def test_a_dropped_token_is_not_used_again():
    logins = Logins()
    cache = TokenCache(logins, Clock())

    async def story():
        await cache.get()
        cache.drop()
        assert not cache.is_valid
        assert await cache.get() == "token 2"

    asyncio.run(story())


def test_a_login_that_fails_leaves_nothing_behind():
    async def refuse():
        raise Rejected

    cache = TokenCache(refuse, Clock())
    with pytest.raises(Rejected):
        asyncio.run(cache.get())
    assert not cache.is_valid
