"""`python -m bench`: measure, and print a table for each measurement."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from bench.accepts import accepts
from bench.bus import bus
from bench.card_delay import card_delay
from bench.console import console
from bench.cpu import cpu
from bench.delivery import delivery
from bench.det import det
from bench.echo import echo
from bench.echo_cards import echo_cards
from bench.endings import endings, pauses
from bench.engines import engines
from bench.hesitations import hesitations, twice
from bench.latency import latency
from bench.loopback import loopback
from bench.material import Collection, open_collection
from bench.memory import memory
from bench.quiet import company, quiet
from bench.realtime import realtime
from bench.recall import recall
from bench.satellites import satellites
from bench.scale import FULL, QUICK, Scale
from bench.speaker import speaker
from bench.strangers import strangers
from bench.table import Table
from bench.verbs import verbs

Measurement: TypeAlias = Callable[[Scale, Collection], list[Table]]

MEASUREMENTS: Final[dict[str, Measurement]] = {
    "cpu": cpu,
    "quiet": quiet,
    "company": company,
    "latency": latency,
    "card-delay": card_delay,
    "memory": memory,
    "verbs": verbs,
    "delivery": delivery,
    "console": console,
    "recall": recall,
    "accepts": accepts,
    "det": det,
    "endings": endings,
    "pauses": pauses,
    "hesitations": hesitations,
    "twice": twice,
    "strangers": strangers,
    "echo": echo,
    "echo-cards": echo_cards,
    "realtime": realtime,
    "satellites": satellites,
    "bus": bus,
    "loopback": loopback,
    "speaker": speaker,
    "engines": engines,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the selected measurements. The exit status is 0 even if targets are missed."""
    asked = _parser().parse_args(arguments)
    scale = QUICK if asked.quick else FULL
    collection = open_collection(asked.audio)
    _say(collection.describes + "\n")
    tables = []
    for name in asked.only or MEASUREMENTS:
        tables += _measure(name, scale, collection)
    missed = sum(table.missed for table in tables)
    _say(f"targets missed, marked (!): {missed or 'none'}")
    if asked.images:
        for picture in (table.picture for table in tables if table.picture):
            _say(f"written: {picture.draw(asked.images)}")
    if asked.json:
        asked.json.write_text(json.dumps([table.as_json() for table in tables], indent=1) + "\n")
    return 0


def _measure(name: str, scale: Scale, collection: Collection) -> list[Table]:
    began = time.perf_counter()
    tables = MEASUREMENTS[name](scale, collection)
    for table in tables:
        _say(table.render())
    _say(f"({name} took {time.perf_counter() - began:.0f} s)\n")
    return tables


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute instead of a quarter hour")
    parser.add_argument(
        "--only",
        action="append",
        choices=MEASUREMENTS,
        metavar="NAME",
        help=f"run only this measurement; repeatable: {', '.join(MEASUREMENTS)}",
    )
    parser.add_argument("--audio", type=Path, help="folder of recordings, with a MANIFEST.csv")
    parser.add_argument("--images", type=Path, help="folder for the pictures, docs/images")
    parser.add_argument("--json", type=Path, help="file for all figures and notes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
