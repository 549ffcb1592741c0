"""Login: exchanges the password for a token, and caches the token."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import requests

from jarvis_ear.errors import ConnectFailed, JarvisEarError, Rejected, RemoteProtocolError
from jarvis_ear.link.tls_and_tcp import AbandonableTask, Trust, error_text

MAX_BODY_BYTES: Final = 64 * 1024
"""Maximum length of a login answer; a token and its lifetime are some hundred bytes."""

MAX_TOKEN_LETTERS: Final = 8 * 1024
"""Fits into a header of any proxy on the way."""

MAX_ABANDONED: Final = 4
"""Hung login threads that may exist before another login is refused."""

_DIRECT: Final = {"http": "", "https": "", "all": ""}
"""No proxy: one from the environment would receive the password."""

_NONE_HERE: Final = (
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.UPGRADE_REQUIRED,
    HTTPStatus.NOT_IMPLEMENTED,
)
"""Statuses of servers that have nothing at that path, or only a WebSocket."""


class NoLogin(RemoteProtocolError):
    """The server has no login, so it may accept connections without a token."""


class Login:
    """Requests a token from a backend, within a deadline and without following redirects.

    Lives on the network thread. The request runs in a thread of its own; one that is unfinished
    at the deadline or at a stop is abandoned: it is not joined, and it ends with its socket. At
    most ``MAX_ABANDONED`` such threads exist.
    """

    def __init__(
        self, url: str, password: str, deadline_s: float, trust: Trust | None = None
    ) -> None:
        self._url = url
        self._password = password
        self._deadline_s = deadline_s
        self._trust = trust or Trust()
        self._abandoned: list[AbandonableTask[str]] = []

    async def token(self) -> str:
        """Return a fresh token, or raise ``TransportError`` or ``RemoteProtocolError``."""
        self._abandoned = [worker for worker in self._abandoned if worker.busy]
        if len(self._abandoned) >= MAX_ABANDONED:
            raise ConnectFailed(f"{MAX_ABANDONED} logins before this one still hang")
        worker = AbandonableTask("jarvis-ear-login", self._ask)
        answer = worker.start()
        try:
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.shield(answer)
        except TimeoutError:
            raise ConnectFailed(f"no login within {self._deadline_s:g} s") from None
        finally:
            worker.settle()
            _forget(answer)
            if worker.busy:
                self._abandoned.append(worker)

    def _ask(self) -> str:
        ends = time.monotonic() + self._deadline_s
        try:
            with _post(self._url, self._password, self._deadline_s, self._trust) as response:
                _check_status(response.status_code)
                return read_token(_read_body(response, ends))
        except JarvisEarError:
            raise
        except Exception as error:  # noqa: BLE001 - a peer can make the library raise anything
            raise ConnectFailed(f"login failed: {error_text(error)}") from None


def _post(url: str, password: str, timeout_s: float, trust: Trust) -> requests.Response:
    """Send the password to ``url`` only, regardless of the environment."""
    return requests.post(
        f"{url}/api/auth/login",
        json={"password": password},
        timeout=timeout_s,
        verify=str(trust.ca_file or requests.utils.DEFAULT_CA_BUNDLE_PATH),
        proxies=_DIRECT,
        auth=_add_nothing,
        allow_redirects=False,  # a redirect would receive the password as well
        stream=True,
    )


def _add_nothing(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep the library from adding credentials from a ``.netrc``."""
    return request


def read_token(body: bytes) -> str:
    """Return the token from the body of a successful answer, or raise ``RemoteProtocolError``."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("the login was answered with something else than JSON") from None
    token = answer.get("token") if isinstance(answer, dict) else None
    if not isinstance(token, str):
        raise RemoteProtocolError("the login was answered without a token")
    if not 0 < len(token) <= MAX_TOKEN_LETTERS or not token.isascii() or not token.isprintable():
        raise RemoteProtocolError("the login was answered with a token that cannot be one")
    return token


def _check_status(status: int) -> None:
    if status == HTTPStatus.OK:
        return
    if status == HTTPStatus.UNAUTHORIZED:
        raise Rejected("the backend does not accept the password")
    if status in _NONE_HERE:
        raise NoLogin(f"the backend has no login: status {status}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ConnectFailed(f"login failed: status {status}")
    raise RemoteProtocolError(f"the login was answered with status {status}; expected 200 or 401")


def _read_body(response: requests.Response, ends: float) -> bytes:
    body = b""
    for piece in response.iter_content(4096):
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise RemoteProtocolError(f"the login was answered with over {MAX_BODY_BYTES} bytes")
        if time.monotonic() > ends:
            raise ConnectFailed("the answer to the login did not end")
    return body


def _forget(answer: "asyncio.Future[str]") -> None:
    """Cancel the wait, or retrieve its exception, so that asyncio does not log it."""
    if not answer.cancel() and not answer.cancelled():
        answer.exception()


RENEW_AFTER_S: Final = 6 * 24 * 3600.0
"""The backend's tokens live seven days and are checked at every connect: renew a day early."""


class TokenCache:
    """Logs in when there is no token, or an old one. Owned by the dialer; the network thread.

    With a configured token (``given``) there is no login.
    """

    def __init__(
        self, login: Callable[[], Awaitable[str]], clock: Callable[[], float], given: str = ""
    ) -> None:
        self.given = given
        """The configured token; empty: a login provides one."""
        self._login = login
        self._clock = clock
        self._token: str | None = None
        self._since = 0.0

    @property
    def is_valid(self) -> bool:
        """Whether the next ``get`` needs no login."""
        return self._token is not None and self._clock() - self._since < RENEW_AFTER_S

    async def get(self) -> str:
        """Return a token that should be valid."""
        if self.given:
            return self.given
        if self._token is None or not self.is_valid:
            self._token, self._since = await self._login(), self._clock()
        return self._token

    def drop(self) -> None:
        """Forget the token: the backend rejects it."""
        self._token = None
