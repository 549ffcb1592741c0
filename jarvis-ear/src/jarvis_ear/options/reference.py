"""The reference: a page with every option, made from the tree."""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from pydantic import SecretStr

from jarvis_ear.config import CONFIG_FILE
from jarvis_ear.options.change import Taker, taker_of
from jarvis_ear.options.option import OPTIONS, OWNER_VARIABLES, Option

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
    return "\n".join([_INTRODUCTION, *(_section(name, options) for name, options in sections)])


def _section(name: str, options: Iterator[Option]) -> str:
    members = list(options)
    title = f"`[{name}]`" if name else "At the top of the file"
    about = (members[0].section.__doc__ or "").strip() if name else "Before the first table."
    return "\n".join([f"## {title}", "", about, "", _HEADER, *map(_row, members), ""])


def _row(option: Option) -> str:
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
