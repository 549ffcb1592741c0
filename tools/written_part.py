"""What of a page a person wrote: all before the mark of what `make docs` writes."""

import re
from typing import Final

MARK: Final = "<!-- From here to the end: written by `make docs` from {source}; do not edit. -->"
"""Begins the generated part. The words may change: what is older is recognised by its beginning."""

_BEGIN: Final = re.compile(r"^<!-- From here .*$", re.MULTILINE)


def by_hand(page: str) -> str:
    """Return what stands before the generated part, or the whole page if it has none yet."""
    begin = _BEGIN.search(page)
    return page[: begin.start()] if begin else page
