"""Pictures of measurements, drawn by matplotlib and written as PNG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS_PER_INCH: Final = 110

COLOURS: Final = 10
"""Colours of the lines; further lines are dashed."""

LEAST_SHARE: Final = 0.5
"""Per cent at which a share of zero is drawn: the axis is logarithmic."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What one threshold does in one room."""

    threshold: float
    accepts_per_hour: float
    """False accepts per hour; at least that of half an event, because the axis is logarithmic."""
    missed_percent: float


@dataclass(frozen=True, slots=True)
class DetPicture:
    """Detection error trade-off: missed words against false accepts, a curve for each room."""

    file: str
    title: str
    curves: Mapping[str, Sequence[OperatingPoint]]

    def draw(self, folder: Path) -> Path:
        """Write the picture into ``folder``; return its path."""
        from matplotlib.figure import Figure  # noqa: PLC0415 - only for pictures: it takes a second
        from matplotlib.ticker import ScalarFormatter  # noqa: PLC0415

        figure = Figure(figsize=(9, 5.5), dpi=PIXELS_PER_INCH, layout="constrained")
        axes = figure.subplots()
        for number, (room, points) in enumerate(self.curves.items()):
            accepts = [point.accepts_per_hour for point in points]
            missed = [max(point.missed_percent, LEAST_SHARE) for point in points]
            line, marker = ("-", "o") if number < COLOURS else ("--", "x")
            colour = f"C{number % COLOURS}"
            axes.plot(accepts, missed, line, color=colour, marker=marker, label=room)
        axes.set(xscale="log", yscale="log", title=self.title)
        axes.set(
            xlabel="false accepts per hour", ylabel=f"wake words missed, % (none: {LEAST_SHARE})"
        )
        axes.set_ylim(LEAST_SHARE * 0.9, 100)
        axes.xaxis.set_minor_formatter(ScalarFormatter())
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(ScalarFormatter())
        axes.grid(visible=True, which="both", alpha=0.25)
        figure.legend(loc="outside right upper", frameon=False)
        return _write(figure, folder / self.file)


@dataclass(frozen=True, slots=True)
class DelayPicture:
    """Distribution of a delay in each room: median, quartiles, 5 and 95 %, and what is beyond."""

    file: str
    title: str
    delays_s: Mapping[str, Sequence[float]]

    def draw(self, folder: Path) -> Path:
        """Write the picture into ``folder``; return its path."""
        from matplotlib.figure import Figure  # noqa: PLC0415 - only for pictures: it takes a second

        rooms = [room for room, delays in self.delays_s.items() if delays][::-1]
        height = 1.5 + 0.3 * len(rooms)
        figure = Figure(figsize=(9, height), dpi=PIXELS_PER_INCH, layout="constrained")
        axes = figure.subplots()
        labels = [f"{room} ({len(self.delays_s[room])})" for room in rooms]
        axes.boxplot(
            [list(self.delays_s[room]) for room in rooms],
            orientation="horizontal",
            whis=(5, 95),
            tick_labels=labels,
            flierprops={"marker": ".", "markersize": 4},
        )
        axes.set(title=self.title, xlabel="seconds from the last word to the end of the utterance")
        axes.set_xlim(left=0)
        axes.grid(visible=True, axis="x", alpha=0.25)
        return _write(figure, folder / self.file)


Picture: TypeAlias = DetPicture | DelayPicture


def _write(figure: "Figure", path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
    return path
