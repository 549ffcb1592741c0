"""Commands from other threads to the network thread, and their queue."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from jarvis_ear.delivery.outbox import MAX_BYTES, MAX_UTTERANCES
from jarvis_ear.delivery.utterance import Utterance


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


Command: TypeAlias = Put | Abandon | Overflow | Grew | Discard | ReplyHeard

MAX_GROWTH: Final = 320
"""Pieces of at least 0.1 s: one whole utterance."""

MAX_COMMANDS: Final = 1024
"""An utterance posts one or two: this many mean that the network thread no longer reads."""


class CommandQueue:
    """Bounded queue of commands to the network thread, in order, also before that thread starts.

    Any thread may post, without blocking; one thread drains. The bounds on utterances are those of
    the outbox: the oldest becomes an ``Overflow``, which is a few words long and never dropped,
    because each utterance needs a verdict. The queue holds 320 pieces, and 1024 commands besides
    utterances: pieces are dropped first, then the oldest (``dropped``).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._commands: deque[Command] = deque()
        self._wake: Callable[[], None] = _nobody
        self.dropped = 0
        """Commands dropped unread."""

    @property
    def waiting(self) -> int:
        """Number of commands not yet drained."""
        return len(self._commands)

    def post(self, command: Command) -> None:
        """Append a command and call the listener."""
        with self._lock:
            self._commands.append(command)
            self._trim()
            self._wake()

    def drain(self) -> tuple[Command, ...]:
        """Remove and return all commands."""
        with self._lock:
            commands = tuple(self._commands)
            self._commands.clear()
        return commands

    def listen(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` after each command, in the posting thread; it must not block."""
        with self._lock:
            self._wake = wake

    def unlisten(self) -> None:
        """Remove the listener. When this returns, no call to it is in progress."""
        self.listen(_nobody)

    def _trim(self) -> None:
        puts = [place for place, each in enumerate(self._commands) if isinstance(each, Put)]
        while len(puts) > MAX_UTTERANCES or self._bytes(puts) > MAX_BYTES:
            self._overflow(puts.pop(0))
        growth = [each for each in self._commands if isinstance(each, Grew)]
        for each in growth[: max(0, len(growth) - MAX_GROWTH)]:
            self._commands.remove(each)
            self.dropped += 1
        others = [each for each in self._commands if not isinstance(each, Put | Overflow)]
        others.sort(key=lambda each: not isinstance(each, Grew))  # pieces first, then the oldest
        for surplus in others[: max(0, len(others) - MAX_COMMANDS)]:
            self._commands.remove(surplus)
            self.dropped += 1

    def _bytes(self, places: list[int]) -> int:
        held = (self._commands[place] for place in places)
        return sum(len(each.utterance.wav) for each in held if isinstance(each, Put))

    def _overflow(self, place: int) -> None:
        put = self._commands[place]
        if isinstance(put, Put):
            self._commands[place] = Overflow(put.utterance.turn_id)


def _nobody() -> None:
    """Do nothing: the listener while the network thread does not run."""
