"""SessionDoor: the way to a session stream, which is announced over HTTP first."""

import json
import re
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import aiohttp

from jarvis_ear.errors import ConnectFailed, Rejected, RemoteProtocolError
from jarvis_ear.transports.door import Entrance
from jarvis_ear.wire.session_pcm import API_PATH, PATH

MAX_BODY_BYTES: Final = 64 * 1024
"""A session is told in some hundred bytes."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_UNANNOUNCED: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
_REFUSALS: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class SessionDoor:
    """Announces a session, and says that it is over. One session, one link.

    A backend that wants none announced (it answers 404 or 405) gets a name of our own making.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._session_id: str | None = None
        self._headers: Mapping[str, str] = {}

    async def find(self, session: aiohttp.ClientSession, token: str | None) -> Entrance:
        """Return where to go; raise what ``Link.open`` may raise."""
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with session.post(
            self._url + API_PATH,
            json={"mode": "assistant"},
            headers=self._headers,
            allow_redirects=False,
        ) as answer:
            self._session_id = await _session_id(answer)
        return Entrance(self._url + PATH.format(session_id=self._session_id), self._headers)

    async def leave(self, session: aiohttp.ClientSession) -> None:
        """Stop the session, which the owner of the wire wants besides the end of the socket."""
        if self._session_id is None:
            return
        stop = f"{self._url}{API_PATH}/{self._session_id}/stop"
        async with session.post(stop, headers=self._headers, allow_redirects=False):
            pass


async def _session_id(answer: aiohttp.ClientResponse) -> str:
    if answer.status in _UNANNOUNCED:
        return secrets.token_urlsafe(16)
    if answer.status in _REFUSALS:
        raise Rejected("the backend does not let us in")
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ConnectFailed(f"no session: status {answer.status}")
    if answer.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
        raise RemoteProtocolError(f"no session: status {answer.status}; expected 201")
    return _read_id(await _body(answer))


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for piece in answer.content.iter_chunked(4096):
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise RemoteProtocolError(f"a session told in over {MAX_BODY_BYTES} bytes")
    return body


def _read_id(body: bytes) -> str:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("a session told in something else than JSON") from None
    session_id = told.get("id") if isinstance(told, dict) else None
    if not isinstance(session_id, str) or not _ID.fullmatch(session_id):
        raise RemoteProtocolError("a session without an id that can stand in a path")
    return session_id
