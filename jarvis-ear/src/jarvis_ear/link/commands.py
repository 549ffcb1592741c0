"""Intake: what other threads want of the network thread."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from jarvis_ear.delivery.outbox import MAX_BYTES, MAX_UTTERANCES
from jarvis_ear.delivery.utterance import Utterance


@dataclass(frozen=True, slots=True)
class Put:
    """Deliver this."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class Abandon:
    """Nobody waits for this turn any more."""

    turn_id: str
    newer: bool = True
    """Because the person said something newer; False: they want no more of it."""


@dataclass(frozen=True, slots=True)
class Overflow:
    """A turn was never taken up: newer ones needed its place."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class Grew:
    """Somebody is speaking: this much more of it is known."""

    turn_id: str
    offset: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Discard:
    """What somebody seemed to say is not to be delivered."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of a reply was heard, for the ledger. See ``delivery.playback``."""

    turn_id: str
    heard: str
    why: str


Command: TypeAlias = Put | Abandon | Overflow | Grew | Discard | Heard

MAX_GROWTH: Final = 320
"""Pieces of a tenth of a second or more: one whole utterance."""

MAX_COMMANDS: Final = 1024
"""One or two per sentence that somebody says: so many mean that nobody reads them any more."""


class CommandQueue:
    """Carries commands to the network thread, in order, whether it runs yet or not.

    Any thread may post, and is never kept waiting; one thread drains. Of utterances it holds as
    many as the outbox does: the oldest becomes an ``Overflow``, which is some words long and never
    dropped, because each utterance has to be told of. Of pieces of one it holds 320, and of all
    other commands 1024: pieces go first, then the oldest (``dropped``).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._commands: deque[Command] = deque()
        self._wake: Callable[[], None] = _nobody
        self.dropped = 0
        """Commands that nobody fetched."""

    @property
    def waiting(self) -> int:
        """How many commands nobody has fetched."""
        return len(self._commands)

    def post(self, command: Command) -> None:
        """Hand over a command, and wake whoever listens."""
        with self._lock:
            self._commands.append(command)
            self._trim()
            self._wake()

    def drain(self) -> tuple[Command, ...]:
        """Take all commands."""
        with self._lock:
            commands = tuple(self._commands)
            self._commands.clear()
        return commands

    def listen(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called after each command: quickly, in the thread of whoever posts."""
        with self._lock:
            self._wake = wake

    def unlisten(self) -> None:
        """Call nobody any more. When this returns, nobody is being called either."""
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
        others.sort(key=lambda each: not isinstance(each, Grew))  # pieces first, else as they came
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
    """Stand in while the network thread does not run."""
