"""BootClock: the time by which an utterance grows old."""

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class BootClock:
    """Seconds since the machine's start. A value: any thread may call it.

    They go on while the machine sleeps, and nobody sets them: neither a person nor NTP.
    """

    boot_id: str
    """Which start: the seconds of another one mean nothing in this one."""

    @classmethod
    def of_this_machine(cls) -> Self:
        """Return the clock of this start. Where none is named, no former one is this one."""
        try:
            return cls(_BOOT_ID.read_text().strip())
        except OSError:
            return cls(secrets.token_hex(16))

    def __call__(self) -> float:
        """Return the time."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)
