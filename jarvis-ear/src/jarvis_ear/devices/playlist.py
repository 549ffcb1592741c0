"""Playlist: the queue of reply chunks between the network thread and the speaker thread."""

import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_CHUNKS: Final = 1000
"""Maximum queued chunks: sentences, or quarters of a second on wires of raw audio."""

MAX_BYTES: Final = 32 * 1024 * 1024
"""Maximum queued sound: 17 minutes at 16 kHz."""

MAX_ENDS: Final = 64
"""Maximum queued ends of replies. A speaker this far behind hangs."""

MAX_STOPPED: Final = 16
"""Stopped turns whose late chunks are recognised; also paused turns, which are one at a time."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of a reply, as received."""

    turn_id: str
    index: int
    content_type: str
    audio: bytes


@dataclass(frozen=True, slots=True)
class EndOfReply:
    """No chunk of this reply will follow."""

    turn_id: str
    refused: int = 0
    """Chunks of the reply that found no room."""


Item: TypeAlias = Chunk | EndOfReply


class Playlist:
    """Queue of chunks for the speaker thread. Any thread may add; one thread takes.

    Bound: 1000 chunks and 32 MiB. When full, the newest chunk is refused (``refused``), so that the
    one being played stays whole.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._turn_id: str | None = None  # of the last item taken
        self._stopped: deque[str] = deque(maxlen=MAX_STOPPED)
        self._paused: deque[str] = deque(maxlen=MAX_STOPPED)
        self._is_changed = False
        self._closed = False
        self._refused_of: Counter[str] = Counter()  # of turns that have not ended
        self.refused = 0
        """Chunks that found no room."""

    def add(self, chunk: Chunk) -> bool:
        """Add ``chunk``, unless its turn was stopped; False if there is no room. Never blocks."""
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
        """Mark the end of a reply, unless its turn was stopped. Never blocks."""
        with self._changed:
            refused = self._refused_of.pop(turn_id, 0)
            ends = sum(isinstance(item, EndOfReply) for item in self._items)
            if not self._closed and turn_id not in self._stopped and ends < MAX_ENDS:
                self._append(EndOfReply(turn_id, refused))

    def take(self) -> Item | None:
        """Remove and return the oldest item; None if there is none, or if its turn is paused."""
        with self._changed:
            if not self._items or self._items[0].turn_id in self._paused:
                return None
            item = self._items.popleft()
            if isinstance(item, Chunk):
                self._bytes -= len(item.audio)
            self._turn_id = item.turn_id
            return item

    def has_more(self, turn_id: str) -> bool:
        """Return whether the oldest item is a chunk of this turn."""
        with self._changed:
            first = self._items[0] if self._items else None
            return isinstance(first, Chunk) and first.turn_id == turn_id

    def wait(self, timeout_s: float) -> None:
        """Wait until anything has changed since the last call, at most ``timeout_s``."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_changed, timeout_s)
            self._is_changed = self._closed

    def wake(self) -> None:
        """End the wait."""
        with self._changed:
            self._notify()

    def pause(self, turn_id: str) -> None:
        """Keep the items of this turn, and all behind them, until it is resumed or stopped."""
        with self._changed:
            if turn_id not in self._paused:
                self._paused.append(turn_id)
            self._notify()

    def resume(self, turn_id: str) -> None:
        """Hand out the items of this turn again."""
        with self._changed:
            if turn_id in self._paused:
                self._paused.remove(turn_id)
            self._notify()

    def is_paused(self, turn_id: str) -> bool:
        """Return whether this turn is paused."""
        with self._changed:
            return turn_id in self._paused

    def stop(self) -> None:
        """Drop all known turns, including the one being played and those that are paused."""
        with self._changed:
            known = [*self._paused, *(item.turn_id for item in self._items)]
            if self._turn_id is not None:
                known.append(self._turn_id)
            self._stopped.extend(turn for turn in dict.fromkeys(known) if turn not in self._stopped)
            self._paused.clear()
            self._clear()

    def is_stopped(self, turn_id: str) -> bool:
        """Return whether this turn was stopped or the playlist closed."""
        with self._changed:
            return self._closed or turn_id in self._stopped

    def close(self) -> None:
        """Drop everything and wake all waiters; no more items are accepted."""
        with self._changed:
            self._closed = True
            self._clear()

    @property
    def closed(self) -> bool:
        """Whether items are no longer accepted."""
        return self._closed

    def _append(self, item: Item) -> None:
        self._items.append(item)
        self._notify()

    def _clear(self) -> None:
        self._refused_of.clear()
        self._items.clear()
        self._bytes = 0
        self._notify()

    def _notify(self) -> None:
        self._is_changed = True
        self._changed.notify_all()
