"""Inbox: the one lock that the capture thread, the ear thread and the main thread share."""

import threading
from collections import deque
from collections.abc import Mapping
from typing import Final

from jarvis_ear.audio.frames import Block
from jarvis_ear.hearing.events import Event
from jarvis_ear.units import FRAME_SAMPLES

MAX_EVENTS: Final = 1_000
"""Events come at a few per second at most; this many mean that the reader hangs."""


MAX_FRAMES: Final = 300
"""6 s: quiet sound arrives in blocks of 4 s, and a busy machine may be late with reading them."""


class Inbox:
    """Hands blocks and events to the ear thread. Any thread may put and tell; one thread gets.

    Sound: at most ``max_frames`` frames' worth of samples. When full, ``put`` drops the oldest
    blocks (``dropped_blocks``, ``dropped_samples``; the reader sees a jump in ``Block.start``), and
    ``put_wait`` waits for room instead. Events: at most 1 000; when full, the oldest is dropped
    (``dropped_events``). Events overtake sound.
    """

    def __init__(self, max_frames: int = MAX_FRAMES) -> None:
        self._changed = threading.Condition()
        self._max_samples = max_frames * FRAME_SAMPLES
        self._blocks: deque[Block] = deque()
        self._samples = 0
        self._events: deque[Event] = deque()
        self._closed = False
        self._woken = False
        self.dropped_blocks = 0
        """Blocks dropped because the inbox was full."""
        self.dropped_samples = 0
        """Samples in those blocks."""
        self.dropped_events = 0
        """Events dropped because the inbox was full."""

    def counters(self) -> Mapping[str, int]:
        """Return what was dropped because the inbox was full. Any thread may call it."""
        return {
            "dropped_blocks": self.dropped_blocks,
            "dropped_samples": self.dropped_samples,
            "dropped_events": self.dropped_events,
        }

    def put(self, block: Block) -> None:
        """Add ``block`` at once; drop the oldest ones if there is no room. Never blocks."""
        with self._changed:
            if self._closed or not block.data:
                return
            self._add(block)
            while self._samples > self._max_samples and len(self._blocks) > 1:
                self.dropped_samples += _samples(self._take())
                self.dropped_blocks += 1

    def put_wait(self, block: Block, timeout_s: float) -> bool:
        """Add ``block`` as soon as there is room; return False after ``timeout_s`` without room.

        A block longer than the whole inbox is added when the inbox is empty.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._has_room(block), timeout_s):
                return False
            if self._closed:
                return False
            if block.data:
                self._add(block)
            return True

    def tell(self, event: Event) -> None:
        """Add ``event``, which is fetched before any sound. Never blocks."""
        with self._changed:
            if self._closed:
                return
            if len(self._events) >= MAX_EVENTS:
                self._events.popleft()
                self.dropped_events += 1
            self._events.append(event)
            self._changed.notify_all()

    def get(self, timeout_s: float, *, audio: bool = True) -> Event | Block | None:
        """Fetch the oldest event, else (with ``audio``) the oldest block, else None on timeout.

        A closed inbox still returns its content, and then None at once.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._has_something(audio=audio), timeout_s)
            self._woken = False
            if self._events:
                return self._events.popleft()
            if audio and self._blocks:
                block = self._take()
                self._changed.notify_all()
                return block
            return None

    def wake(self) -> None:
        """Let a ``get`` that waits, or the next one, return at once. Any thread."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self) -> None:
        """Wake all waiting threads; nothing more is accepted."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether the inbox is closed."""
        return self._closed

    def _has_room(self, block: Block) -> bool:
        fits = self._samples + _samples(block) <= self._max_samples
        return self._closed or not self._blocks or fits

    def _has_something(self, *, audio: bool) -> bool:
        return bool(self._closed or self._woken or self._events or (audio and self._blocks))

    def _add(self, block: Block) -> None:
        self._blocks.append(block)
        self._samples += _samples(block)
        self._changed.notify_all()

    def _take(self) -> Block:
        block = self._blocks.popleft()
        self._samples -= _samples(block)
        return block


def _samples(block: Block) -> int:
    return block.end - block.start
