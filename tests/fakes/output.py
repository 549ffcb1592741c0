"""A speaker without sound: remembers what it would have played."""

import threading

import numpy as np
import numpy.typing as npt

from jarvis_ear.errors import SpeakerLost


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
        self.draining = 0
        """Samples that were written and have not been heard yet."""
        self.took = threading.Event()
        """Set with every write that took something."""
        self.starved = threading.Event()
        """Set with every write that found no room."""
        self.rests = 0
        """How often it was asked to play silence."""
        self.released = 0
        self.underran = False
        self.heard_at = 0.0
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

    def write(self, pcm: npt.NDArray[np.int16], most: int) -> int:
        assert self._is_open, "a speaker that is closed plays nothing"
        if self.loss is not None:
            raise self.loss
        count = max(0, min(len(pcm), most - self.waiting))
        count = count if self._room is None else min(count, self._room)
        if count == 0:
            self.starved.set()
            return 0
        if self._room is not None:
            self._room -= count
        self._pieces.append(pcm[:count].copy())
        self.took.set()
        return count

    def rest(self, most: int) -> int:
        assert self._is_open, "a speaker that is closed plays nothing"
        if self.loss is not None:
            raise self.loss
        self.rests += 1
        return min(0, most)  # it has played, and plays silence without being told

    def release(self) -> None:
        assert not self._is_open
        self.released += 1

    @property
    def waiting(self) -> int:
        return self.draining

    def close(self) -> None:
        self.closed += self._is_open
        self._is_open = False
        self.draining = 0
