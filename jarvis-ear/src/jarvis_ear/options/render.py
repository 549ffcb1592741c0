"""Rendering: help, reference page and the configuration in force."""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from textwrap import fill
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from jarvis_ear.options.load import Loaded
from jarvis_ear.options.option import Option, Schema, shown, value_of


def effective(schema: Schema[Any], loaded: Loaded[Any]) -> str:
    """Return all options as TOML, with the origin of each value; secrets are masked."""
    ordered = sorted(schema.options, key=lambda option: bool(option.table))  # top level first
    sections = groupby(ordered, key=lambda option: option.table)
    return "\n\n".join("\n".join(_section(loaded, *section)) for section in sections) + "\n"


def check_report(warnings: Iterable[str]) -> str:
    """Return the output of the verb check for a valid configuration."""
    lines = [f"warning: {line}\n" for line in warnings]
    number = f"with {len(lines)} warning{'s' if len(lines) > 1 else ''}"
    end = f"valid, {number}" if lines else "fine"
    return "".join([*lines, f"the configuration is {end}\n"])


def _section(loaded: Loaded[Any], table: str, options: Iterator[Option]) -> Iterator[str]:
    if table:
        yield f"[{table}]"
    for option in options:
        value = value_of(loaded.config, option.key)
        hides = option.kind is SecretStr
        text = f"# {option.name} is not shown" if hides else f"{option.name} = {_toml(value)}"
        yield f"{text:<40}  # {loaded.origins[option.key]}"


def _toml(value: object) -> str:
    """Return a value as TOML; a JSON string in ASCII is a TOML string too."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, BaseModel):
        given = value.model_dump(exclude_defaults=True)
        return f"{{ {', '.join(f'{name} = {_toml(each)}' for name, each in given.items())} }}"
    return json.dumps(str(value or "") if value is None or isinstance(value, Path) else value)


_COLUMNS: Final = 88
"""Narrow enough for a small terminal window."""

_INDENT: Final = " " * 21


def everyday(schema: Schema[Any]) -> str:
    """Return the help of the options that most people need."""
    options = [*map(schema.by_key.__getitem__, schema.short_flags), *schema.config_option]
    rows = [
        _entry(option.flags[0] + placeholder(schema, option), option.meaning) for option in options
    ]
    return "\n".join([*rows, _entry("--help-all", "Show all options.")])


def everything(schema: Schema[Any]) -> str:
    """Return the help of all options, with their ranges and defaults."""
    return "\n".join(_paragraph(schema, option) for option in schema.options if option.flags)


def _paragraph(schema: Schema[Any], option: Option) -> str:
    names = ", ".join(f"{flag}{placeholder(schema, option)}" for flag in option.flags)
    usual = "none" if option.default in (None, "", ()) else shown(option.default)
    return "\n".join([f"  {names}", *_lines([option.meaning, f"({option.expected}; {usual})"])])


def _entry(left: str, text: str) -> str:
    lines = "\n".join(_lines([text]))
    gap = len(_INDENT) - 2
    return f"  {left:<{gap}}{lines.lstrip()}" if len(left) < gap else f"  {left}\n{lines}"


def _lines(texts: Iterable[str]) -> list[str]:
    return [
        fill(text.replace("`", ""), _COLUMNS, initial_indent=_INDENT, subsequent_indent=_INDENT)
        for text in texts
    ]


def placeholder(schema: Schema[Any], option: Option) -> str:
    """Return what stands for the value in the help, after a space; nothing for a switch."""
    if option.kind is bool:
        return ""
    return f" {schema.placeholders.get(option.key, option.name.rpartition('_')[2].upper())}"


_HEADER: Final = """\
| option | TOML | environment | command line | default | range | change | meaning |
|---|---|---|---|---|---|---|---|"""


def reference(schema: Schema[Any]) -> str:
    """Return the page about all options, as Markdown."""
    sections = groupby(schema.options, key=lambda option: option.table)
    pages = (_reference_section(schema, name, list(options)) for name, options in sections)
    return "\n".join([schema.introduction, *pages])


def _reference_section(schema: Schema[Any], name: str, options: list[Option]) -> str:
    title = f"`[{name}]`" if name else "At the top of the file"
    about = (options[0].section.__doc__ or "").strip() if name else "Before the first table."
    rows = [_reference_row(schema, option) for option in options]
    return "\n".join([f"## {title}", "", about, "", _HEADER, *rows, ""])


def _reference_row(schema: Schema[Any], option: Option) -> str:
    variables = [option.variable, *filter(None, [schema.shared_variables.get(option.key)])]
    example = '"..."' if option.kind is SecretStr else _toml(option.default)
    default = "none" if option.default in (None, "", ()) else f"`{example}`"
    if option.kind is SecretStr:
        is_given = option.default is not None and option.default.get_secret_value()
        default = "what a new backend has" if is_given else "none"
    cells = [
        f"`{option.key}`",
        f"`{option.name} = {example}`",
        _codes(variables),
        _codes(option.flags) or "never",
        default,
        _codes(option.choices) or option.expected,
        "restart" if schema.needs_restart(option.key) else "reload",
        option.meaning,
    ]
    return f"| {' | '.join(cells)} |"


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
