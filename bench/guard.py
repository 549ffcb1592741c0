"""`python -m bench.guard`: fail if the ear costs much more than before, beside other programs.

Compares ratios, which hardly depend on the machine, with those in ``guard.json``; ``--write``
stores the new ones there instead. In a quiet room the processor only wakes up for the sound card,
which arecord does too; openwakeword computes, and the two costs differ from machine to machine.
"""

import json
import sys
from pathlib import Path
from typing import Final

from bench.material import own_collection
from bench.quiet import EAR, REFERENCE, company, quiet
from bench.rivals import arecord
from bench.scale import QUICK
from bench.table import Figure, Table

COMMITTED: Final = Path(__file__).with_suffix(".json")

TOLERANCE: Final = 1.25
"""A ratio beyond this multiple of the committed one fails."""

CPU, RSS = 2, 4
"""Columns of the table of programs: CPU s/h and MiB."""

QUIET: Final = {"quiet CPU": (CPU, arecord.__name__), "quiet RSS": (RSS, REFERENCE)}
COMPANY: Final = {"company CPU": (CPU, REFERENCE), "company RSS": (RSS, REFERENCE)}
"""What is compared in each room, and the program beside which it is."""


def main(*, write: bool) -> int:
    """Measure, and compare or store; return the exit status."""
    collection = own_collection()
    found: dict[str, float] = {}
    for measure, compared in ((quiet, QUIET), (company, COMPANY)):
        programs = measure(QUICK, collection)[0]
        if not programs.rows:
            _say(programs.render())
            return 0
        found |= {
            name: ratio for name, each in compared.items() if (ratio := _ratio(programs, *each))
        }
    if write:
        COMMITTED.write_text(json.dumps(found, indent=1) + "\n")
    committed: dict[str, float] = json.loads(COMMITTED.read_text())
    worse = [name for name, ratio in found.items() if ratio > TOLERANCE * committed[name]]
    for name, (_, beside) in (QUIET | COMPANY).items():
        mark = "  too much" if name in worse else ""
        now = f"{found[name]:.1f} %" if name in found else "not measured as a share"
        _say(f"{name}: {now} of {beside}, committed {committed[name]:.1f} %{mark}")
    return 1 if worse else 0


def _ratio(programs: Table, column: int, beside: str) -> float | None:
    """Return the ear's figure in per cent of another program's; None: that is not installed."""
    cells = {str(row[0]): row[column] for row in programs.rows}
    ear, other = cells[EAR], cells.get(beside)
    if other is None:
        return None
    assert isinstance(ear, Figure)  # noqa: S101 - the bench made both
    assert isinstance(other, Figure)  # noqa: S101
    return round(100 * ear.value / other.value, 2)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(write=sys.argv[1:] == ["--write"]))
