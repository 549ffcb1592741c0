"""Mailbox: bounded queues from other threads to an event loop, and the commands to the network."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

from jarvis_ear.delivery.outbox import MAX_BYTES, MAX_UTTERANCES
from jarvis_ear.delivery.playback import PlaybackEnded
from jarvis_ear.delivery.utterance import Utterance

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """Bounded queue to one event loop, in order, also before that loop runs.

    Any thread may post, without blocking; one thread takes. When it is full, the oldest item is
    dropped and counted (``dropped``).
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._items: deque[Item] = deque()
        self._wake: Callable[[], object] | None = None
        self.dropped = 0
        """Items dropped unread."""

    def __len__(self) -> int:
        return len(self._items)

    def post(self, item: Item) -> None:
        """Append an item, and wake the loop."""
        with self._lock:
            self._items.append(item)
            self._trim()
            if self._wake is not None:
                self._wake()

    def take(self) -> Item | None:
        """Remove and return the oldest item, or None."""
        with self._lock:
            return self._items.popleft() if self._items else None

    def drain(self) -> tuple[Item, ...]:
        """Remove and return all items."""
        with self._lock:
            items = tuple(self._items)
            self._items.clear()
        return items

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call ``wake`` on the running loop after each item, while the block lasts."""
        loop = asyncio.get_running_loop()

        def call() -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(wake)

        with self._lock:
            self._wake = call
        try:
            yield
        finally:
            with self._lock:
                self._wake = None

    def _trim(self) -> None:
        """Drop what is too much. Called under the lock."""
        while len(self._items) > self._most:
            self._items.popleft()
            self.dropped += 1


@dataclass(frozen=True, slots=True)
class Put:
    """Deliver this utterance."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class Abandon:
    """The answer to this turn is no longer wanted."""

    turn_id: str
    newer: bool = True
    """True: the person said something newer. False: the person cancelled the turn."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Do not commit this turn for now."""

    turn_id: str
    goes_on: bool
    """Whether its sentence seems to continue."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with this turn."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class Supersede:
    """The turn ``by`` has the whole sentence of which this turn is the beginning."""

    turn_id: str
    by: str


@dataclass(frozen=True, slots=True)
class Overflow:
    """A turn was dropped before delivery to make room for newer ones."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class Grew:
    """New audio of an utterance that is still being spoken."""

    turn_id: str
    offset: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Discard:
    """Do not deliver this utterance."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class ReplyHeard:
    """How much of a reply was heard, for the ledger. See ``delivery.playback``."""

    turn_id: str
    heard: str
    why: str


TurnCommand: TypeAlias = (
    Put | Abandon | Hold | Resume | Supersede | Overflow | Grew | Discard | ReplyHeard
)
Command: TypeAlias = TurnCommand | PlaybackEnded

MAX_GROWTH: Final = 320
"""Pieces of at least 0.1 s: one whole utterance."""

MAX_COMMANDS: Final = 1024
"""An utterance posts one or two: this many mean that the network thread no longer reads."""


class CommandQueue(Mailbox[Command]):
    """Mailbox of the network thread.

    The bounds on utterances are those of the outbox: the oldest becomes an ``Overflow``, which is
    a few words long and never dropped, because each utterance needs a verdict. The queue holds 320
    pieces, and 1024 commands besides utterances: pieces are dropped first, then the oldest.
    """

    def __init__(self) -> None:
        super().__init__(MAX_COMMANDS)

    def _trim(self) -> None:
        puts = [place for place, each in enumerate(self._items) if isinstance(each, Put)]
        while len(puts) > MAX_UTTERANCES or self._bytes(puts) > MAX_BYTES:
            self._overflow(puts.pop(0))
        pieces = [each for each in self._items if isinstance(each, Grew)]
        others = [each for each in self._items if not isinstance(each, Put | Overflow | Grew)]
        surplus = max(len(pieces) - MAX_GROWTH, len(pieces) + len(others) - MAX_COMMANDS, 0)
        for command in (*pieces, *others)[:surplus]:
            self._items.remove(command)
            self.dropped += 1

    def _bytes(self, places: list[int]) -> int:
        puts = (self._items[place] for place in places)
        return sum(len(each.utterance.wav) for each in puts if isinstance(each, Put))

    def _overflow(self, place: int) -> None:
        put = self._items[place]
        if isinstance(put, Put):
            self._items[place] = Overflow(put.utterance.turn_id)
