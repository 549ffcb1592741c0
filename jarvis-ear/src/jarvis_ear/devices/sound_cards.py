"""The sound cards as the kernel lists them: their stable names, and who holds which of them.

PortAudio shows cards by number, and a number changes with the order of plugging in. The kernel also
gives every card an id ("Device", "PCH") that stays. And while one program records from a card,
PortAudio does not list it at all; only the kernel can say which program that is.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
"""Where the kernel tells of cards and of programs."""

_CARD: Final = re.compile(r"^ *(\d+) \[(\S+) *\]: (.*)$", re.MULTILINE)
_OWNER: Final = re.compile(r"^owner_pid *: (\d+)$", re.MULTILINE)
_PROGRAM: Final = re.compile(r"^Tgid:\s*(\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SoundCard:
    """One card."""

    number: int
    """Its place in the kernel's list: the 1 in "hw:1,0". Not stable."""
    id: str
    """Its stable name: the X in "hw:CARD=X"."""
    name: str
    """What it calls itself."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A program that records from a card."""

    card: SoundCard
    pid: int
    program: str

    def __str__(self) -> str:
        return f"hw:CARD={self.card.id} is held by {self.program} (pid {self.pid})"


class SoundCards:
    """Reads the kernel's list. Holds nothing open; any thread may ask."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc

    def listing(self) -> str:
        """Return the kernel's own list: it differs as soon as a card came or went."""
        return _text(self._proc / "asound" / "cards")

    def all(self) -> tuple[SoundCard, ...]:
        """Every card there is, also one that somebody else uses."""
        found = _CARD.findall(self.listing())
        return tuple(SoundCard(int(number), card_id, name) for number, card_id, name in found)

    def numbered(self, card_id: str) -> int | None:
        """Return the number of the card with this id, in whatever case it is written; else None."""
        wanted = card_id.casefold()
        return next((card.number for card in self.all() if card.id.casefold() == wanted), None)

    def holders(self) -> tuple[Holder, ...]:
        """Every other program that records at the moment."""
        return tuple(self._holders(self.all()))

    def _holders(self, cards: Iterable[SoundCard]) -> Iterator[Holder]:
        for card in cards:
            folder = self._proc / "asound" / f"card{card.number}"
            for status in sorted(folder.glob("pcm*c/sub*/status")):
                owner = _OWNER.search(_text(status))
                if owner is not None:
                    yield from self._others(card, int(owner[1]))

    def _others(self, card: SoundCard, thread: int) -> Iterator[Holder]:
        """Name the program of a thread, unless it is ourselves."""
        program = _PROGRAM.search(_text(self._proc / str(thread) / "status"))
        pid = int(program[1]) if program else thread
        if pid != os.getpid():
            name = _text(self._proc / str(pid) / "comm").strip()
            yield Holder(card, pid, name or "a program of somebody else")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # no sound in this kernel, or what we ask about has just gone
        return ""
