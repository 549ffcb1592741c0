"""VoiceWsDoor: the way to the voice channel ``/ws/voice``."""

import aiohttp

from jarvis_ear.transports.door import Entrance
from jarvis_ear.wire.voice_ws import PATH


class VoiceWsDoor:
    """Opens the WebSocket at its address; a token, where one is asked for, goes along."""

    def __init__(self, url: str, path: str = "") -> None:
        self._address = url + (path or PATH)

    async def find(self, _session: aiohttp.ClientSession, token: str | None) -> Entrance:
        """Return where to go."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return Entrance(self._address, headers)

    async def leave(self, _session: aiohttp.ClientSession) -> None:
        """Say nothing: who resets the connection has left."""
