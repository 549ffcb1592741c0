import asyncio

import pytest

from jarvis_ear.errors import ConnectFailed, Rejected, RemoteProtocolError
from jarvis_ear.transports.dialer import Admittance, Dialer
from jarvis_ear.transports.token import TokenCache


class Backend:
    """A backend that accepts some tokens, as the dialer sees it."""

    def __init__(self, *accepted, failure=None):
        self.accepted, self.failure = set(accepted), failure
        self.logins, self.tried, self.closed = 0, [], 0

    async def login(self):
        self.logins += 1
        return f"token {self.logins}"

    def link(self):
        return Link(self)

    def dialer(self, admittance=Admittance.BY_LOGIN):
        return Dialer(TokenCache(self.login, lambda: 0.0), self.link, admittance)


class Link:
    def __init__(self, backend):
        self.backend = backend

    async def open(self, token):
        self.backend.tried.append(token)
        if self.backend.failure is not None:
            raise self.backend.failure
        if token not in self.backend.accepted:
            raise Rejected

    async def close(self):
        self.backend.closed += 1


def test_a_login_and_a_link():
    backend = Backend("token 1")
    asyncio.run(backend.dialer().dial())
    assert (backend.tried, backend.closed) == (["token 1"], 0)


def test_a_token_that_was_good_once_costs_one_more_login():
    backend = Backend("token 1")

    async def story():
        dialer = backend.dialer()
        await dialer.dial()
        await dialer.dial()
        backend.accepted = {"token 2"}
        await dialer.dial()

    asyncio.run(story())
    assert backend.tried == ["token 1", "token 1", "token 1", "token 2"]
    assert (backend.logins, backend.closed) == (2, 1)


def test_a_fresh_token_that_is_refused_is_their_fault():
    backend = Backend()

    async def story():
        dialer = backend.dialer()
        for _ in range(2):
            with pytest.raises(RemoteProtocolError, match="just given"):
                await dialer.dial()

    asyncio.run(story())
    assert backend.tried == ["token 1", "token 2"]
    assert backend.closed == 2


def test_whatever_goes_wrong_the_link_is_closed_and_the_token_kept():
    backend = Backend("token 1", failure=ConnectFailed("no"))

    async def story():
        dialer = backend.dialer()
        for _ in range(2):
            with pytest.raises(ConnectFailed):
                await dialer.dial()

    asyncio.run(story())
    assert (backend.logins, backend.closed) == (1, 2)


def test_a_dial_that_is_called_off_leaves_no_link():
    backend = Backend(failure=asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(backend.dialer().dial())
    assert backend.closed == 1


def test_a_wire_without_a_login_is_asked_for_none():
    backend = Backend(None)
    asyncio.run(backend.dialer(Admittance.UNASKED).dial())
    assert (backend.tried, backend.logins) == ([None], 0)


def test_a_backend_that_wants_a_token_all_the_same_gets_one_from_then_on():
    backend = Backend("token 1")

    async def story():
        dialer = backend.dialer(Admittance.UNASKED)
        await dialer.dial()
        await dialer.dial()

    asyncio.run(story())
    assert (backend.tried, backend.logins) == ([None, "token 1", "token 1"], 1)


def test_a_backend_that_is_not_there_is_shown_no_password():
    backend = Backend(failure=ConnectFailed("nobody there"))
    with pytest.raises(ConnectFailed):
        asyncio.run(backend.dialer(Admittance.UNASKED).dial())
    assert (backend.tried, backend.logins) == ([None], 0)
