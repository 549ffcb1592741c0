"""Scenarios that mostly wait, several at a time; each has a test that takes its outcome."""

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, Generic, Self, TypeVar

Case = TypeVar("Case", bound=Hashable)
Outcome = TypeVar("Outcome")

AT_ONCE: Final = 3
"""On two cores, each start of an ear (a second of loading) still gets most of one."""

DEADLINE_S: Final = 180.0
"""For all of them, on a machine with other work."""


class SideBySide(Generic[Case, Outcome]):
    """Runs scenarios inside a ``with``, each in a thread and a folder of its own.

    ``outcome`` waits for one of them, and raises what it raised.
    """

    def __init__(self, folder: Path, scenarios: Mapping[Case, Callable[[Path], Outcome]]) -> None:
        self._folder = folder
        self._scenarios = scenarios
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._outcomes: dict[Case, Future[Outcome]] = {}

    def __enter__(self) -> Self:
        for number, (case, scenario) in enumerate(self._scenarios.items()):
            folder = self._folder / str(number)
            folder.mkdir()
            self._outcomes[case] = self._pool.submit(scenario, folder)
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def outcome(self, case: Case) -> Outcome:
        return self._outcomes[case].result(DEADLINE_S)
