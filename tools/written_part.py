"""Return the hand-written part of a page: everything before the mark of the generated part."""

import re
from typing import Final

MARK: Final = "<!-- From here to the end: written by `make docs` from {source}; do not edit. -->"
"""Begins the generated part. Older marks with other words are recognised by their beginning."""

_BEGIN: Final = re.compile(r"^<!-- From here .*$", re.MULTILINE)


def by_hand(page: str) -> str:
    """Return the text before the generated part, or the whole page if it has none yet."""
    begin = _BEGIN.search(page)
    return page[: begin.start()] if begin else page
