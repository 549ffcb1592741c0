"""Login: exchanges the password for a token; the dialer opens links with it."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Generic

from jarvis_ear.errors import ConnectFailed, JarvisEarError, Rejected, RemoteProtocolError
from jarvis_ear.link.connection import BACKEND, AnyLink, Peer
from jarvis_ear.link.tls_and_tcp import AbandonableTask, TrustStore, error_text
from jarvis_ear.wires.dialect import bearer

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

MAX_BODY_BYTES: Final = 64 * 1024
"""Maximum length of a login answer; a token and its lifetime are some hundred bytes."""

MAX_TOKEN_LETTERS: Final = 8 * 1024
"""Fits into a header of any proxy on the way."""

MAX_ABANDONED: Final = 4
"""Hung login threads that may exist before another login is refused."""

_DIRECT: Final = {"http": "", "https": "", "all": ""}
"""No proxy: one from the environment would receive the password."""

ISSUED: Final = (HTTPStatus.OK, HTTPStatus.CREATED)
"""Statuses of an answer with a token: some frameworks answer every POST with 201."""

NONE_HERE: Final = (
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

    Lives on the network thread. The request runs in a separate thread; one that is unfinished
    at the deadline or at a stop is abandoned: it is not joined, and it ends with its socket. At
    most ``MAX_ABANDONED`` such threads exist.
    """

    def __init__(
        self, url: str, password: str, deadline_s: float, trust_store: TrustStore | None = None
    ) -> None:
        self._url = url
        self._password = password
        self._deadline_s = deadline_s
        self._trust_store = trust_store or TrustStore()
        self._abandoned: list[AbandonableTask[str]] = []

    async def token(self) -> str:
        """Return a fresh token, or raise ``TransportError`` or ``RemoteProtocolError``."""
        self._abandoned = [worker for worker in self._abandoned if worker.busy]
        if len(self._abandoned) >= MAX_ABANDONED:
            raise ConnectFailed(f"{MAX_ABANDONED} logins before this one still hang")
        worker = AbandonableTask("jarvis-ear-login", self.request)
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

    def request(self) -> str:
        """Return a fresh token, as ``token`` does; blocks until the deadline."""
        ends = time.monotonic() + self._deadline_s
        try:
            address, body = f"{self._url}/api/auth/login", {"password": self._password}
            with post(address, body, self._deadline_s, self._trust_store) as response:
                _check_status(response.status_code)
                return read_token(read_body(response, ends))
        except JarvisEarError:
            raise
        except Exception as error:  # noqa: BLE001 - a peer can make the library raise anything
            raise ConnectFailed(f"login failed: {error_text(error)}") from None


def post(
    url: str, body: Mapping[str, str], timeout_s: float, trust_store: TrustStore, token: str = ""
) -> "Response":
    """Send a JSON object to ``url`` only, regardless of the environment."""
    import requests  # noqa: PLC0415 - an ear with a token, or on a wire without a login, needs none

    return requests.post(
        url,
        json=body,
        headers=bearer(token or None),
        timeout=timeout_s,
        verify=trust_store.authorities or requests.utils.DEFAULT_CA_BUNDLE_PATH,
        proxies=_DIRECT,
        auth=_add_nothing,
        allow_redirects=False,  # a redirect would receive the password or the token as well
        stream=True,
    )


def _add_nothing(request: "PreparedRequest") -> "PreparedRequest":
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
    if status in ISSUED:
        return
    if status == HTTPStatus.UNAUTHORIZED:
        raise Rejected("the backend does not accept the password")
    if status in NONE_HERE:
        raise NoLogin(f"the backend has no login: status {status}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ConnectFailed(f"login failed: status {status}")
    raise RemoteProtocolError(f"the login was answered with status {status}; expected 200 or 401")


def read_body(response: "Response", ends: float, most: int = MAX_BODY_BYTES) -> bytes:
    """Return the body of at most ``most`` bytes, which has to end at a monotonic time."""
    body = bytearray()
    for piece in response.iter_content(64 * 1024):
        body += piece
        if len(body) > most:
            raise RemoteProtocolError(f"the backend answered with over {most} bytes")
        if time.monotonic() > ends:
            raise ConnectFailed("the answer of the backend did not end")
    return bytes(body)


def _forget(answer: "asyncio.Future[str]") -> None:
    """Cancel the wait, or retrieve its exception, so that asyncio does not log it."""
    if not answer.cancel() and not answer.cancelled():
        answer.exception()


RENEW_AFTER_S: Final = 6 * 24 * 3600.0
"""The backend's tokens live seven days and are checked at every connect: renew a day early."""


class Admission(Enum):
    """Whether a server of the wire requires a token."""

    BY_LOGIN = "by login"
    """A token is required."""
    UNASKED = "unasked"
    """No token is required, unless this server refuses: then the dialer logs in as well."""


class Dialer(Generic[AnyLink]):
    """Logs in when needed, keeps the token, and opens new links. Owned by the supervisor.

    With a configured token (``given``) there is no login; without ``login``, no token is sent.
    """

    def __init__(
        self,
        link: Callable[[], AnyLink],
        login: Callable[[], Awaitable[str]] | None,
        clock: Callable[[], float],
        *,
        given: str = "",
        admission: Admission = Admission.BY_LOGIN,
        peer: Peer = BACKEND,
    ) -> None:
        self._link = link
        self._login = login
        self._clock = clock
        self._given = given
        self._admission = admission
        self._peer = peer
        self._token: str | None = None
        self._since = 0.0

    async def dial(self) -> AnyLink:
        """Return an open link, or raise ``TransportError`` or ``RemoteProtocolError``.

        A cached token that is rejected costs one immediate retry. A server without a login is tried
        without a token, and first so from then on.
        """
        if self._login is None:
            return await self._open(None)
        if self._admission is Admission.UNASKED:
            try:
                return await self._open(None)
            except Rejected:
                self._admission = Admission.BY_LOGIN  # only now may the password be sent
        if self._token is not None and self._clock() - self._since < RENEW_AFTER_S:
            try:
                return await self._open(self._token)
            except Rejected:
                self._token = None
        try:
            token = self._given or await self._login()  # a refused password is not a refused token
        except NoLogin:
            return await self._open_without_token()
        return await self._open_with(token)

    async def _open_with(self, token: str) -> AnyLink:
        """Open a link with a configured or new token; keep a new one unless it is refused."""
        name = self._peer.name
        if not self._given:
            self._token, self._since = token, self._clock()
        try:
            return await self._open(token)
        except Rejected:
            self._token = None
            if self._given:
                raise Rejected(f"the {name} does not accept backend.token") from None
            raise RemoteProtocolError(f"the {name} refuses a token that is just issued") from None

    async def _open_without_token(self) -> AnyLink:
        try:
            link = await self._open(None)
        except Rejected:
            raise Rejected(
                f"the {self._peer.name} has no login and requires a token: set backend.token"
            ) from None
        self._admission = Admission.UNASKED  # until it refuses: no password is sent
        return link

    async def _open(self, token: str | None) -> AnyLink:
        link = self._link()
        try:
            await link.open(token)
        except BaseException:
            await link.close()
            raise
        return link
