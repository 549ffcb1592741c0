"""A speaker without sound: remembers what it would have played."""

import threading
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_ear.errors import SpeakerLost

WAIT_S: Final = 0.002
"""A write that finds no room waits so long, like a real one's, but shorter."""


class FakeOutput:
    """Takes sound as the test lets it. The test reads its attributes from another thread."""

    refusal: SpeakerLost | None = None
    """Raised by ``open``."""
    missing = ""
    """What ``check`` says."""
    loss: SpeakerLost | None = None
    """Raised by ``write``."""

    def __init__(self, rate: int = 16_000, *, room: int | None = None) -> None:
        self.rate = rate
        self.opened = 0
        self.closed = 0
        """How often it was closed while it was open."""
        self.draining = False
        """Whether what was written has not been heard yet."""
        self.took = threading.Event()
        """Set with every write that took something."""
        self.starved = threading.Event()
        """Set with every write that found no room."""
        self._room = room
        self._pieces: list[npt.NDArray[np.int16]] = []
        self._is_open = False

    @property
    def played(self) -> npt.NDArray[np.int16]:
        return np.concatenate([np.empty(0, np.int16), *self._pieces])

    def make_room(self, samples: int | None) -> None:
        """Take so many samples more; None: any number."""
        self._room = samples

    def check(self) -> str:
        return self.missing

    def open(self) -> int:
        assert not self._is_open, "a speaker is opened once at a time"
        if self.refusal is not None:
            raise self.refusal
        self.opened += 1
        self._is_open = True
        return self.rate

    def write(self, pcm: npt.NDArray[np.int16]) -> int:
        assert self._is_open, "a speaker that is closed plays nothing"
        if self.loss is not None:
            raise self.loss
        count = len(pcm) if self._room is None else min(len(pcm), self._room)
        if count == 0:
            self.starved.set()
            threading.Event().wait(WAIT_S)
            return 0
        if self._room is not None:
            self._room -= count
        self._pieces.append(pcm[:count].copy())
        self.took.set()
        return count

    def pending(self) -> bool:
        return self.draining

    def close(self) -> None:
        self.closed += self._is_open
        self._is_open = False
        self.draining = False
