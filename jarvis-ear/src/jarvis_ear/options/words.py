"""Words for mistakes: values on one line, and the name that was probably meant."""

import json
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

SHOWN: Final = 60
"""Characters of a value that a message repeats: enough to recognise it."""

_LARGE: Final = 64
"""Bits of a number that is worth its digits; Python refuses to write the very large ones."""


_NOUNS: Final = {dict: "a table", list: "a list", type(None): "nothing"}


def shown(value: object) -> str:
    """Write ``value`` for people: one line, not too long, every odd character escaped."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > _LARGE:
        return "a very large number"
    if isinstance(value, int | float):
        return str(value)
    return _NOUNS.get(type(value)) or quoted(str(value))


def quoted(text: str) -> str:
    """Write ``text`` in quotes, shortened, every odd character escaped."""
    whole = json.dumps(text[:SHOWN], ensure_ascii=not text.isprintable())
    return whole if len(text) <= SHOWN else f"{whole[:-1]}...{whole[-1]}"


def plain(name: str) -> str:
    """Write a name as it is where that is readable, else in quotes."""
    return name if name and len(name) <= SHOWN and name.isprintable() else quoted(name)


def suggestion(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return "; did you mean ...?" for a misspelt name, or nothing if no name is like it.

    The last part of a name counts most: who forgets a section, or names a wrong one, means it.
    A ``prefix`` that all names begin with says nothing about their likeness.
    """
    meant = _meant(name.removeprefix(prefix), [other.removeprefix(prefix) for other in known])
    return f"; did you mean {prefix}{meant}?" if meant else ""


def _meant(name: str, names: list[str]) -> str:
    """Return the name that is most like ``name``, or nothing."""
    if name in names:
        return name
    ends = {_last_part(other): other for other in names}
    if _last_part(name) in ends:
        return ends[_last_part(name)]
    if close := get_close_matches(name, names, n=1, cutoff=0.75):
        return close[0]
    if close := get_close_matches(_last_part(name), ends, n=1, cutoff=0.75):
        return ends[close[0]]
    return ""


def _last_part(name: str) -> str:
    return name.replace("__", ".").rpartition(".")[2].lower().replace("-", "_").strip("_")
