"""Recordings: the utterances that clients are still sending."""

from collections.abc import Callable
from dataclasses import dataclass, field

from jarvis_backend.config import Limits
from jarvis_backend.errors import UtteranceError
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE


@dataclass(slots=True)
class _Recording:
    owner: str
    started_s: float
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0


class Recordings:
    """Open recordings by agent id. Lives on the loop.

    Bound: ``limits.recordings`` of ``limits.recording_bytes`` each and ``limits.recordings_bytes``
    together. Policy: a start or a piece that exceeds a bound is refused, and the recording that is
    too large is deleted. Counter: ``refused``.
    """

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        """Enforce ``limits``; ``now`` is a monotonic clock."""
        self._limits = limits
        self._now = now
        self._open: dict[str, _Recording] = {}
        self._bytes = 0
        self.refused = 0

    def __len__(self) -> int:
        """Return the number of open recordings."""
        return len(self._open)

    def start(self, agent_id: str, owner: str) -> None:
        """Open a recording of ``agent_id``, which replaces an open one. Raises UtteranceError."""
        self._delete(agent_id)
        if len(self._open) >= self._limits.recordings:
            self.refused += 1
            raise UtteranceError(f"Too many recordings, expected at most {len(self._open)}")
        self._open[agent_id] = _Recording(owner, self._now())

    def is_open(self, agent_id: str) -> bool:
        """Return whether ``agent_id`` has an open recording."""
        return agent_id in self._open

    def add(self, agent_id: str, piece: bytes) -> bool:
        """Append ``piece`` to the open recording of ``agent_id``; any connection may do so.

        Return whether it came so late that the recording ends with it. Raises UtteranceError.
        """
        recording = self._open[agent_id]
        limits, size = self._limits, len(piece)
        if (
            recording.size + size > limits.recording_bytes
            or self._bytes + size > limits.recordings_bytes
        ):
            self.refused += 1
            self._delete(agent_id)
            raise UtteranceError(
                f"Recording too large, expected at most {limits.recording_bytes} bytes"
            )
        recording.pieces.append(piece)
        recording.size += size
        self._bytes += size
        return self._now() - recording.started_s > limits.recording_s

    def take(self, agent_id: str) -> bytes | None:
        """Close the recording and return its bytes; None if none is open."""
        recording = self._open.get(agent_id)
        self._delete(agent_id)
        return None if recording is None else b"".join(recording.pieces)

    def forget(self, owner: str) -> None:
        """Delete the open recordings that the connection ``owner`` started."""
        for agent_id in [name for name, one in self._open.items() if one.owner == owner]:
            self._delete(agent_id)

    def _delete(self, agent_id: str) -> None:
        recording = self._open.pop(agent_id, None)
        if recording is not None:
            self._bytes -= recording.size


class UtteranceBuffer:
    """Collects the PCM16 (16 kHz) of one streamed utterance. Lives on the loop.

    Bound: ``limits.recording_s`` and ``limits.recording_bytes``. Policy: a longer utterance is
    refused once, and everything up to its end is dropped.
    """

    def __init__(self, limits: Limits) -> None:
        self.max_bytes = min(
            limits.recording_bytes, int(limits.recording_s * SAMPLE_RATE) * SAMPLE_BYTES
        )
        self.pcm = bytearray()
        self.is_refused = False

    def add(self, pcm: bytes) -> bool:
        """Append ``pcm``; False if the utterance is too long, which clears the buffer."""
        if len(self.pcm) + len(pcm) > self.max_bytes:
            self.pcm.clear()
            self.is_refused = True
            return False
        self.pcm += pcm
        return True

    def take(self) -> bytes:
        """Return the utterance and start a new one; empty if it was refused."""
        pcm = bytes(self.pcm)
        self.pcm.clear()
        self.is_refused = False
        return pcm
