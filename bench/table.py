"""Tables for people and programs, with a mark at every missed target."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from bench.pictures import Picture

MISSED: Final = " (!)"
"""Mark after every figure that misses its target."""

SHOWN_NOTES: Final = 12
"""Maximum lines of notes under a table; the others are in the JSON file."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured number."""

    value: float
    form: str = ".2f"
    """Format specification."""
    unit: str = ""
    """Printed directly after the number."""
    at_most: float | None = None
    """Its target; None: no target."""
    interval: tuple[float, float] | None = None
    """The 95 % interval, printed in brackets."""

    @property
    def missed(self) -> bool:
        """Whether the figure misses its target; one that could not be measured does."""
        return self.at_most is not None and not self.value <= self.at_most

    def __str__(self) -> str:
        if math.isnan(self.value):
            return f"-{MISSED if self.missed else ''}"
        between = "" if self.interval is None else "({:.0f}-{:.0f})".format(*self.interval)
        number = f"{self.value:{self.form}}{self.unit}"
        return f"{number} {between}".rstrip() + (MISSED if self.missed else "")


Cell: TypeAlias = str | Figure

Row: TypeAlias = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Result of one measurement. Immutable."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    targets: str = ""
    """The targets in words."""
    notes: Sequence[str] = field(default_factory=list)
    """Additional information: recordings that failed, and the material."""
    picture: Picture | None = None

    @property
    def missed(self) -> int:
        """Number of figures that miss their target."""
        return sum(isinstance(cell, Figure) and cell.missed for row in self.rows for cell in row)

    def render(self) -> str:
        """Format the table for a terminal."""
        lines = [self.title, "-" * len(self.title)]
        lines += _aligned([list(self.columns), *[[str(cell) for cell in row] for row in self.rows]])
        if self.targets:
            lines.append(f"targets: {self.targets}; missed: {self.missed or 'none'}")
        lines += self.notes[:SHOWN_NOTES]
        if len(self.notes) > SHOWN_NOTES:
            lines.append(f"... and {len(self.notes) - SHOWN_NOTES} more lines in the JSON file")
        return "\n".join(lines) + "\n"

    def as_json(self) -> dict[str, object]:
        """Return the whole table, with figures as numbers."""
        return {
            "title": self.title,
            "targets": self.targets,
            "missed": self.missed,
            "notes": list(self.notes),
            "rows": [dict(zip(self.columns, map(_plain, row), strict=True)) for row in self.rows],
        }


def _plain(cell: Cell) -> str | float | None:
    if isinstance(cell, str):
        return cell
    return None if math.isnan(cell.value) else cell.value


def _aligned(rows: list[list[str]]) -> list[str]:
    """Align the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
