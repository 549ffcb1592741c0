"""The options in force, as text that could be a configuration file."""

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from pydantic import SecretStr

from jarvis_ear.config import Config
from jarvis_ear.options.load import Loaded
from jarvis_ear.options.option import OPTIONS, Option


def effective(loaded: Loaded) -> str:
    """List every option with its value and where that comes from; a secret is masked."""
    ordered = sorted(OPTIONS, key=lambda option: bool(option.table))  # without a table: at the top
    sections = groupby(ordered, key=lambda option: option.table)
    return "\n\n".join("\n".join(_section(loaded, *section)) for section in sections) + "\n"


def _section(loaded: Loaded, table: str, options: Iterator[Option]) -> Iterator[str]:
    if table:
        yield f"[{table}]"
    for option in options:
        yield f"{_assignment(loaded.config, option):<40}  # {loaded.origins[option.key]}"


def _assignment(config: Config, option: Option) -> str:
    value = _value(config, option)
    if isinstance(value, SecretStr):
        return f"# {option.name} is not shown"
    return f"{option.name} = {_toml(value)}"


def _value(config: Config, option: Option) -> object:
    value: object = config
    for name in option.key.split("."):
        value = getattr(value, name)
    return value


def _toml(value: object) -> str:
    """Write a value as TOML does; a JSON string in ASCII is one of TOML too."""
    if value is None or isinstance(value, Path):
        return json.dumps(str(value or ""))
    return json.dumps(value)
