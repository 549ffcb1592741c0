import asyncio

import pytest

from jarvis_ear.errors import ConnectFailed, Rejected, RemoteProtocolError
from jarvis_ear.link.login import RENEW_AFTER_S, Admission, Dialer, NoLogin

GIVEN = "a token from elsewhere"


class Backend:
    """A backend that accepts some tokens, as the dialer sees it; also the links to it."""

    now = 1000.0

    def __init__(self, *accepted, failure=None, has_login=True):
        self.accepted, self.failure, self.has_login = set(accepted), failure, has_login
        self.logins, self.tried, self.closed = 0, [], 0

    async def login(self):
        self.logins += 1
        if not self.has_login:
            raise NoLogin("status 404")
        return f"token {self.logins}"

    def dialer(self, admission=Admission.BY_LOGIN, given=""):
        login = None if admission is None else self.login
        admission = admission or Admission.UNASKED
        return Dialer(lambda: self, login, lambda: self.now, given=given, admission=admission)

    def dials(self, *arguments, times=1):
        asyncio.run(self.dial(self.dialer(*arguments), times))

    async def dial(self, dialer, times=1, **refused):
        """Dial several times; each raises, if an error is named."""
        for _ in range(times):
            if refused:
                with pytest.raises(refused["error"], match=refused.get("match")):
                    await dialer.dial()
            else:
                await dialer.dial()

    async def open(self, token):
        self.tried.append(token)
        if self.failure is not None:
            raise self.failure
        if token not in self.accepted:
            raise Rejected("refused")

    async def close(self):
        self.closed += 1


def test_a_token_that_was_good_once_costs_one_more_login():
    backend = Backend("token 1")

    async def scene():
        dialer = backend.dialer()
        await backend.dial(dialer, 2)
        assert backend.closed == 0
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
        dialer = Dialer(lambda: backend, login, lambda: 0.0)
        await backend.dial(dialer, error=Rejected)
        await dialer.dial()

    asyncio.run(scene())
    assert backend.tried == ["token 1"]


@pytest.mark.parametrize(
    ("admission", "failure", "error", "tried", "logins"),
    [
        (Admission.BY_LOGIN, None, RemoteProtocolError("just issued"), ["token 1", "token 2"], 2),
        (Admission.BY_LOGIN, ConnectFailed("no"), ConnectFailed("no"), 2 * ["token 1"], 1),
        (Admission.UNASKED, ConnectFailed("no"), ConnectFailed("no"), [None], 0),
        (None, None, Rejected("refused"), [None], 0),
    ],
    ids=["fresh_token_refused", "no_connection", "no_connection_no_password", "no_login"],
)
def test_a_link_that_is_not_opened_is_closed(admission, failure, error, tried, logins):
    backend = Backend(failure=failure)
    refused = {"error": type(error), "match": str(error)}
    asyncio.run(backend.dial(backend.dialer(admission), len(tried), **refused))
    assert (backend.tried, backend.logins, backend.closed) == (tried, logins, len(tried))


def test_a_dial_that_is_cancelled_leaves_no_link():
    backend = Backend(failure=asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        backend.dials()
    assert backend.closed == 1


@pytest.mark.parametrize(
    ("backend", "admission", "times", "tried", "logins"),
    [
        (Backend(None), Admission.UNASKED, 1, [None], 0),
        (Backend("token 1"), Admission.UNASKED, 2, [None, "token 1", "token 1"], 1),
        (Backend(None), None, 1, [None], 0),
        (Backend(None, has_login=False), Admission.BY_LOGIN, 2, [None, None], 1),
    ],
    ids=["unasked", "asked_all_the_same", "no_login_known", "no_login_there"],
)
def test_a_password_is_shown_where_a_token_is_needed(backend, admission, times, tried, logins):
    backend.dials(admission, times=times)
    assert (backend.tried, backend.logins) == (tried, logins)
    assert backend.closed == len(tried) - times


def test_a_backend_that_has_a_login_later_is_asked_then():
    backend = Backend(None, has_login=False)

    async def scene():
        dialer = backend.dialer()
        await dialer.dial()
        backend.has_login, backend.accepted = True, {"token 2"}
        await dialer.dial()

    asyncio.run(scene())
    assert backend.tried == [None, None, "token 2"]


@pytest.mark.parametrize("admission", list(Admission))
def test_a_backend_without_a_login_that_wants_a_token_is_reported_with_the_remedy(admission):
    backend = Backend(GIVEN, has_login=False)
    with pytest.raises(Rejected, match=r"no login .* backend\.token"):
        backend.dials(admission)
    assert backend.closed == len(backend.tried)


def test_a_token_of_the_owner_is_shown_instead_of_a_login():
    backend = Backend(GIVEN)

    async def scene():
        dialer = backend.dialer(given=GIVEN)
        await dialer.dial()
        backend.accepted = set()
        match = r"does not accept backend\.token"
        await backend.dial(dialer, 2, error=Rejected, match=match)

    asyncio.run(scene())
    assert (backend.tried, backend.logins) == ([GIVEN] * 3, 0)


def test_a_token_of_the_owner_is_shown_to_an_open_backend_only_when_asked_for():
    backend = Backend(None, GIVEN)
    backend.dials(Admission.UNASKED, GIVEN)
    assert backend.tried == [None]
    backend.accepted.remove(None)
    backend.dials(Admission.UNASKED, GIVEN)
    assert backend.tried == [None, None, GIVEN]
