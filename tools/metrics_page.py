"""Write the table of all metrics into a page, from what the ear exposes.

Writes the given page to standard output, with the part between the two marks replaced.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from jarvis_ear.config import Config
from jarvis_ear.control.report_text import COUNTED
from jarvis_ear.health.liveness import Beat
from jarvis_ear.metrics.exposition import Sources, exposition
from jarvis_ear.turn_trace.turn_counts import TurnCounts

BEGIN = "<!-- metrics: begin, written by `make docs` -->"
END = "<!-- metrics: end -->"

REPORT = {
    "state": "idle",
    "hearing": True,
    "muted_by": [],
    "connected": True,
    "level_dbfs": -50.0,
    "noise_floor_dbfs": -60.0,
    "volume_percent": 100,
    "uptime_s": 1,
    "deaf_s_today": 0.0,
    "counters": dict.fromkeys(COUNTED, 0),
    "version": "1",
}
"""What the metrics need of a health report."""


def rows() -> Iterator[str]:
    """Yield one row for each metric, with its labels and their values."""
    counts = TurnCounts()
    counts.change(Config())
    text = exposition(Sources(lambda: REPORT, counts.read, int, int, Beat([])))
    for family in text_string_to_metric_families(text):
        end = "_total" if family.type == "counter" else ""
        labels: dict[str, dict[str, None]] = {}
        for sample in family.samples:
            for label, value in sample.labels.items():
                labels.setdefault(label, {})[f"`{value}`"] = None
        labels.pop("le", None)
        shown = "; ".join(f"`{label}`: {', '.join(values)}" for label, values in labels.items())
        shown = "`version`" if family.name.endswith("_info") else shown
        yield f"| `{family.name}{end}` | {family.type} | {shown} | {family.documentation} |"


def main(page: Path) -> None:
    """Print the page with the table."""
    before, _, rest = page.read_text().partition(BEGIN)
    table = ["| name | type | labels | meaning |", "|---|---|---|---|", *rows()]
    sys.stdout.write("\n".join([before + BEGIN, *table, END]) + rest.partition(END)[2])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
