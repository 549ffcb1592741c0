"""Tables that a person reads and a program can read too, with a mark at every missed target."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

MISSED: Final = " (!)"
"""Behind every figure that is not within its target."""

SHOWN_NOTES: Final = 12
"""Lines under a table; the others are in the JSON file."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured number."""

    value: float
    form: str = ".2f"
    """How it is printed: a format specification."""
    unit: str = ""
    """Printed directly behind it."""
    at_most: float | None = None
    """Its target; None: it is for information."""

    @property
    def missed(self) -> bool:
        """Whether it is beyond its target; a figure that could not be measured is."""
        return self.at_most is not None and not self.value <= self.at_most

    def __str__(self) -> str:
        if math.isnan(self.value):
            return f"-{MISSED if self.missed else ''}"
        return f"{self.value:{self.form}}{self.unit}{MISSED if self.missed else ''}"


Cell: TypeAlias = str | Figure

Row: TypeAlias = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """What one measurement found. Made by it, and not changed afterwards."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    targets: str = ""
    """The targets in words."""
    notes: Sequence[str] = field(default_factory=list)
    """What a figure does not say: which recordings failed, what the material was."""

    @property
    def missed(self) -> int:
        """How many figures are beyond their target."""
        return sum(isinstance(cell, Figure) and cell.missed for row in self.rows for cell in row)

    def render(self) -> str:
        """Lay it out for a terminal."""
        lines = [self.title, "-" * len(self.title)]
        lines += _aligned([list(self.columns), *[[str(cell) for cell in row] for row in self.rows]])
        if self.targets:
            lines.append(f"targets: {self.targets}; missed: {self.missed or 'none'}")
        lines += self.notes[:SHOWN_NOTES]
        if len(self.notes) > SHOWN_NOTES:
            lines.append(f"... and {len(self.notes) - SHOWN_NOTES} more lines in the JSON file")
        return "\n".join(lines) + "\n"

    def as_json(self) -> dict[str, object]:
        """Everything in it, figures as numbers."""
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
    """First column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
