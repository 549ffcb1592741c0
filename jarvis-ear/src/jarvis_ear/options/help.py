"""Help: the options of the command line, for whoever types them."""

from collections.abc import Iterable
from textwrap import fill
from typing import Final

from pydantic import SecretStr

from jarvis_ear.config import CONFIG_FILE
from jarvis_ear.options.option import BY_KEY, OPTIONS, SHORT_FLAGS, Option
from jarvis_ear.options.words import shown

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
