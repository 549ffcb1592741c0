"""What a soak counts: turns, lines of the log, memory, threads and handles."""

import gc
import logging
import os
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from jarvis_ear.delivery.events import DeliveryEvent, Finished
from jarvis_ear.delivery.playback import Playback
from jarvis_ear.hearing.events import Effect, SendUtterance, TurnDropped, TurnOpened


@dataclass(slots=True)
class Turns:
    """Follows the turns as a ``Chronicle``: for the ear thread and the network thread."""

    opened: int = 0
    dropped: int = 0
    sent: list[str] = field(default_factory=list)
    verdicts: dict[str, list[str]] = field(default_factory=dict)

    def effect(self, effect: Effect) -> None:
        """Count what was begun, dropped and sent."""
        match effect:
            case TurnOpened():
                self.opened += 1
            case TurnDropped():
                self.dropped += 1
            case SendUtterance(turn_id):
                self.sent.append(turn_id)

    def delivery(self, event: DeliveryEvent) -> None:
        """Count how they ended."""
        if isinstance(event, Finished):
            self.verdicts.setdefault(event.turn_id, []).append(str(event.verdict))

    def reply_started(self, turn_id: str) -> None:
        """Nothing is counted here."""

    def reply_heard(self, turn_id: str, playback: Playback) -> None:
        """Nor here."""

    def reply_ended(self, turn_id: str) -> None:
        """Nor here."""

    def unaccounted(self) -> int:
        """Turns that were begun and neither dropped nor sent, or sent and not judged just once."""
        begun = abs(self.opened - self.dropped - len(self.sent))
        judged = sum(len(self.verdicts.get(turn, [])) != 1 for turn in self.sent)
        return begun + judged + len(set(self.verdicts) - set(self.sent))

    def ends(self) -> Counter[str]:
        """How many ended in which verdict."""
        return Counter(verdict for verdicts in self.verdicts.values() for verdict in verdicts)


class Lines(logging.Handler):
    """Counts what is logged. Any thread."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count it."""
        self.count += record.levelno >= logging.INFO


@dataclass(frozen=True, slots=True)
class Size:
    """How large the process is."""

    resident: int
    """Bytes."""
    threads: int
    handles: int

    @classmethod
    def now(cls) -> "Size":
        """Look, after everything that is not used any more is gone."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        handles = len(list(Path("/proc/self/fd").iterdir()))
        return cls(pages * os.sysconf("SC_PAGE_SIZE"), threading.active_count(), handles)
