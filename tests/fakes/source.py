"""A source of sound that the test works from another thread."""

import queue
import threading
from typing import Final

from jarvis_ear.audio.frames import Block
from jarvis_ear.devices.sound_library import LIVE, Quiet

WAIT_S: Final = 0.02
"""Seconds that a read waits: less than in a real source."""


class FakeSource:
    """Reads what the test gives: blocks come out, exceptions are raised."""

    def __init__(self, *, live: bool = True, name: str = "fake microphone") -> None:
        self.live = live
        self.name = name
        self.silence = ""
        """Why it is no sound of a room."""
        self.opened = 0
        self.closed = 0
        self.refusals: queue.Queue[Exception] = queue.Queue()
        """Raised by ``open``, one by one, as long as there are any."""
        self.close_error: Exception | None = None
        self.interrupted = 0
        """How often a read was asked to return."""
        self.quiet = LIVE
        self.live_reasons: set[str] = set()
        self.hang: threading.Event | None = None
        """``read`` waits for it, like a driver that hangs."""
        self._sound: queue.Queue[Block | Exception] = queue.Queue()

    def give(self, *sound: Block | Exception) -> None:
        for one in sound:
            self._sound.put(one)

    def open(self) -> None:
        self.opened += 1
        if not self.refusals.empty():
            raise self.refusals.get()

    def read(self) -> Block | None:
        if self.hang is not None:
            self.hang.wait()
        try:
            one = self._sound.get(timeout=WAIT_S)
        except queue.Empty:
            return None
        if isinstance(one, Exception):
            raise one
        return one

    def hold_quiet(self, quiet: Quiet) -> None:
        self.quiet = quiet

    def keep_live(self, reason: str, *, wanted: bool) -> None:
        (self.live_reasons.add if wanted else self.live_reasons.discard)(reason)

    def interrupt(self) -> None:
        self.interrupted += 1

    def close(self) -> None:
        self.closed += 1
        if self.close_error is not None:
            raise self.close_error
