"""The file: what stays configured on this machine."""

import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from jarvis_ear.options.layer import Layer
from jarvis_ear.options.option import BY_KEY, TABLES
from jarvis_ear.options.regular_file import read_regular
from jarvis_ear.options.secret_file import SecretFileError, require_private
from jarvis_ear.options.words import plain, shown, suggestion

MAX_BYTES: Final = 1024 * 1024
"""Far more than all options with a book of comments: another file was named by mistake."""


def read(path: Path, *, required: bool) -> Layer:
    """Read the file; one that is not ``required`` may also not be there."""
    layer = Layer(str(path))
    try:
        table, found = _parse(path)
    except FileNotFoundError:
        if required:
            layer.problems.append(f"{path}: there is no such file")
    except OSError as error:
        layer.problems.append(f"{path}: cannot be read: {error.strerror}")
    except ValueError as error:  # no TOML, no UTF-8, or a number too long to be one
        layer.problems.append(f"{path}: is no valid TOML: {_one_line(error)}")
    except RecursionError:
        layer.problems.append(f"{path}: is no valid TOML: nested too deeply")
    else:
        _take_table(layer, table, "")
        _guard_secrets(layer, found)
    return layer


def _parse(path: Path) -> tuple[dict[str, object], os.stat_result]:
    data, found = read_regular(path, MAX_BYTES)
    text = data.decode("utf-8-sig")  # some editors write a byte order mark
    return tomllib.loads(text), found


def _take_table(layer: Layer, table: dict[str, object], path: str) -> None:
    for name, value in table.items():
        key = f"{path}{name}"
        if key in BY_KEY:
            layer.take(BY_KEY[key], value, key)
        elif key not in TABLES:
            layer.refuse(plain(key), f"there is no such option{suggestion(key, _names(value))}")
        elif isinstance(value, dict):
            _take_table(layer, value, f"{key}.")
        else:
            layer.refuse(key, f"given {shown(value)}, expected a table: [{key}]")


def _names(value: object) -> Iterable[str]:
    return TABLES if isinstance(value, dict) else BY_KEY


def _guard_secrets(layer: Layer, found: os.stat_result) -> None:
    """Refuse a file that holds a password and that others may read."""
    for key in [key for key in layer.values if BY_KEY[key].kind is SecretStr]:
        try:
            require_private(found)
        except SecretFileError as error:
            layer.refuse(key, f"the file holds a secret, and {error}; or use {key}_file")


def _one_line(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is no UTF-8"
    return plain(str(error).partition(";")[0])
