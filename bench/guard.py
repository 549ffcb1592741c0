"""`python -m bench.guard`: fail if the ear costs much more than before, beside openwakeword.

Compares ratios, which hardly depend on the machine, with those in ``guard.json``; ``--write``
stores the new ones there instead.
"""

import json
import sys
from pathlib import Path
from typing import Final

from bench.material import own_collection
from bench.quiet import EAR, company, quiet
from bench.scale import QUICK
from bench.table import Figure, Table

COMMITTED: Final = Path(__file__).with_suffix(".json")

TOLERANCE: Final = 1.25
"""A ratio beyond this multiple of the committed one fails."""

COLUMNS: Final = {"CPU": 1, "RSS": 5}
"""Columns of the table of programs with shares of openwakeword."""


def main(*, write: bool) -> int:
    """Measure, and compare or store; return the exit status."""
    collection = own_collection()
    found: dict[str, float] = {}
    for room, measure in (("quiet", quiet), ("company", company)):
        programs = measure(QUICK, collection)[0]
        if not programs.rows:
            _say(programs.render())
            return 0
        found |= {f"{room} {name}": _share(programs, at) for name, at in COLUMNS.items()}
    if write:
        COMMITTED.write_text(json.dumps(found, indent=1) + "\n")
    committed: dict[str, float] = json.loads(COMMITTED.read_text())
    worse = [name for name, share in found.items() if share > TOLERANCE * committed[name]]
    for name, share in found.items():
        mark = "  too much" if name in worse else ""
        _say(f"{name}: {share:.1f} % of openwakeword, committed {committed[name]:.1f} %{mark}")
    return 1 if worse else 0


def _share(programs: Table, column: int) -> float:
    (cell,) = (row[column] for row in programs.rows if row[0] == EAR)
    assert isinstance(cell, Figure)  # noqa: S101 - the bench made it
    return round(cell.value, 2)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(write=sys.argv[1:] == ["--write"]))
