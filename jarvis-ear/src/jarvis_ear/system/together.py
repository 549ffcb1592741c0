"""Together: parts of the program that stop at the same time."""

import logging
import threading
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

Part = TypeVar("Part")

_LOGGER = logging.getLogger(__name__)


class Timed(Generic[Part]):
    """A part that says at DEBUG how long it took to stop. Owned by whoever starts and stops it."""

    def __init__(self, name: str, part: AbstractContextManager[Part]) -> None:
        self.name = name
        """For the log, and for the thread that stops it."""
        self._part = part

    def __enter__(self) -> Part:
        return self._part.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        began = time.monotonic()
        try:
            self._part.__exit__(kind, error, trace)
        finally:
            _LOGGER.debug("%s stopped in %.0f ms", self.name, 1000 * (time.monotonic() - began))


class Together:
    """Parts that do not need one another to stop: that takes as long as the slowest of them.

    Owned by the main thread; each part is stopped in a thread of its own. What a part raises is
    raised when all of them are over; the first part counts.
    """

    def __init__(self) -> None:
        self._parts: list[Timed[Any]] = []
        self._errors: list[BaseException] = []

    def add(self, name: str, part: AbstractContextManager[Part]) -> Part:
        """Start a part, after those that are here already."""
        timed = Timed(name, part)
        started = timed.__enter__()
        self._parts.append(timed)
        return started

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        threads = [
            threading.Thread(
                target=self._stop, args=(part, kind, error, trace), name=f"stop {part.name}"
            )
            for part in self._parts
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _stop(
        self,
        part: Timed[Any],
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            part.__exit__(kind, error, trace)
        except BaseException as trouble:  # noqa: BLE001 - a bug: handed to the main thread
            self._errors.append(trouble)
