"""``make killpoints``: kill -9 of the ear before and after every transition of an utterance.

Each round: an ear that kills itself at one point is told to deliver an utterance; a second ear, on
the same folders, must find out what became of it, and deliver the next one.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fakes.account import ledger, turn_of
from fakes.doomed_program import POINTS
from fakes.ear import EarProcess
from fakes.voice_server import VOICES, Switches, VoiceServer, wait_until
from jarvis_ear.delivery.transitions import UploadMode
from jarvis_ear.link.registry import wire_of

LISTENING_S = 5.0
"""The longest way from a start to a link that can be used."""

WHOLE, STREAMED = "send AudioChunk", "send AudioPart"
"""The two ways to send the sound. A wire has one of them: no ear can be killed in the other."""


def moments(protocol: str) -> list[str]:
    """Return every point at which an ear can be killed on a wire."""
    is_streamed = wire_of(protocol).upload_mode is UploadMode.STREAMED
    missing = WHOLE if is_streamed else STREAMED
    points = [point for point in POINTS if point != missing]
    return [f"{moment} {point}" for point in points for moment in ("before", "after")]


HELD = ("mark held", "moved to held")
"""Points that only an utterance passes whose sentence goes on."""

NOT_RUN = ("after mark held", "after moved to held")
"""Killed here, the beginning of a sentence must not be run by the next ear."""

UNHEARD = "before extend"
"""Killed before a sound of it was kept: nothing can know of it."""


@dataclass(slots=True)
class Outcome:
    """What the rounds of one kill point came to."""

    verdicts: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    repeated: int = 0
    unaccounted: int = 0
    judged_twice: int = 0
    slowest_s: float = 0.0


class Killpoints:
    """One server, and ears that die. ``rounds`` tells the outcome of each point."""

    def __init__(self, folder: Path, protocol: str) -> None:
        self._folder = folder
        self._protocol = protocol
        self._server = VoiceServer(folder, Switches(reply="worker"), wire=protocol)
        self._number = 0

    def rounds(self, moments: Iterable[str], rounds: int) -> Iterator[tuple[str, Outcome]]:
        with self._server:
            for moment in moments:
                outcome = Outcome()
                for _ in range(rounds):
                    self._round(moment, outcome)
                yield moment, outcome

    def _round(self, moment: str, outcome: Outcome) -> None:
        self._number += 2
        victim, next_one = self._number - 1, self._number
        ear = EarProcess(
            self._server.url,
            folder=str(self._folder),
            protocol=self._protocol,
            listens_on=self._server.port,
        )
        with ear:
            self._die(ear, moment, victim)
            began = time.monotonic()
            ear.start()
            ear.wait("LinkUp", within_s=20.0)
            outcome.slowest_s = max(outcome.slowest_s, time.monotonic() - began)
            ear.tell(do="say", turn=turn_of(next_one), number=next_one, lasts_s=0.02)
            wait_until(lambda: turn_of(next_one) in self._recorded(), within_s=20.0)
        self._note(moment, victim, outcome)

    def _die(self, ear: EarProcess, moment: str, victim: int) -> None:
        ear.kill()
        ear.start("fakes.doomed_program", kill=moment)
        ear.wait("LinkUp", within_s=20.0)
        goes_on = moment.endswith(HELD)
        turn = turn_of(victim)
        ear.tell(do="say", turn=turn, number=victim, lasts_s=0.02, goes_on=goes_on)
        wait_until(lambda: not ear.alive(), within_s=20.0)

    def _note(self, moment: str, victim: int, outcome: Outcome) -> None:
        verdicts = self._recorded().get(turn_of(victim), [])
        runs = self._server.numbers().count(victim)
        outcome.verdicts.update(verdicts[:1] or ["none"])
        outcome.runs += runs
        outcome.repeated += runs > (moment not in NOT_RUN)
        outcome.judged_twice += len(verdicts) > 1
        outcome.unaccounted += not verdicts and moment != UNHEARD

    def _recorded(self) -> dict[str, list[str]]:
        return ledger(self._folder / "state")


def kill_everywhere(
    folder: Path,
    rounds: int,
    say: Callable[[str], None],
    moments: Iterable[str],
    protocol: str = "socketio",
) -> bool:
    """Print the table, and return whether nothing ran twice and everything was accounted for."""
    say(f"{'killed':24} {'ran':>4} {'twice':>6} {'unaccounted':>12} {'slowest':>8}  verdicts")
    clean = True
    for moment, told in Killpoints(folder, protocol).rounds(moments, rounds):
        ends = ", ".join(f"{count} {name}" for name, count in told.verdicts.items())
        say(
            f"{moment:24} {told.runs:4} {told.repeated:6} {told.unaccounted:12}"
            f" {told.slowest_s:6.1f} s  {ends}"
        )
        clean &= not (told.repeated or told.unaccounted or told.judged_twice)
        clean &= told.slowest_s <= LISTENING_S
    return clean


def main() -> int:
    options = argparse.ArgumentParser(prog="make killpoints", description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--protocol", choices=tuple(VOICES), default="socketio")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where = moments(asked.protocol)
        clean = kill_everywhere(Path(folder), asked.rounds, print, where, asked.protocol)
        return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
