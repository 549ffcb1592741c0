"""List every module of jarvis_ear with its first sentence and its public classes.

Writes the given page to standard output, with the part between the two marks replaced.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SRC = Path(__file__).parents[1] / "jarvis-ear" / "src"
PACKAGE = "jarvis_ear"
BEGIN = "<!-- code: begin, written by `make docs` -->"
END = "<!-- code: end -->"
MARKER_LINES = 5
"""An ``__init__`` that is not longer only marks a package."""


def rows() -> Iterator[str]:
    """Yield one row of the table for each module."""
    for path in sorted((SRC / PACKAGE).rglob("*.py")):
        text = path.read_text()
        if path.name == "__init__.py" and len(text.splitlines()) <= MARKER_LINES:
            continue
        tree = ast.parse(text)
        names = [
            f"`{node.name}`"
            for node in tree.body
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        ]
        name = path.relative_to(SRC / PACKAGE).with_suffix("")
        yield f"| `{name}` | {first_sentence(tree)} | {', '.join(names)} |"


def first_sentence(tree: ast.Module) -> str:
    """Return the first paragraph of the docstring of a module, on one line."""
    paragraph = (ast.get_docstring(tree) or "").split("\n\n")[0]
    return re.sub(r"\s+", " ", paragraph).replace("``", "`").replace("|", "\\|")


def main(page: Path) -> None:
    """Print the page with the list."""
    before, _, rest = page.read_text().partition(BEGIN)
    table = ["| module | what it is | public classes |", "|---|---|---|", *rows()]
    sys.stdout.write("\n".join([before + BEGIN, *table, END]) + rest.partition(END)[2])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
