"""The lines in which a feed crosses a socket: one JSON object each."""

import json
from typing import Final

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.system.feed import Deltas, News, Snapshot

MAX_LINE: Final = 256 * 1024
"""Bytes: a snapshot with a dozen turns has about ten thousand."""


def encode(news: News) -> str:
    """Write ``news`` as one line, without its end."""
    match news:
        case Snapshot(topics):
            return json.dumps({"snapshot": topics}, separators=(",", ":"))
        case Deltas(changes):
            return json.dumps({"deltas": changes}, separators=(",", ":"))


def decode(line: bytes | str) -> News:
    """Read one line, or raise RemoteProtocolError."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("a line of the feed that is no JSON") from None
    match told:
        case {"snapshot": dict(topics)}:
            return Snapshot(topics)
        case {"deltas": list(changes)} if all(map(_is_change, changes)):
            return Deltas(tuple((topic, value) for topic, value in changes))
    raise RemoteProtocolError("a line of the feed; expected a snapshot or deltas")


def _is_change(change: object) -> bool:
    return isinstance(change, list) and len(change) == 2 and isinstance(change[0], str)  # noqa: PLR2004 - topic and value
