"""``make soak``: a day of a home through the real ear, as fast as it can hear.

``__main__.run`` is the daemon's own; only its microphone is made up, and its backend, behind a
proxy that fails. Every hour of sound the process is looked at. The exit status is 1 if a bound is
broken.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from fakes.proxy import Proxy
from fakes.voice_server import Switches, VoiceServer
from jarvis_ear import __main__ as daemon
from jarvis_ear.devices.models import EarFactory
from jarvis_ear.hearing.ear import Ear
from jarvis_ear.schema import load
from jarvis_ear.turn_trace.history import TurnHistory
from soak.account import Lines, Size, Turns
from soak.material import RATE, Home
from soak.virtual_microphone import VirtualMicrophone
from soak.weather import Weather

MIB: Final = 1024 * 1024

GROWTH_MIB: Final = 5.0
"""Resident memory from the end of the first hour (or half, if it is shorter) to the end."""

LOOKS: Final = 20
"""Looks at a run of less than 20 hours."""

LINES_PER_HOUR: Final = 300.0
"""Lines at INFO or above: about eight for a turn, four for a fault; and no line by the clock."""

HEARD: Final = 0.75
"""Share of the sentences that are sent: some are cut off by the faults."""

SPEED: Final = 60.0


class Soak:
    """One run. Owned by the main thread."""

    def __init__(self, *, hours: float, seed: int, folder: Path) -> None:
        self._hours = hours
        self._folder = folder
        samples = int(hours * 3600 * RATE)
        self._sentences = max(4, round(hours * 300 / 24))
        faults = max(2, round(hours * 3))
        self._home = Home(seed, hours, self._sentences)
        self._microphone = VirtualMicrophone(
            self._home, seed, faults=faults, sentences=self._sentences, samples=samples
        )
        self._server = VoiceServer(folder, Switches(password="jarvis"))
        self._proxy = Proxy(self._server.port)
        due = np.random.default_rng(seed + 2).uniform(0.01, 0.98, faults) * samples
        self._weather = Weather(self._server, self._proxy, seed, [int(one) for one in due])
        self._next_look = 0
        self._load_speech_model: Callable[[], None] = lambda: None
        self._every = int(min(3600.0, hours * 3600 / LOOKS) * RATE)
        self.turns = Turns()
        self.lines = Lines()
        self.sizes: list[Size] = []
        """One for each hour, or twentieth of a shorter run."""
        self.took_s = 0.0

    def run(self) -> int:
        """Live through the day, and return the exit status of the daemon."""
        self._microphone.on_position = self._reach
        day, microphone = self, self._microphone

        class WatchedEars(EarFactory):
            def make(self, *arguments: Any, **options: Any) -> Ear:
                ear = super().make(*arguments, **options)
                microphone.now = lambda: ear.now
                day._load_speech_model = ear._speech_model.load
                return ear

        daemon.EarFactory = WatchedEars
        daemon.make_source = lambda _options: microphone
        daemon.TurnHistory = lambda options, *views, on_heard: TurnHistory(
            options, *views, self.turns, on_heard=on_heard
        )
        logging.getLogger("jarvis_ear").addHandler(self.lines)
        with self._server, self._proxy, self._weather:
            began = time.monotonic()
            status = daemon.run(self._options())
            self.took_s = time.monotonic() - began
        return status

    def broken(self) -> list[str]:
        """Name the bounds that were not kept."""
        first, last = self._settled()[0], self.sizes[-1]
        bounds = {
            "memory": (last.resident - first.resident) / MIB <= GROWTH_MIB,
            "threads": self._more("threads") <= 0,
            "handles": self._more("handles") <= 0,
            "turns": self.turns.unaccounted() == 0,
            "heard": len(self.turns.sent) >= HEARD * self._sentences,
            "lines": self.lines.count / self._hours <= LINES_PER_HOUR,
            "speed": self.speed() >= SPEED,
        }
        return [name for name, kept in bounds.items() if not kept]

    def speed(self) -> float:
        """How much faster than the sound."""
        return self._hours * 3600 / self.took_s

    def table(self) -> str:
        """What came of it, for people."""
        first, last = self._settled()[0], self.sizes[-1]
        ends = ", ".join(f"{count} {name}" for name, count in sorted(self.turns.ends().items()))
        faults = ", ".join(
            f"{count} {name}" for name, count in sorted(self._weather.faults.items())
        )
        took = f"{self._hours:g} h in {self.took_s:.0f} s"
        grown = _mib(last.resident - first.resident)
        per_hour = f"{self.lines.count / self._hours:.0f}"
        rows = [
            ("sound", took, f"{self.speed():.0f} x", ">= 60 x"),
            ("sentences said, sent", self._sentences, len(self.turns.sent), ">= 75 %"),
            ("turns begun, not accounted for", self.turns.opened, self.turns.unaccounted(), 0),
            ("resident memory, grown", _mib(last.resident), grown, "<= 5 MiB"),
            ("threads, more of them", last.threads, self._more("threads"), 0),
            ("handles, more of them", last.handles, self._more("handles"), 0),
            ("lines of the log, per hour", self.lines.count, per_hour, "<= 300"),
        ]
        return "\n".join(
            [
                *(f"{what:<32}{one!s:>18}{two!s:>12}{most!s:>12}" for what, one, two, most in rows),
                f"verdicts: {ends}; dropped before they were sent: {self.turns.dropped}",
                f"faults: {self._microphone.lost} lost microphones, {faults}",
            ]
        )

    def _settled(self) -> list[Size]:
        """The looks from the end of the first hour on, or of the first half of a shorter run."""
        return self.sizes[1 if self._hours >= LOOKS else LOOKS // 2 :]

    def _more(self, what: str) -> int:
        """Compare the least of the last quarter with the least of the first: links come and go."""
        looks = [getattr(size, what) for size in self._settled()]
        quarter = max(1, len(looks) // 4)
        return min(looks[-quarter:]) - min(looks[:quarter])

    def _reach(self, position: int) -> None:
        self._weather.reach(position)
        if position >= self._next_look:
            self._next_look += self._every
            self._load_speech_model()  # it comes and goes: each size is with it
            self.sizes.append(Size.now())

    def _options(self):
        os.environ["XDG_RUNTIME_DIR"] = str(self._folder)
        os.environ["XDG_STATE_HOME"] = str(self._folder / "state")
        words = ("--microphone.fast", "--speaker.device", "none", "--log.level", "info")
        environment = {**os.environ, "JARVIS_PASSWORD": "jarvis"}
        return load([*words, "--backend-url", self._proxy.url], environment)


def _mib(size: int) -> str:
    return f"{size / MIB:.1f} MiB"


def main() -> int:
    """Run one and print it."""
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--hours", type=float, default=24.0, help="of sound (24)")
    parser.add_argument("--seed", type=int, default=1, help="another day (1)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        soak = Soak(hours=options.hours, seed=options.seed, folder=Path(folder))
        status = soak.run()
        print(soak.table())
    for name in soak.broken():
        print(f"broken: {name}")
    return int(bool(status or soak.broken()))


if __name__ == "__main__":
    sys.exit(main())
