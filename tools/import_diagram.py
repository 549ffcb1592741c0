"""Draw the packages of jarvis_ear by floors, from their imports.

Writes the given page to standard output, with the part between the two marks replaced.
"""

import ast
import sys
from collections import defaultdict
from pathlib import Path

SRC = Path(__file__).parents[1] / "jarvis-ear" / "src"
PACKAGE = "jarvis_ear"
BEGIN = "<!-- imports: begin, written by `make docs` -->"
END = "<!-- imports: end -->"


def place_of(module: str) -> str:
    """Return the package or top-level module that a dotted name belongs to."""
    return module.split(".")[1] if "." in module else ""


def imports() -> dict[str, set[str]]:
    """Return the places that each place imports at load time."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((SRC / PACKAGE).rglob("*.py")):
        here = place_of(".".join(path.relative_to(SRC).with_suffix("").parts))
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                found[here] |= {place_of(name) for name in names if is_place(place_of(name))}
        found[here] -= {here}
    found.pop("__init__", None)
    return found


def is_place(name: str) -> bool:
    """Whether this is the name of a module or package directly below jarvis_ear."""
    return (SRC / PACKAGE / name).is_dir() or (SRC / PACKAGE / f"{name}.py").is_file()


def floors(graph: dict[str, set[str]]) -> list[list[str]]:
    """Sort places into floors, top floor first; each imports only from lower floors."""
    level: dict[str, int] = {}

    def floor_of(place: str) -> int:
        if place not in level:
            level[place] = 1 + max((floor_of(each) for each in graph[place]), default=-1)
        return level[place]

    for place in graph:
        floor_of(place)
    top = max(level.values())
    return [sorted(p for p in level if level[p] == height) for height in range(top, -1, -1)]


def drawn() -> str:
    """Return the floors as a text diagram."""
    rows = floors(imports())
    width = len(str(len(rows)))
    lines = [
        f"{len(rows) - 1 - at:>{width}}  {'  '.join(places)}" for at, places in enumerate(rows)
    ]
    return "\n".join(["```text", *lines, "```"])


def main(page: Path) -> None:
    """Write the page with a new diagram to standard output."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    sys.stdout.write(f"{before}{BEGIN}\n{drawn()}\n{END}{after}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
