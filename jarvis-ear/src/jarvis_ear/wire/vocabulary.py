"""Vocabulary: the messages of a wire whose text frames are JSON objects with a ``type``."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wire.json_fields import read_fields, read_object, write_fields, write_object

M = TypeVar("M")


class Vocabulary(Generic[M]):
    """What one side of a wire may say, by its ``type``. Immutable: any thread may use it."""

    def __init__(self, kinds: Mapping[str, type[M]]) -> None:
        self._kinds = dict(kinds)
        self._types: dict[type[Any], str] = {kind: name for name, kind in self._kinds.items()}

    def encode(self, message: M) -> str:
        """Text frame that says ``message``."""
        return write_object({"type": self._types[type(message)]} | write_fields(message))

    def decode(self, text: str) -> M:
        """Return what the text frame says, or raise ``RemoteProtocolError``."""
        payload = read_object(text)
        name = payload.get("type")
        kind = self._kinds.get(name) if isinstance(name, str) else None
        if kind is None:
            raise RemoteProtocolError(f"unknown type; expected one of {', '.join(self._kinds)}")
        return read_fields(kind, payload)
