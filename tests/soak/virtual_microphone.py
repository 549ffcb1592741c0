"""A microphone whose clock is the sound: it goes on as soon as what it gave was heard."""

import threading
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from jarvis_ear.audio.frames import Block
from jarvis_ear.devices.sources import EndOfSound, Patient
from jarvis_ear.errors import MicrophoneUnavailable
from soak.material import RATE, Home, Sound

BLOCK: Final = RATE // 10
"""100 ms: more than a card would give at once, to spend the time on hearing."""

AHEAD: Final = RATE
"""1 s, half of what the inbox holds: nothing may be dropped because the clock runs fast."""

AWAY_S: Final = (0.5, 120)
"""How long the device is gone, in seconds of the day."""

WAIT_S: Final = 0.001


class VirtualMicrophone(Patient):
    """A live ``Source`` that plays a day, and is lost ``faults`` times in it.

    Owned by the capture thread. Half of the losses come at any time, half in the middle of a
    sentence; a third of them refuse to be opened at first.
    """

    live = True
    name = "virtual microphone"

    def __init__(self, home: Home, seed: int, *, faults: int, sentences: int, samples: int) -> None:
        self._home = home
        self._random = np.random.default_rng(seed + 1)
        self._blocks = self._cut(home.stretches())
        self._due = sorted(int(one) for one in self._random.uniform(0, samples, faults // 2))
        struck = self._random.choice(sentences, faults - faults // 2, replace=False)
        self._cuts = {int(number): self._random.uniform(0.1, 1) for number in struck}
        self._refusals = 0
        self._shift = 0
        self._given = 0
        self.now: Callable[[], int] = lambda: 0
        """Position up to which the ear has heard; to be set before anything is read."""
        self.on_position: Callable[[int], None] = lambda _position: None
        """Told of every block."""
        self.position = 0
        """Samples of the day so far, the outages not counted."""
        self.lost = 0

    def open(self) -> None:
        """Open, or refuse once or twice after some of the losses."""
        if self._refusals:
            self._refusals -= 1
            raise MicrophoneUnavailable("virtual microphone: not there")

    def read(self) -> Block | None:
        """Return the next block when the ear has caught up, or fail."""
        if self._given - self.now() > AHEAD:
            threading.Event().wait(WAIT_S)
            return None
        self.on_position(self.position)
        if self._fails():
            self._shift += int(self._random.uniform(*AWAY_S) * RATE)
            self._refusals = int(self._random.integers(3)) if self._random.random() < 1 / 3 else 0
            self.lost += 1
            raise MicrophoneUnavailable("virtual microphone: no such device")
        sound = next(self._blocks, None)
        if sound is None:
            raise EndOfSound
        block = Block(self.position + self._shift, sound.tobytes())
        self.position += len(sound)
        self._given = block.end
        return block

    def close(self) -> None:
        """Nothing is held."""

    def _fails(self) -> bool:
        if self._due and self.position >= self._due[0]:
            self._due.pop(0)
            return True
        number = len(self._home.said) - 1
        if number not in self._cuts:
            return False
        begin, end = self._home.said[number]
        return self.position >= begin + self._cuts[number] * (end - begin) and bool(
            self._cuts.pop(number)
        )

    def _cut(self, stretches: Iterator[Sound]) -> Iterator[Sound]:
        for stretch in stretches:
            for at in range(0, len(stretch), BLOCK):
                yield stretch[at : at + BLOCK]
