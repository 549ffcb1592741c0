"""Write the generated part of docs/journal.md: the fields of a record, and the kinds of events."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from written_part import MARK, by_hand

from jarvis_ear.journal.catalog import KINDS
from jarvis_ear.journal.kind import OF_EVENTS, OF_EVERY_RECORD, OF_TURNS, Field

BEGIN = MARK.format(source="jarvis_ear/journal")


def _fields(fields: Mapping[str, Field]) -> Iterator[str]:
    yield "| field | meaning | unit |"
    yield "|---|---|---|"
    for name, field in fields.items():
        yield f"| `{name}` | {field.meaning} | {field.unit} |"


def _kinds() -> Iterator[str]:
    yield "| EVENT | OUTCOME | MESSAGE_ID | what happened |"
    yield "|---|---|---|---|"
    for kind in KINDS:
        yield f"| `{kind.event}` | {kind.outcome} | `{kind.message_id}` | {kind.subject} |"


def generated() -> str:
    """Return the generated part."""
    parts = [
        BEGIN,
        "## Fields of every record\n\n" + "\n".join(_fields(OF_EVERY_RECORD)),
        "## Fields of events\n\n" + "\n".join(_fields(OF_EVENTS)),
        "## Fields of turns\n\n"
        "Latencies count from the end of speech. A stage that was not reached has no field.\n\n"
        + "\n".join(_fields(OF_TURNS)),
        "## Kinds of events\n\n" + "\n".join(_kinds()),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    page = Path(sys.argv[1]).read_text()
    sys.stdout.write(by_hand(page) + generated())
