"""What a soak counts: turns, lines of the log, memory, threads and handles."""

import gc
import logging
import os
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from jarvis_ear.config import Config
from jarvis_ear.delivery.events import Finished
from jarvis_ear.hearing.events import SendUtterance, TurnDropped, TurnOpened
from jarvis_ear.turn_trace.trace import TraceEvent, TurnTrace


@dataclass(slots=True)
class Turns:
    """A view that counts the turns. Called by ``TurnHistory``."""

    opened: int = 0
    dropped: int = 0
    sent: list[str] = field(default_factory=list)
    verdicts: dict[str, list[str]] = field(default_factory=dict)

    def change(self, options: Config) -> None:
        """Do nothing: no option matters."""

    def draw(self, event: TraceEvent, _trace: TurnTrace | None) -> None:
        match event:
            case TurnOpened():
                self.opened += 1
            case TurnDropped():
                self.dropped += 1
            case SendUtterance(turn_id):
                self.sent.append(turn_id)
            case Finished(turn_id, verdict):
                self.verdicts.setdefault(turn_id, []).append(str(verdict))

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

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
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
