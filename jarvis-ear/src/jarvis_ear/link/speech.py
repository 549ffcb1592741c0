"""Speech: the sound of a text, in the voice of the backend (``POST /api/tts``)."""

import time
from http import HTTPStatus
from typing import Final

from jarvis_ear.errors import ConnectFailed, JarvisEarError, Rejected, RemoteProtocolError
from jarvis_ear.link.login import NONE_HERE, Login, NoLogin, post, read_body
from jarvis_ear.link.tls_and_tcp import TrustStore, error_text

PATH: Final = "/api/tts"

MAX_SPEECH_BYTES: Final = 8 * 1024 * 1024
"""Bytes of one sound file: as of one chunk of a reply."""

SPEAK_S: Final = 20.0
"""Seconds to wait for the speech of a text; a slow synthesiser needs some for 2 000 letters."""

_REFUSALS: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class BackendVoice:
    """Asks the backend to speak a text. ``speak`` blocks: call it in a separate thread.

    The password is sent only if the backend demands a token.
    """

    def __init__(self, url: str, login: Login, token: str, trust_store: TrustStore) -> None:
        """``token``: a configured one; empty: ``login`` gets one if it is needed."""
        self._url = url
        self._login = login
        self._token = token
        self._trust_store = trust_store

    def speak(self, text: str) -> bytes:
        """Return a sound file with the speech of ``text``.

        Raises ``ConnectFailed`` if the backend cannot be reached or has no speech for texts,
        ``Rejected`` if it refuses us, and ``RemoteProtocolError`` for any other answer.
        """
        ends = time.monotonic() + SPEAK_S
        try:
            return self._ask(text, self._token, ends)
        except Rejected:
            if self._token:
                raise
        try:
            token = self._login.request()
        except NoLogin:
            raise Rejected(
                "the backend has no login and requires a token: set backend.token"
            ) from None
        return self._ask(text, token, ends)

    def _ask(self, text: str, token: str, ends: float) -> bytes:
        try:
            left_s = max(0.1, ends - time.monotonic())
            with post(
                self._url + PATH, {"text": text}, left_s, self._trust_store, token
            ) as response:
                _check_status(response.status_code)
                return read_body(response, ends, MAX_SPEECH_BYTES)
        except JarvisEarError:
            raise
        except OSError as error:  # all exceptions of requests are
            raise ConnectFailed(f"the backend does not speak: {error_text(error)}") from None


def _check_status(status: int) -> None:
    if status == HTTPStatus.OK:
        return
    if status in NONE_HERE:
        raise ConnectFailed(
            f"the backend has no speech for texts: status {status} for POST {PATH}; "
            "a sound file can be played"
        )
    if status in _REFUSALS:
        raise Rejected("the backend refuses to speak a text for us")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ConnectFailed(f"the backend cannot speak now: status {status}")
    raise RemoteProtocolError(f"the backend answers a text with status {status}; expected 200")
