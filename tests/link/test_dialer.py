import asyncio
import contextlib

import pytest

from jarvis_ear.errors import ConnectFailed, Rejected, RemoteProtocolError
from jarvis_ear.link.login import RENEW_AFTER_S, Admission, Dialer, NoLogin


class Backend:
    """A backend that accepts some tokens, as the dialer sees it."""

    now = 1000.0

    def __init__(self, *accepted, failure=None, has_login=True):
        self.accepted, self.failure, self.has_login = set(accepted), failure, has_login
        self.logins, self.tried, self.closed = 0, [], 0

    async def login(self):
        self.logins += 1
        if not self.has_login:
            raise NoLogin("status 404")
        return f"token {self.logins}"

    def link(self):
        return Link(self)

    def dialer(self, admission=Admission.BY_LOGIN, given=""):
        return Dialer(self.link, self.login, lambda: self.now, given=given, admission=admission)


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

    async def scene():
        dialer = backend.dialer()
        await dialer.dial()
        await dialer.dial()
        backend.accepted = {"token 2"}
        await dialer.dial()

    asyncio.run(scene())
    assert backend.tried == ["token 1", "token 1", "token 1", "token 2"]
    assert (backend.logins, backend.closed) == (2, 1)


def test_one_login_serves_many_links_and_is_renewed_after_six_days():
    backend = Backend("token 1", "token 2")

    async def scene():
        dialer = backend.dialer()
        for later_s in (0, RENEW_AFTER_S - 1, 1, 1):
            backend.now += later_s
            await dialer.dial()

    asyncio.run(scene())
    assert backend.tried == ["token 1", "token 1", "token 2", "token 2"]
    assert RENEW_AFTER_S == 6 * 24 * 60 * 60


def test_a_login_that_fails_leaves_nothing_behind():
    backend = Backend("token 1", "token 2")
    refusals = [Rejected(), None]

    async def login():
        if (refusal := refusals.pop(0)) is not None:
            raise refusal
        return "token 1"

    async def scene():
        dialer = Dialer(backend.link, login, lambda: 0.0)
        with pytest.raises(Rejected):
            await dialer.dial()
        await dialer.dial()

    asyncio.run(scene())
    assert backend.tried == ["token 1"]


def test_a_fresh_token_that_is_refused_is_their_fault():
    backend = Backend()

    async def scene():
        dialer = backend.dialer()
        for _ in range(2):
            with pytest.raises(RemoteProtocolError, match="just issued"):
                await dialer.dial()

    asyncio.run(scene())
    assert backend.tried == ["token 1", "token 2"]
    assert backend.closed == 2


def test_whatever_goes_wrong_the_link_is_closed_and_the_token_kept():
    backend = Backend("token 1", failure=ConnectFailed("no"))

    async def scene():
        dialer = backend.dialer()
        for _ in range(2):
            with pytest.raises(ConnectFailed):
                await dialer.dial()

    asyncio.run(scene())
    assert (backend.logins, backend.closed) == (1, 2)


def test_a_dial_that_is_called_off_leaves_no_link():
    backend = Backend(failure=asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(backend.dialer().dial())
    assert backend.closed == 1


def test_a_wire_without_a_login_is_asked_for_none():
    backend = Backend(None)
    asyncio.run(backend.dialer(Admission.UNASKED).dial())
    assert (backend.tried, backend.logins) == ([None], 0)


def test_a_backend_that_wants_a_token_all_the_same_gets_one_from_then_on():
    backend = Backend("token 1")

    async def scene():
        dialer = backend.dialer(Admission.UNASKED)
        await dialer.dial()
        await dialer.dial()

    asyncio.run(scene())
    assert (backend.tried, backend.logins) == ([None, "token 1", "token 1"], 1)


def test_without_a_login_there_is_one_attempt():
    for backend in (Backend(None), Backend()):
        dialer = Dialer(backend.link, None, lambda: 0.0, admission=Admission.UNASKED)
        with contextlib.suppress(Rejected):
            asyncio.run(dialer.dial())
        assert backend.tried == [None]
        assert backend.closed == (None not in backend.accepted)


def test_a_backend_that_is_not_there_is_shown_no_password():
    backend = Backend(failure=ConnectFailed("nobody there"))
    with pytest.raises(ConnectFailed):
        asyncio.run(backend.dialer(Admission.UNASKED).dial())
    assert (backend.tried, backend.logins) == ([None], 0)


def test_a_backend_without_a_login_is_entered_without_a_token_and_asked_for_none_again():
    backend = Backend(None, has_login=False)

    async def scene():
        dialer = backend.dialer()
        await dialer.dial()
        await dialer.dial()

    asyncio.run(scene())
    assert (backend.tried, backend.logins) == ([None, None], 1)


def test_one_that_has_a_login_later_is_asked_then():
    backend = Backend(None, has_login=False)

    async def scene():
        dialer = backend.dialer()
        await dialer.dial()
        backend.has_login, backend.accepted = True, {"token 2"}
        await dialer.dial()

    asyncio.run(scene())
    assert backend.tried == [None, None, "token 2"]


@pytest.mark.parametrize("admission", list(Admission))
def test_one_that_has_no_login_and_wants_a_token_is_told_with_the_remedy(admission):
    backend = Backend("a token from elsewhere", has_login=False)
    with pytest.raises(Rejected, match=r"no login .* backend\.token"):
        asyncio.run(backend.dialer(admission).dial())
    assert backend.closed == len(backend.tried)


def test_a_token_of_the_owner_is_shown_instead_of_a_login():
    backend = Backend("a token from elsewhere")

    async def scene():
        dialer = backend.dialer(given="a token from elsewhere")
        await dialer.dial()
        backend.accepted = set()
        for _ in range(2):
            with pytest.raises(Rejected, match=r"does not accept backend\.token"):
                await dialer.dial()

    asyncio.run(scene())
    assert (backend.tried, backend.logins) == (["a token from elsewhere"] * 3, 0)


def test_it_is_shown_to_a_backend_that_lets_everybody_in_only_when_asked_for():
    backend = Backend(None, "a token from elsewhere")
    asyncio.run(backend.dialer(Admission.UNASKED, "a token from elsewhere").dial())
    assert backend.tried == [None]
    backend.accepted.remove(None)
    asyncio.run(backend.dialer(Admission.UNASKED, "a token from elsewhere").dial())
    assert backend.tried == [None, None, "a token from elsewhere"]
