"""Exposure: what can be read on its way to a server, and how its address may be shown."""

from typing import Final
from urllib.parse import urlsplit

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_PLAIN: Final = ("http", "ws")


def is_exposed(url: str) -> bool:
    """Whether what is said there can be read on the way."""
    parts = urlsplit(url)
    return parts.scheme in _PLAIN and parts.hostname not in _LOOPBACK


def address(url: str) -> str:
    """``url`` as people may see it: without a name or password in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
