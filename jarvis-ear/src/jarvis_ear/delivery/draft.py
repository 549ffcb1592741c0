"""Draft: an utterance that is still being spoken, and how much of it a link has."""

from typing import Final

from jarvis_ear.delivery.spool_record import MAX_PCM_BYTES
from jarvis_ear.wire.voice_messages import FromBackend, Pong, Processing, Transcript

MAX_HEARD: Final = 64
"""Messages about an utterance that is not complete: one or two are usual."""


class Draft:
    """What somebody has said so far, on its way up before it is complete.

    Owned by the outbox; the network thread only. Nothing of it may run: its end, which is the
    commit, is said by its turn. A backend that works on it all the same (it found an end of its
    own) has ``taken`` it. Bound: ``MAX_PCM_BYTES``; what is longer goes up when it is complete.
    """

    def __init__(self, turn_id: str) -> None:
        self.turn_id = turn_id
        self._pcm = bytearray()
        self._sent: int | None = None
        self.heard: list[FromBackend] = []
        """What the backend said about it on this link, at most 64 messages: the rest is lost."""
        self.taken = False
        """Whether a backend has begun to work on it, on this link or an earlier one."""

    @property
    def on_link(self) -> bool:
        """Whether the present link has a part of it."""
        return self._sent is not None

    @property
    def sent_bytes(self) -> int:
        """How much of it the present link has."""
        return self._sent or 0

    def add(self, offset: int, pcm: bytes) -> bool:
        """Take what was said since; False if something is missing before it, or it is too long."""
        if offset != len(self._pcm) or offset + len(pcm) > MAX_PCM_BYTES:
            return False
        self._pcm += pcm
        return True

    def news(self) -> tuple[int, bytes]:
        """Return what the present link does not have, and where that begins: it gets it now."""
        offset, self._sent = self.sent_bytes, len(self._pcm)
        return offset, bytes(self._pcm[offset:])

    def hear(self, message: FromBackend) -> None:
        """Keep what the backend says about it, for its turn."""
        self.taken |= isinstance(message, Processing | Transcript)
        if len(self.heard) < MAX_HEARD and not isinstance(message, Pong):
            self.heard.append(message)

    def lose_link(self) -> None:
        """Begin anew on the next link: this one is no more."""
        self._sent = None
        self.heard.clear()

    def begins(self, pcm: bytes) -> bool:
        """Whether ``pcm`` is what the link has of it, and more."""
        return pcm[: self.sent_bytes] == self._pcm[: self.sent_bytes]
