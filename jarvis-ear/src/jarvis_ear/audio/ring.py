"""Ring: the newest frames, for whoever wants to know what was said before something happened."""

from collections import deque

from jarvis_ear.audio.frame import Frame
from jarvis_ear.units import Samples


class Ring:
    """Keeps the last ``capacity`` frames. Owned by the thread that hears.

    Bound: ``capacity`` frames; when full, the oldest goes (that is its purpose, and not counted).
    """

    def __init__(self, capacity: int) -> None:
        self._frames: deque[Frame] = deque(maxlen=capacity)

    def push(self, frame: Frame) -> None:
        """Remember ``frame`` as the newest."""
        self._frames.append(frame)

    def get(self) -> list[Frame]:
        """Return everything that is remembered, oldest first."""
        return list(self._frames)

    def since(self, position: Samples) -> list[Frame]:
        """Return the frames that hold sound from ``position`` on, oldest first."""
        return [frame for frame in self._frames if frame.end > position]

    def clear(self) -> None:
        """Forget everything: what comes next has nothing to do with it."""
        self._frames.clear()
