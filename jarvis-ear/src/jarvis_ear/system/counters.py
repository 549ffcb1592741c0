"""Counters: what was lost, refused or left out anywhere in the ear, for whoever asks."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeAlias

Part: TypeAlias = Callable[[], Mapping[str, int]]
"""Tells the counters of one part by name. Any thread calls it; it must not wait."""


class Counters:
    """Reads the counters of many parts. Made and filled by the main thread; any thread may read."""

    def __init__(self) -> None:
        self._parts: tuple[Part, ...] = ()

    def add(self, part: Part) -> None:
        """Read this part, too. What has the same name in another part is added to it."""
        self._parts = (*self._parts, part)

    def read(self) -> dict[str, int]:
        """Return every counter by name, also those that are zero."""
        counted: Counter[str] = Counter()
        for part in self._parts:
            counted.update(part())
        return dict(counted)
