"""Edit: changes single values in the text of a TOML file, and keeps its comments and order."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

Value: TypeAlias = str | int | float | bool

_HEADER: Final = re.compile(r"\s*\[([A-Za-z0-9_.\- ]+)\]\s*(#.*)?")
_ANY_HEADER: Final = re.compile(r"\s*\[")


class NotEditable(ValueError):
    """The file is written in a way in which a value cannot be changed safely."""


def edited(text: str, changes: Mapping[str, Value]) -> str:
    """Return the text of a TOML file with these values, by dotted key.

    A line with the key is changed, or one is added to its table, or the table to the end. Raises
    ``NotEditable`` if the result does not have exactly these changes, and ``ValueError`` if the
    text is not TOML.
    """
    wanted = tomllib.loads(text)
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    for key, value in changes.items():
        _note(wanted, key.split("."), value)
        _change(lines, key, value)
    result = "".join(lines)
    try:
        is_right = tomllib.loads(result) == wanted
    except ValueError:
        is_right = False
    if not is_right:
        raise NotEditable(f"{', '.join(changes)} cannot be changed in the way this file is written")
    return result


def written(value: Value) -> str:
    """Return a value as TOML."""
    return json.dumps(value)


def _note(tree: dict[str, Any], path: Sequence[str], value: Value) -> None:
    for name in path[:-1]:
        branch = tree.setdefault(name, {})
        if not isinstance(branch, dict):
            raise NotEditable(f"{name} is no table")
        tree = branch
    tree[path[-1]] = value


def _change(lines: list[str], key: str, value: Value) -> None:
    """Change the line of a key, in whichever table it is written, or add one."""
    parts = key.split(".")
    for depth in range(len(parts) - 1, -1, -1):
        found = _table(lines, ".".join(parts[:depth]))
        if found is None:
            continue
        name = r"\s*\.\s*".join(map(re.escape, parts[depth:]))
        line_of = re.compile(rf"(\s*{name}\s*=\s*)([^#\s][^#]*?)(\s*(?:#.*)?\n)")
        for place in range(*found):
            if match := line_of.fullmatch(lines[place]):
                lines[place] = match[1] + written(value) + match[3]
                return
    found = _table(lines, ".".join(parts[:-1]))
    line = f"{parts[-1]} = {written(value)}\n"
    if found is not None and parts[:-1]:
        lines.insert(found[0], line)
        return
    gap = ["\n"] if lines and lines[-1].strip() else []
    lines += [*gap, f"[{'.'.join(parts[:-1])}]\n", line]


def _table(lines: Sequence[str], table: str) -> tuple[int, int] | None:
    """Return the first line of a table's content, and the one after it; empty: the top level."""
    begin = 0 if not table else None
    for place, line in enumerate(lines):
        if not _ANY_HEADER.match(line):
            continue
        if begin is not None:
            return begin, place
        header = _HEADER.fullmatch(line.rstrip("\n"))
        if header is not None and header[1].replace(" ", "") == table:
            begin = place + 1
    return None if begin is None else (begin, len(lines))
