"""A microphone that can be switched, without any microphone."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class FakeSwitch:
    """Does what it is told unless it is ``stubborn``. Any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.by: tuple[str, ...] = ()
        self.stubborn = False
        self.orders: list[bool] = []
        self.requests: list[str] = []
        self.claims: list[Mapping[str, Any]] = []

    def turn(self, *, enabled: bool) -> bool:
        with self._changed:
            self.orders.append(enabled)
            if not self.stubborn:
                self.by = () if enabled else ("bus",)
            self._changed.notify_all()
            return enabled == (not self.by)

    def tell(self, listener: Callable[[Sequence[str]], None]) -> None:
        with self._changed:
            listener(self.by)

    def request(self, kind: str) -> None:
        with self._changed:
            self.requests.append(kind)
            self._changed.notify_all()

    def claim(self, data: Mapping[str, Any]) -> None:
        with self._changed:
            self.claims.append(data)
            self._changed.notify_all()

    def wait_for_orders(self, number: int, within_s: float = 10.0) -> None:
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.orders) >= number, within_s)
            assert came, f"only {self.orders} within {within_s} s"
