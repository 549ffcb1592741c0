"""Print docs/backend.md with its generated part: every option of the backend."""

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from written_part import MARK, by_hand

from jarvis_backend.config import SCHEMA
from jarvis_ear.options.option import Option, shown

TITLES: Final = {
    "": "The server",
    "stt": "Speech-to-text",
    "brain": "Answers",
    "tts": "Text-to-speech",
    "limits": "Limits",
    "log": "Log",
}
"""Headings of the sections of options."""


def _rows(options: Iterator[Option]) -> Iterator[str]:
    yield "| option | environment | default | range | meaning |"
    yield "|---|---|---|---|---|"
    for option in options:
        name = f"`{option.flags[0]}`" if option.flags else "(environment only)"
        is_empty = option.default in (None, "", ()) or not option.flags
        default = "" if is_empty else f"`{shown(option.default)}`"
        cells = (name, f"`{option.variable}`", default, option.expected, option.meaning)
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def generated() -> str:
    """Return the generated part."""
    parts = [MARK.format(source="jarvis_backend/config.py"), "## Every option"]
    for table, options in groupby(SCHEMA.options, key=lambda option: option.table):
        parts.append(f"### {TITLES[table]}\n\n" + "\n".join(_rows(options)))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(by_hand(Path(sys.argv[1]).read_text()) + generated())
