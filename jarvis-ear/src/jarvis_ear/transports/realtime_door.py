"""RealtimeDoor: the way to the realtime stream, where a token travels as the subprotocol."""

import re
from typing import Final

import aiohttp

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.transports.door import Entrance
from jarvis_ear.wire.realtime_wav import PATH

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""What a subprotocol may be made of (RFC 6455, 4.1, after RFC 2616, 2.2)."""


class RealtimeDoor:
    """Opens the WebSocket at its address and shows the token, which the backend echoes."""

    def __init__(self, url: str, path: str = "") -> None:
        self._address = url + (path or PATH)

    async def find(self, _session: aiohttp.ClientSession, token: str | None) -> Entrance:
        """Return where to go, or raise ``RemoteProtocolError``."""
        if token is not None and not _TOKEN.fullmatch(token):
            raise RemoteProtocolError("the backend gives a token that cannot be a subprotocol")
        return Entrance(self._address, subprotocol=token)

    async def leave(self, _session: aiohttp.ClientSession) -> None:
        """Say nothing: who resets the connection has left."""
