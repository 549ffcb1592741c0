"""What the network and the backend do to an ear in the course of a day."""

import queue
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final, Self

from fakes.proxy import Proxy
from fakes.voice_server import VoiceServer

MOMENT_S: Final = 0.3
"""How long a fault lasts, in real time: the network knows no other."""


class Weather:
    """Does what is due at each position of the sound, in a thread of its own.

    ``reach`` may be called by any thread and never waits.
    """

    def __init__(self, server: VoiceServer, proxy: Proxy, seed: int, due: list[int]) -> None:
        self._kinds: dict[str, tuple[Callable[[], object], Callable[[], object] | None]] = {
            "reset": (proxy.reset, None),
            "refuse": (proxy.refuse, proxy.accept),
            "kill": (server.kill, server.start),
            "stop": (server.pause, server.resume),
        }
        self._random = random.Random(seed)  # noqa: S311 - nothing here is a secret
        self._due = sorted(due, reverse=True)
        self._orders: queue.Queue[str | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="weather")
        self.faults: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._orders.put(None)
        self._thread.join()

    def reach(self, position: int) -> None:
        """Say how far the day has come."""
        while self._due and position >= self._due[-1]:
            self._due.pop()
            self._orders.put(self._random.choice(list(self._kinds)))

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            self.faults[order] += 1
            begin, end = self._kinds[order]
            begin()
            if end is not None:
                threading.Event().wait(MOMENT_S)
                end()
