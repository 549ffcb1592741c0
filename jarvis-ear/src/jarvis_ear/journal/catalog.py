"""Catalog: what ``journalctl -x`` shows for our records, see systemd's journal catalogs."""

import textwrap
from collections.abc import Iterator
from typing import Final

from jarvis_ear.journal import life, sound, turns
from jarvis_ear.journal.kind import Kind, Remedy

KINDS: Final[tuple[Kind, ...]] = (*turns.ENDINGS, *sound.KINDS, *turns.KINDS, *life.KINDS)
"""Every kind of event."""

DOCUMENTATION: Final = "file:///usr/share/doc/jarvis-ear/journal.md"

WIDTH: Final = 76
"""Columns that remain of 80 after the prefix that journalctl puts before each line."""


def catalog() -> str:
    """Format the file that ``journalctl --update-catalog`` reads."""
    head = "# What `journalctl -x -u jarvis-ear` explains. Written by `make docs`; do not edit.\n"
    return "\n".join([head, *(f"{_entry(kind)}\n" for kind in KINDS)])


def _entry(kind: Kind) -> str:
    return "\n".join(_lines(kind))


def _lines(kind: Kind) -> Iterator[str]:
    yield f"-- {kind.message_id}"
    yield f"Subject: {kind.subject}"
    yield "Defined-By: jarvis-ear"
    yield f"Documentation: {DOCUMENTATION}"
    yield ""
    for paragraph in kind.causes.split("\n\n"):
        yield from _wrapped(paragraph)
        yield ""
    if kind.remedies:
        yield "What to do:"
    for remedy in kind.remedies:
        yield from _wrapped_remedy(remedy)


def _wrapped_remedy(remedy: Remedy) -> Iterator[str]:
    end = ":" if remedy.command else "."
    yield from _wrapped(f"- {remedy.words}{end}", indent="  ")
    if remedy.command:
        yield f"      {remedy.command}"


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
