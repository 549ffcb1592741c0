"""Which server gets a token, and when."""

import asyncio

import pytest

from jarvis_ear.bus.client import BusDialer, is_same_server
from jarvis_ear.errors import Rejected
from jarvis_ear.link.login import NoLogin, TokenCache


class Link:
    """Lets those in who show a token that it knows."""

    def __init__(self, door):
        self._door = door

    async def open(self, token):
        self._door.shown.append(token)
        if token not in self._door.good:
            raise Rejected("no")

    async def close(self):
        self._door.closed += 1


class Door:
    def __init__(self, *good):
        self.good = good
        self.shown = []
        self.closed = 0
        self.logins = 0

    async def login(self):
        self.logins += 1
        return f"token {self.logins}"

    def dialer(self, *, with_login=True):
        tokens = TokenCache(self.login, lambda: 0.0) if with_login else None
        return BusDialer(lambda: Link(self), tokens)


def test_without_a_login_it_comes_as_it_is():
    door = Door(None)
    asyncio.run(door.dialer(with_login=False).dial())
    assert (door.shown, door.closed) == ([None], 0)
    with pytest.raises(Rejected):
        asyncio.run(Door().dialer(with_login=False).dial())


def test_a_login_is_made_only_when_one_is_asked_for():
    door = Door(None)
    asyncio.run(door.dialer().dial())
    assert door.logins == 0


def test_a_token_is_used_again_until_it_is_refused():
    async def scene():
        door = Door("token 1", "token 2")
        dialer = door.dialer()
        await dialer.dial()
        await dialer.dial()
        assert door.shown == [None, "token 1", "token 1"]
        door.good = ("token 2",)
        await dialer.dial()
        assert door.shown[3:] == ["token 1", "token 2"]
        door.good = ()
        with pytest.raises(Rejected):
            await dialer.dial()
        assert door.closed == 4

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("bus", "backend", "same"),
    [
        ("ws://localhost:4000/ws", "http://localhost:4000", True),
        ("wss://kitchen/ws", "https://kitchen:443/", True),
        ("ws://localhost:8000/ws", "http://localhost:4000", False),
        ("ws://kitchen:443", "https://kitchen:443", False),
        ("wss://kitchen", "https://hall", False),
    ],
)
def test_one_server_or_two(bus, backend, same):
    assert is_same_server(bus, backend) is same


def test_a_bus_that_wants_a_token_where_there_is_no_login_refuses_us():
    async def no_login():
        raise NoLogin("status 404")

    door = Door()
    dialer = BusDialer(lambda: Link(door), TokenCache(no_login, lambda: 0.0))
    with pytest.raises(Rejected, match="has no login"):
        asyncio.run(dialer.dial())
