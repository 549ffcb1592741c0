"""Train the wake head from nothing, and judge it on speakers, voices and phrases it never heard.

Three steps: train on the training side, and print what each rule finds on the development side;
train again on both; judge the result on the judging side. Scenes are kept in the cache, so that a
run that was stopped goes on. It uses one core: half an hour for all of it, or ``--scale 0.1``.
"""

import argparse
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Final

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # before numpy: one core is enough,
    os.environ.setdefault(threads, "1")  # and the order of additions does not depend on the machine

import numpy as np  # noqa: E402 - after the environment is set
import numpy.typing as npt  # noqa: E402 - likewise
from wake_head.judging import (  # noqa: E402 - likewise
    Judged,
    delay_table,
    judge,
    negatives_table,
    ordinary_table,
    points_table,
    recall_table,
    today,
    verified,
    weighed,
)
from wake_head.phrases import Side  # noqa: E402 - likewise
from wake_head.recordings import Recordings  # noqa: E402 - likewise

from jarvis_ear.config_hearing import STRICTNESS  # noqa: E402 - likewise
from wake_head import features, network, rooms, scenes  # noqa: E402 - likewise

ROOT: Final = Path(__file__).parents[1]
COMMITTED: Final = ROOT / "jarvis-ear" / "src" / "jarvis_ear" / "models" / "hey_jarvis_head.npz"
BUILD: Final = ROOT / "build" / "wake-head"

POINTS: Final = [
    *map(weighed, STRICTNESS.values()),
    *(
        verified(veto, least)
        for veto in (-4.0, -3.0, -2.0, -1.0, 0.0, 1.0)
        for least in (np.inf, 4.0, 3.0, 2.0, 1.0)
    ),
]
"""Operating points that development compares."""

CHOSEN: Final = (today(), verified(-2.0), *map(weighed, STRICTNESS.values()))
"""The rules that are judged: without the head; the head only refuses; and the ear's own, strict,
balanced and eager."""

DEVELOPMENT_ROOMS: Final = [rooms.JUDGED[place] for place in (0, 2, 4, 6, 9, 12)]
NEGATIVE_ROOMS: Final = (rooms.CLEAN, rooms.Room("household", 15))

TOLERANCE: Final = 0.03
"""Two trainings find, and wake at, shares of the judged scenes that differ by less than this with
every rule. The same packages on one machine give the same file; others change it a little."""

Shares = npt.NDArray[np.float64]


class Run:
    """One run of the tool: makes the scenes of all sides. For one thread."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._recordings = Recordings(options.audio)
        self._networks = features.Networks()
        self._counts = scenes.Counts().scaled(options.scale)

    def training(self) -> list[features.Heard]:
        """Return the scenes of the training side."""
        stage = self._stage("training")
        return [each for series in stage.training(self._counts) for each in self._of(stage, series)]

    def more(self) -> list[features.Heard]:
        """Return training scenes of the real people of the development side."""
        stage = self._stage("development")
        series = stage.real(self._counts.scaled(0.5))
        return [each for part in series for each in self._of(stage, part)]

    def development(self, head: network.Head) -> list[str]:
        """Return the table of operating points."""
        stage, hours = self._stage("development"), 10.0 * self._options.scale
        rules = [today(), *POINTS]
        words = self._judged(stage, stage.words(DEVELOPMENT_ROOMS), head)
        others = self._judged(stage, stage.negatives(NEGATIVE_ROOMS), head)
        ordinary = self._judged(stage, stage.ordinary(hours), head)
        return points_table(words, others, ordinary, rules)

    def judging(self, head: network.Head) -> tuple[list[str], Shares]:
        """Return the tables of the judging side, and what ``TOLERANCE`` is about."""
        stage, hours = self._stage("judging"), 10.0 * self._options.scale
        words = self._judged(stage, stage.words(rooms.JUDGED), head)
        others = self._judged(stage, stage.negatives(NEGATIVE_ROOMS), head)
        ordinary = self._judged(stage, stage.ordinary(hours), head)
        tables = [
            *recall_table(words, CHOSEN),
            *negatives_table(others, CHOSEN),
            *ordinary_table(ordinary, CHOSEN),
            *delay_table(words, CHOSEN),
        ]
        found = [[each.found(rule) is not None for each in words] for rule in CHOSEN]
        woken = [[bool(each.detections(rule)) for each in others] for rule in CHOSEN]
        return tables, np.concatenate((np.mean(found, axis=1), np.mean(woken, axis=1)))

    def _judged(
        self, stage: scenes.Stage, series: scenes.Series, head: network.Head
    ) -> list[Judged]:
        return judge(self._of(stage, series), head)

    def _stage(self, side: Side) -> scenes.Stage:
        return scenes.Stage(side, self._recordings, self._options.seed)

    def _of(self, stage: scenes.Stage, series: scenes.Series) -> list[features.Heard]:
        folder = self._options.cache / f"{self._options.seed}-{stage.side}-{series.name}"
        before = time.monotonic()
        found = list(features.heard(series, folder, self._networks))
        _say(f"{stage.side}, {series.name}: {len(found)} in {time.monotonic() - before:.0f} s")
        return found


def main() -> int:
    """Train, judge, write the file and the report; return the exit status."""
    options = _options()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    run = Run(options)
    training = run.training()
    _say("training for development")
    rounds = max(1, round(network.ROUNDS * options.scale))
    first = network.train(training, options.seed, rounds=rounds)
    report = ["## Development", "", *run.development(first)]
    _say("training")
    network.train([*training, *run.more()], options.seed, rounds=rounds).write(options.out)
    head = network.read(options.out)  # with the precision of the file
    tables, shares = run.judging(head)
    report += ["## Judging", "", *tables]
    options.out.with_suffix(".md").write_text("\n".join(report) + "\n")
    digest = hashlib.sha256(options.out.read_bytes()).hexdigest()
    sys.stdout.write("\n".join(report) + f"\n{options.out}: SHA-256 {digest}\n")
    return _compare(run, shares) if COMMITTED.exists() and options.scale == 1 else 0


def _compare(run: Run, shares: Shares) -> int:
    """Compare what was found with what the committed head finds."""
    _, committed = run.judging(network.read(COMMITTED))
    apart = float(np.abs(shares - committed).max())
    _say(f"the shares differ by up to {apart:.3f} from the committed head's (at most {TOLERANCE})")
    return int(apart > TOLERANCE)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--audio", type=Path, help="a folder of recordings with a MANIFEST.csv")
    parser.add_argument("--cache", type=Path, default=BUILD / "scenes", help="folder for scenes")
    parser.add_argument("--out", type=Path, default=BUILD / COMMITTED.name, help="file to write")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the scenes to make")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stderr.write(f"wake head: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
