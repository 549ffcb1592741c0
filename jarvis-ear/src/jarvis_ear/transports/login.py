"""Login: the password goes up, a token comes down."""

import asyncio
import json
import time
from http import HTTPStatus
from typing import Final

import requests

from jarvis_ear.errors import ConnectFailed, JarvisEarError, Rejected, RemoteProtocolError
from jarvis_ear.transports.blame import blame
from jarvis_ear.transports.cuttable import CuttableAdapter
from jarvis_ear.transports.trust import Trust
from jarvis_ear.transports.worker import Worker

PATH: Final = "/api/auth/login"

MAX_BODY_BYTES: Final = 64 * 1024
"""A token and its lifetime are some hundred bytes."""

MAX_TOKEN_LETTERS: Final = 8 * 1024
"""What fits into a header of any proxy on the way."""

_CUT_S: Final = 0.5
"""For the thread of a request that has been cut: its socket fails at once."""


class Login:
    """Asks a backend for a token, within a deadline, following nobody anywhere.

    Lives on the network thread; the request itself runs in a thread of its own, one at a time.
    """

    def __init__(
        self, url: str, password: str, deadline_s: float, trust: Trust | None = None
    ) -> None:
        self._url = url + PATH
        self._password = password
        self._deadline_s = deadline_s
        self._trust = trust or Trust()
        self._worker: Worker[str] | None = None

    async def token(self) -> str:
        """Return a fresh token, or raise ``TransportError`` or ``RemoteProtocolError``."""
        if self._worker is not None and self._worker.busy:
            raise ConnectFailed("the login before this one is still looking for the host")
        adapter = CuttableAdapter()
        worker = self._worker = Worker("jarvis-ear-login", lambda: self._ask(adapter))
        answer = worker.start()
        try:
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.shield(answer)
        except TimeoutError:
            raise ConnectFailed(f"no login within {self._deadline_s:g} s") from None
        finally:
            adapter.cut()
            await asyncio.wait({answer}, timeout=_CUT_S)
            worker.settle()
            _forget(answer)

    def _ask(self, adapter: CuttableAdapter) -> str:
        ends = time.monotonic() + self._deadline_s
        try:
            with requests.Session() as session:
                session.trust_env = False  # a proxy from the environment would get the password
                if self._trust.ca_file is not None:
                    session.verify = str(self._trust.ca_file)
                session.mount("http://", adapter)
                session.mount("https://", adapter)
                return self._answer(session, ends)
        except JarvisEarError:
            raise
        except Exception as error:  # noqa: BLE001 - a peer can make the library raise anything
            raise ConnectFailed(f"login failed: {blame(error)}") from None

    def _answer(self, session: requests.Session, ends: float) -> str:
        with session.post(
            self._url,
            json={"password": self._password},
            timeout=self._deadline_s,
            allow_redirects=False,  # a redirect would get the password as well
            stream=True,
        ) as response:
            _check_status(response.status_code)
            return read_token(_read_body(response, ends))


def read_token(body: bytes) -> str:
    """Return the token in the body of a successful answer, or raise ``RemoteProtocolError``."""
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
    """Stop waiting; a failure that nobody waits for any more is not worth a line in the log."""
    if not answer.cancel() and not answer.cancelled():
        answer.exception()
