"""Rendering options: help, reference page and effective configuration."""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from textwrap import fill
from typing import Final

from pydantic import SecretStr

from jarvis_ear.config import CONFIG_FILE, Config
from jarvis_ear.options.load import Loaded
from jarvis_ear.options.option import (
    BY_KEY,
    OPTIONS,
    OWNER_VARIABLES,
    SHORT_FLAGS,
    Option,
    Taker,
    shown,
    taker_of,
)


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


_COLUMNS: Final = 88
"""Narrow enough for a small terminal window beside an editor."""

_INDENT: Final = " " * 21


def everyday() -> str:
    """Describe the options that people need, in a line or two each."""
    rows = [_row(SHORT_FLAGS[key], BY_KEY[key]) for key in SHORT_FLAGS]
    rows.append(_entry("--config FILE", f"Read this file instead of {CONFIG_FILE}."))
    return "\n".join(rows)


def everything() -> str:
    """Describe all options, with what they take and what they are otherwise."""
    return "\n".join(_paragraph(option) for option in OPTIONS if option.flags)


def _row(flag: str, option: Option) -> str:
    return _entry(f"{flag}{_placeholder(option)}", option.meaning)


def _paragraph(option: Option) -> str:
    names = ", ".join(f"{flag}{_placeholder(option)}" for flag in option.flags)
    usual = "none" if option.default in (None, "") else shown(option.default)
    return "\n".join([f"  {names}", *_lines([option.meaning, f"({option.expected}; {usual})"])])


def _entry(left: str, text: str) -> str:
    lines = "\n".join(_lines([text]))
    gap = len(_INDENT) - 2
    return f"  {left:<{gap}}{lines.lstrip()}" if len(left) < gap else f"  {left}\n{lines}"


def _lines(texts: Iterable[str]) -> list[str]:
    plain = (" ".join(text.replace("`", "").split()) for text in texts)
    return [
        fill(text, _COLUMNS, initial_indent=_INDENT, subsequent_indent=_INDENT) for text in plain
    ]


def _placeholder(option: Option) -> str:
    if option.kind is bool or option.kind is SecretStr:
        return ""
    return f" {_NAMES.get(option.key, option.name.rpartition('_')[2].upper())}"


_NAMES: Final = {
    "microphone.input": "FILE",
    "microphone.device": "NAME",
    "hearing.wake.model": "FILE",
    "hearing.wake.threshold": "SCORE",
}
"""What stands for the value, where the option's own name says it badly."""


_INTRODUCTION: Final = f"""\
# Configuration

Made from the code by `jarvis-ear config --reference` (`make docs`); a test compares the two.

The command line is stronger than the environment, the environment stronger than the file, the file
stronger than the default. The file is `{CONFIG_FILE}`, or what `--config FILE`
names. What is in force, and where each value comes from, is told by `jarvis-ear config`.

- A switch takes `true` or `false` everywhere; on the command line its name alone means `true`, and
  `--no-` before its name means `false`.
- An empty text where a path is expected means none. `~` at its beginning is the home of the user
  who runs the program, `~name` that of another.
- On the command line every option may be given once.
- {", ".join(f"`{name}`" for name in OWNER_VARIABLES.values())} work as environment variables too.
  They give way to the names with `JARVIS_EAR_`, and count as not set when they are empty.
- The password, the token and the key of the bus are never arguments. The environment is stronger
  than the credentials `jarvis-password`, `jarvis-backend-token` and `jarvis-bus-key` of the service
  manager (`$CREDENTIALS_DIRECTORY`), those stronger than the file. A `password_file`, `token_file`
  or `key_file` is as strong as the place that names it, and like a configuration file with a secret
  in it, it must be closed to others (mode 0600) and belong to us or to root.
- `systemctl reload jarvis-ear` (SIGHUP) has everything read again. What has `reload` as its change
  is in force at once, or when the turn that is under way is over; what has `restart` is named in
  the log. If there is any mistake, all of the old configuration stays in force.
- Unknown names are mistakes, also among the variables that begin with `JARVIS_EAR_`. All mistakes
  are listed at once, and the exit status is 78.
"""

_HEADER: Final = """\
| option | TOML | environment | command line | default | range | change | meaning |
|---|---|---|---|---|---|---|---|"""


def reference() -> str:
    """Write the page."""
    sections = groupby(OPTIONS, key=lambda option: option.table)
    return "\n".join(
        [_INTRODUCTION, *(_reference_section(name, options) for name, options in sections)]
    )


def _reference_section(name: str, options: Iterator[Option]) -> str:
    members = list(options)
    title = f"`[{name}]`" if name else "At the top of the file"
    about = (members[0].section.__doc__ or "").strip() if name else "Before the first table."
    return "\n".join([f"## {title}", "", about, "", _HEADER, *map(_reference_row, members), ""])


def _reference_row(option: Option) -> str:
    variables = [option.variable, *filter(None, [OWNER_VARIABLES.get(option.key)])]
    cells = [
        f"`{option.key}`",
        f"`{option.name} = {_example(option)}`",
        _codes(variables),
        _codes(option.flags) or "never",
        _default(option),
        _range(option),
        "restart" if taker_of(option.key) is Taker.NOBODY else "reload",
        " ".join(option.meaning.split()),
    ]
    return f"| {' | '.join(cells)} |"


def _example(option: Option) -> str:
    if option.kind is SecretStr:
        return '"..."'
    return json.dumps("" if option.default is None else option.default)


def _default(option: Option) -> str:
    if isinstance(option.default, SecretStr):
        return "what a new backend has" if option.default.get_secret_value() else "none"
    return "none" if option.default in (None, "") else f"`{_example(option)}`"


def _range(option: Option) -> str:
    if option.choices:
        return _codes(option.choices)
    return option.expected


def _codes(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
