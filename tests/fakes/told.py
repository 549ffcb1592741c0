"""What a BackendClient told, for tests to wait for."""

import threading
from collections.abc import Callable
from typing import TypeVar

from jarvis_ear.delivery.events import DeliveryEvent, Finished

T = TypeVar("T")


class Told:
    """An ``on_event`` that remembers. Called on the network thread, asked by the test."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.events: list[DeliveryEvent] = []
        self.threads: set[str] = set()
        """Names of the threads that it was told on."""

    def __call__(self, event: DeliveryEvent) -> None:
        with self._changed:
            self.events.append(event)
            self.threads.add(threading.current_thread().name)
            self._changed.notify_all()

    def all(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]

    def wait(
        self,
        kind: type[T],
        *,
        number: int = 1,
        that: Callable[[T], bool] = lambda _: True,
        within_s: float = 10.0,
    ) -> T:
        """Wait for the ``number``-th event of one kind, or fail."""

        def found() -> list[T]:
            return [event for event in self.all(kind) if that(event)]

        with self._changed:
            came = self._changed.wait_for(lambda: len(found()) >= number, within_s)
            assert came, f"no {kind.__name__} within {within_s} s, only {self.events}"
            return found()[number - 1]

    def end_of(self, turn_id: str, within_s: float = 10.0) -> Finished:
        return self.wait(Finished, that=lambda end: end.turn_id == turn_id, within_s=within_s)
