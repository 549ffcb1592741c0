"""Reply: puts the chunks of a reply in order; also collects speech that no turn asked for."""

import math
from typing import Final

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wires.messages import TtsChunk

MAX_CHUNKS: Final = 1000
"""Chunks in one reply: a spoken sentence each, or a quarter of a second on wires with raw PCM."""

MAX_BYTES: Final = 32 * 1024 * 1024
"""Bytes of encoded sound in one reply: ten minutes at 24 kHz."""


class Reply:
    """Returns chunks by rising index, and waits for a missing one.

    Owned by one turn; the network thread only. A chunk is given up when the reply is over
    (``finish``), or when nothing of the reply came for ``gap_s`` seconds. Holds at most
    ``MAX_CHUNKS`` and ``MAX_BYTES`` in total; more is an error of the backend. Repeated chunks are
    dropped (``duplicates``), and so are those that come after they were given up (``late``).
    """

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._pending: dict[int, TtsChunk] = {}
        self._seen: set[int] = set()
        self._next = 0
        self._bytes = 0
        self._came_at = 0.0
        self._missing: set[int] = set()
        self._reported: set[int] = set()
        self.passed_on = 0
        """Chunks that were returned."""
        self.duplicates = 0
        """Chunks that came a second time."""
        self.late = 0
        """Chunks that came after their place was skipped."""

    @property
    def deadline(self) -> float:
        """When missing chunks are given up; infinite if no chunk waits."""
        return self._came_at + self._gap_s if self._pending else math.inf

    @property
    def missing(self) -> int:
        """Number of chunks that were given up."""
        return len(self._missing)

    def add(self, chunk: TtsChunk, now: float) -> tuple[TtsChunk, ...]:
        """Add a chunk, and return those that are next in order; RemoteProtocolError if too big."""
        self._came_at = now
        if chunk.index in self._seen:
            self.duplicates += 1
            return ()
        if chunk.index < self._next:
            self.late += 1
            return ()
        if len(self._seen) >= MAX_CHUNKS:
            raise RemoteProtocolError(f"a reply of more than {MAX_CHUNKS} chunks")
        if self._bytes + len(chunk.audio) > MAX_BYTES:
            raise RemoteProtocolError(f"a reply of more than {MAX_BYTES} bytes")
        self._bytes += len(chunk.audio)
        self._seen.add(chunk.index)
        self._pending[chunk.index] = chunk
        return self._take_ready()

    def tick(self, now: float) -> tuple[TtsChunk, ...]:
        """Give up missing chunks if nothing came for ``gap_s``."""
        return self._take_all() if now >= self.deadline else ()

    def finish(self, total: int | None = None) -> tuple[TtsChunk, ...]:
        """Return the remaining chunks: a reply of ``total`` chunks is over.

        None: the backend did not report how many it tried to make.
        """
        rest = self._take_all()
        if total is not None:  # compared by number: a backend may count from 1
            all_came = self.passed_on >= total
            self._missing = set() if all_came else set(range(total)) - self._seen
        return rest

    def take_missing(self) -> tuple[int, ...]:
        """Return which chunks were given up since the last call, in order."""
        new = self._missing - self._reported
        self._reported |= new
        return tuple(sorted(new))

    def _take_ready(self) -> tuple[TtsChunk, ...]:
        ready = []
        while self._next in self._pending:
            ready.append(self._pending.pop(self._next))
            self._next += 1
        self.passed_on += len(ready)
        return tuple(ready)

    def _take_all(self) -> tuple[TtsChunk, ...]:
        rest = tuple(self._pending[index] for index in sorted(self._pending))
        if rest:
            self._missing |= set(range(self._next, rest[-1].index)) - set(self._pending)
            self._next = rest[-1].index + 1
        self._pending.clear()
        self.passed_on += len(rest)
        return rest


QUIET_S: Final = 2.0
"""Seconds without a chunk after which a burst is over."""

LONGEST_S: Final = 60.0
"""Seconds after which a burst that does not end is reported."""


class UnaskedChunks:
    """Collects chunks that no turn asked for, burst by burst: an announcement, or a stray reply.

    Pure; owned by the outbox. Bound: that of a reply; a longer burst is not an announcement. Times
    are seconds of the outbox's clock.
    """

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._chunks: dict[int, TtsChunk] | None = None  # None: it is not an announcement
        self._bytes = 0
        self._count = 0
        self._began_at = 0.0
        self.deadline = math.inf
        """When the burst is over, if nothing more comes; infinite if there is none."""

    @property
    def is_open(self) -> bool:
        """Whether a burst is in progress."""
        return self._count > 0

    def add(self, chunk: TtsChunk, now: float, *, is_trusted: bool) -> None:
        """Add one chunk. If any of a burst is not trusted, the burst is not an announcement."""
        if not self._count:
            self._began_at, self._chunks, self._bytes = now, {}, 0
        self._count += 1
        self._bytes += len(chunk.audio)
        is_too_big = self._count > MAX_CHUNKS or self._bytes > MAX_BYTES
        if self._chunks is not None and (
            not is_trusted or is_too_big or chunk.index in self._chunks
        ):
            self._chunks = None
        if self._chunks is not None:
            self._chunks[chunk.index] = chunk
            self.deadline = now + self._gap_s
        else:
            self.deadline = min(now + QUIET_S, self._began_at + LONGEST_S)

    def finish(self) -> tuple[TtsChunk, ...]:
        """Return the chunks of an announcement in order, as its end has come, and end the burst.

        Empty: it is none, because it does not begin with its first chunk, or is not trusted. Then
        the burst is left to ``take``.
        """
        chunks = self._chunks
        if not chunks or 0 not in chunks:
            return ()
        self.take()
        return tuple(chunks[index] for index in sorted(chunks))

    def take(self) -> int:
        """End the burst, and return its number of chunks; 0 if there is none."""
        count, self._count, self.deadline = self._count, 0, math.inf
        self._chunks = None
        return count
