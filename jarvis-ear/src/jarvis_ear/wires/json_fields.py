"""JSON on the wire: reading and writing messages with fixed fields."""

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any, Final, Generic, NoReturn, TypeVar

from jarvis_ear.errors import RemoteProtocolError, UnknownMessage

__all__ = ["RemoteProtocolError", "Vocabulary", "printable", "read_object", "write_object"]

MAX_TEXT: Final = 64 * 1024
"""Characters of one text message: many times what a reply or an event needs."""

OMITTED: Final[Mapping[str, bool]] = {"omitted": True}
"""Metadata of a field that is not written while it has its default."""

_T = TypeVar("_T")
_UNDERSCORE: Final = re.compile("_([a-z])")
_NAMES: Final[Mapping[type, str]] = {str: "text", int: "a whole number", bool: "true or false"}


def read_object(text: str) -> dict[str, Any]:
    """Return the JSON object in ``text``."""
    if len(text) > MAX_TEXT:
        raise RemoteProtocolError(f"a message of {len(text)} letters; expected at most {MAX_TEXT}")
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("a message that is not JSON; expected a JSON object") from None
    if not isinstance(value, dict):
        raise RemoteProtocolError(f"a message that is {type(value).__name__}; expected an object")
    return value


def read_fields(kind: type[_T], payload: Mapping[str, Any]) -> _T:
    """Return a ``kind`` made from ``payload``; a field without a default is required.

    The value of a field declared as ``object`` is not checked.
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # every message is a dataclass
        name = _outside(field.name)
        if name in payload:
            values[field.name] = _checked(name, payload[name], field.type)
        elif field.default is dataclasses.MISSING:
            raise RemoteProtocolError(f"{name} is missing; expected {_NAMES[field.type]}")  # type: ignore[index]  # no string annotations here
    return kind(**values)


def write_fields(message: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    """Return the fields of ``message`` under their names on the wire."""
    return {
        _outside(field.name): getattr(message, field.name)
        for field in dataclasses.fields(message)
        if not (field.metadata == OMITTED and getattr(message, field.name) == field.default)
    }


def write_object(value: Mapping[str, Any]) -> str:
    """Return ``value`` as JSON without spaces."""
    return json.dumps(value, separators=(",", ":"))


def _checked(name: str, value: object, kind: object) -> object:
    if kind is not object and type(value) is not kind:  # True is an int, but not a whole number
        raise RemoteProtocolError(f"{name} is {type(value).__name__}; expected {_NAMES[kind]}")  # type: ignore[index]  # as above
    return value


def _outside(name: str) -> str:
    return _UNDERSCORE.sub(lambda found: found[1].upper(), name)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN is not JSON, but Python accepts it


M = TypeVar("M")


class Vocabulary(Generic[M]):
    """Messages of one side of a wire, by ``type``. Immutable: any thread may use it."""

    def __init__(self, kinds: Mapping[str, type[M]]) -> None:
        self.kinds = kinds
        """Class of each message, by its ``type``."""
        self._types: dict[type[Any], str] = {kind: name for name, kind in kinds.items()}

    def encode(self, message: M) -> str:
        """Return the text frame for ``message``."""
        return write_object({"type": self._types[type(message)]} | write_fields(message))

    def decode(self, text: str) -> M:
        """Return the message of the text frame, or raise ``RemoteProtocolError``."""
        payload = read_object(text)
        name = payload.get("type")
        kind = self.kinds.get(name) if isinstance(name, str) else None
        if kind is None:
            raise UnknownMessage(f"unknown type; expected one of {', '.join(self.kinds)}")
        return read_fields(kind, payload)


_UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)  # control characters, line separators, text-direction overrides, halves of letters


def printable(text: str) -> str:
    """Return ``text`` on one line: terminal and line control characters become spaces."""
    return _UNPRINTABLE.sub(" ", text)
