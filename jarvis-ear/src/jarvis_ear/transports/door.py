"""Door: where the WebSocket of a wire is, and what is shown there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp


@dataclass(frozen=True, slots=True)
class Entrance:
    """An address, and what is shown there."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    subprotocol: str | None = None
    """A token that travels as one; the backend accepts by echoing it."""


class Door(Protocol):
    """Knows the way to the WebSocket of a wire. Used by one link."""

    async def find(self, session: aiohttp.ClientSession, token: str | None) -> Entrance:
        """Return where to go; raise what ``Link.open`` may raise."""
        ...

    async def leave(self, session: aiohttp.ClientSession) -> None:
        """Say that we have left, where the wire wants it said. May raise, may take its time."""
        ...
