"""Recordings: the utterances that satellites are in the middle of sending."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from jarvis_backend.config import Limits
from jarvis_backend.errors import UtteranceError


class Growth(Enum):
    """What a chunk did to its recording."""

    GROWN = "grown"
    """It was added."""
    COMPLETE = "complete"
    """It was added and came so late that the recording ends with it."""
    STRAY = "stray"
    """Nothing is open under that name: never started, ended, or replaced."""


@dataclass(slots=True)
class _Recording:
    owner: str
    started_s: float
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0


class Recordings:
    """Open recordings by agent id. Lives on the loop; nobody else may call it.

    Bound: ``limits.recordings`` of ``limits.recording_bytes`` each and ``limits.recordings_bytes``
    together. Policy: the start or chunk that would pass a bound is refused, and a recording that
    grew too large is deleted. Counter: ``refused``.
    """

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        """Keep to ``limits``, by the monotonic clock ``now``."""
        self._limits = limits
        self._now = now
        self._open: dict[str, _Recording] = {}
        self._bytes = 0
        self.refused = 0

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def start(self, agent_id: str, owner: str) -> None:
        """Open one for ``agent_id``; what was open under that name is thrown away."""
        self._delete(agent_id)
        if len(self._open) >= self._limits.recordings:
            self.refused += 1
            raise UtteranceError(f"Too many recordings, expected at most {len(self._open)}")
        self._open[agent_id] = _Recording(owner, self._now())

    def is_open(self, agent_id: str) -> bool:
        """Whether a chunk for ``agent_id`` would find a recording."""
        return agent_id in self._open

    def add(self, agent_id: str, chunk: bytes) -> Growth:
        """Append ``chunk``. One recording takes chunks from whoever knows its name."""
        recording = self._open.get(agent_id)
        if recording is None:
            return Growth.STRAY
        self._make_sure_it_fits(agent_id, recording, len(chunk))
        recording.chunks.append(chunk)
        recording.size += len(chunk)
        self._bytes += len(chunk)
        if self._now() - recording.started_s > self._limits.recording_s:
            return Growth.COMPLETE
        return Growth.GROWN

    def take(self, agent_id: str) -> bytes | None:
        """Close it and return its bytes; None when none is open."""
        recording = self._open.get(agent_id)
        self._delete(agent_id)
        return None if recording is None else b"".join(recording.chunks)

    def forget(self, owner: str) -> None:
        """Delete what the connection ``owner`` started and did not end."""
        for agent_id in [name for name, one in self._open.items() if one.owner == owner]:
            self._delete(agent_id)

    def _make_sure_it_fits(self, agent_id: str, recording: _Recording, more: int) -> None:
        limits = self._limits
        if (
            recording.size + more <= limits.recording_bytes
            and self._bytes + more <= limits.recordings_bytes
        ):
            return
        self.refused += 1
        self._delete(agent_id)
        raise UtteranceError(
            f"Recording too large, expected at most {limits.recording_bytes} bytes"
        )

    def _delete(self, agent_id: str) -> None:
        recording = self._open.pop(agent_id, None)
        if recording is not None:
            self._bytes -= recording.size
