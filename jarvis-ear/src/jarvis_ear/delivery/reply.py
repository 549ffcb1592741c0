"""Reply: the sentences of a spoken answer, put in order."""

from typing import Final

from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wire.voice_messages import TtsChunk

MAX_CHUNKS: Final = 1000
"""Pieces in one reply: sentences, or quarters of a second of it on wires of bare sound."""

MAX_BYTES: Final = 32 * 1024 * 1024
"""Sound in one reply, encoded: ten minutes at 24 kHz."""


class Reply:
    """Gives sentences out by rising index: waits a little for one that is missing, then skips it.

    Owned by one turn. Holds at most ``MAX_CHUNKS`` and ``MAX_BYTES`` in its life; more is an
    error of the backend. Repeated sentences are dropped (``duplicates``), and so are those that
    come after they were skipped (``late``).
    """

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._pending: dict[int, TtsChunk] = {}
        self._seen: set[int] = set()
        self._next = 0
        self._bytes = 0
        self._gap_since: float | None = None
        self.passed_on = 0
        """Sentences that were given out."""
        self.duplicates = 0
        """Sentences that came a second time."""
        self.late = 0
        """Sentences that came after their place was skipped."""

    @property
    def deadline(self) -> float | None:
        """When a missing sentence is given up, if one is missing."""
        return None if self._gap_since is None else self._gap_since + self._gap_s

    def add(self, chunk: TtsChunk, now: float) -> tuple[TtsChunk, ...]:
        """Take a sentence, and return those whose turn it is."""
        if chunk.index in self._seen:
            self.duplicates += 1
            return ()
        if chunk.index < self._next:
            self.late += 1
            return ()
        self._admit(chunk)
        return self._give_out(now)

    def tick(self, now: float) -> tuple[TtsChunk, ...]:
        """Skip what is missing when it was waited for long enough."""
        if self.deadline is None or now < self.deadline:
            return ()
        self._next = min(self._pending)
        return self._give_out(now)

    def finish(self) -> tuple[TtsChunk, ...]:
        """Give out what is left: nothing more will come."""
        rest = tuple(self._pending[index] for index in sorted(self._pending))
        self._pending.clear()
        self._gap_since = None
        self.passed_on += len(rest)
        return rest

    def _admit(self, chunk: TtsChunk) -> None:
        if len(self._seen) >= MAX_CHUNKS:
            raise RemoteProtocolError(f"a reply of more than {MAX_CHUNKS} chunks")
        if self._bytes + len(chunk.audio) > MAX_BYTES:
            raise RemoteProtocolError(f"a reply of more than {MAX_BYTES} bytes")
        self._bytes += len(chunk.audio)
        self._seen.add(chunk.index)
        self._pending[chunk.index] = chunk

    def _give_out(self, now: float) -> tuple[TtsChunk, ...]:
        ready = []
        while self._next in self._pending:
            ready.append(self._pending.pop(self._next))
            self._next += 1
        self.passed_on += len(ready)
        self._watch_gap(now, moved=bool(ready))
        return tuple(ready)

    def _watch_gap(self, now: float, *, moved: bool) -> None:
        if not self._pending:
            self._gap_since = None
        elif moved or self._gap_since is None:
            self._gap_since = now
