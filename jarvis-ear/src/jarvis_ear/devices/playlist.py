"""Playlist: what the speaker still has to play."""

import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_CHUNKS: Final = 1000
"""Pieces of replies that may wait: sentences, or quarters of a second on wires of bare sound."""

MAX_BYTES: Final = 32 * 1024 * 1024
"""Sound that may wait: 17 minutes of 16 kHz."""

MAX_MARKS: Final = 64
"""Ends of replies that may wait. A speaker that is so far behind has hung."""

MAX_STOPPED: Final = 16
"""Stopped turns whose late chunks are recognised."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of a reply, as it came."""

    turn_id: str
    index: int
    content_type: str
    audio: bytes


@dataclass(frozen=True, slots=True)
class EndOfReply:
    """No piece of this reply will follow."""

    turn_id: str
    refused: int = 0
    """Chunks of it that found no room."""


Item: TypeAlias = Chunk | EndOfReply


class Playlist:
    """Hands pieces of replies to the speaker thread. Any thread may add; one thread takes.

    Bound: 1000 chunks and 32 MiB. When full, the newest chunk is refused (``refused``): the
    sentence that is being said stays whole.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._turn_id: str | None = None  # of the item that was taken last
        self._stopped: deque[str] = deque(maxlen=MAX_STOPPED)
        self._interrupted = False
        self._closed = False
        self._refused_of: Counter[str] = Counter()  # of turns that have not ended
        self.refused = 0
        """Chunks that found no room."""

    def add(self, chunk: Chunk) -> bool:
        """Add ``chunk``, unless its turn was stopped; False if there is no room. Never waits."""
        with self._changed:
            if self._closed or chunk.turn_id in self._stopped:
                return True
            chunks = sum(isinstance(item, Chunk) for item in self._items)
            if chunks >= MAX_CHUNKS or self._bytes + len(chunk.audio) > MAX_BYTES:
                self.refused += 1
                self._refused_of[chunk.turn_id] += 1
                return False
            self._bytes += len(chunk.audio)
            self._append(chunk)
            return True

    def end(self, turn_id: str) -> None:
        """Mark the end of a reply, unless its turn was stopped. Never waits."""
        with self._changed:
            refused = self._refused_of.pop(turn_id, 0)
            marks = sum(isinstance(item, EndOfReply) for item in self._items)
            if not self._closed and turn_id not in self._stopped and marks < MAX_MARKS:
                self._append(EndOfReply(turn_id, refused))

    def take(self, timeout_s: float) -> Item | None:
        """Take the oldest item; None when there is nothing to play: be silent then.

        That is so when nothing came in time, when everything was stopped, and after ``close``.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._items or self._interrupted or self._closed, timeout_s
            )
            if self._interrupted or self._closed or not self._items:
                self._interrupted = False
                return None
            item = self._items.popleft()
            if isinstance(item, Chunk):
                self._bytes -= len(item.audio)
            self._turn_id = item.turn_id
            return item

    def stop(self) -> None:
        """Forget every turn that is known, the one that is being played first of all."""
        with self._changed:
            known = [item.turn_id for item in self._items]
            if self._turn_id is not None:
                known.append(self._turn_id)
            self._stopped.extend(turn for turn in dict.fromkeys(known) if turn not in self._stopped)
            self._interrupted = True
            self._clear()

    def is_stopped(self, turn_id: str) -> bool:
        """Say whether this turn must not be heard any more."""
        with self._changed:
            return self._closed or turn_id in self._stopped

    def wait_stopped(self, turn_id: str, timeout_s: float) -> bool:
        """Wait until this turn must not be heard any more; False if it still may be."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._closed or turn_id in self._stopped, timeout_s
            )

    def close(self) -> None:
        """Forget everything and wake whoever waits; nothing is accepted any more."""
        with self._changed:
            self._closed = True
            self._clear()

    @property
    def closed(self) -> bool:
        """Nothing will be accepted any more."""
        return self._closed

    def _append(self, item: Item) -> None:
        self._items.append(item)
        self._changed.notify_all()

    def _clear(self) -> None:
        self._refused_of.clear()
        self._items.clear()
        self._bytes = 0
        self._changed.notify_all()
