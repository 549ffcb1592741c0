"""The wake head: how it is trained, with numpy alone, and the file that holds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from wake_head.features import Heard
from wake_head.scenes import NAME, NEAR, ORDINARY, OTHER, POSITIVE

from jarvis_ear.devices.wake_head import UNITS, WINDOW, Floats
from jarvis_ear.units import SAMPLE_RATE, STEP_SAMPLES

EARLY_S: Final = 0.08
LATE_S: Final = 0.32
"""The steps that end from so long before the end of the word to so long after it are the word."""

UNSURE_S: Final = 0.48
"""Steps that end as long before or after it are neither the word nor anything else."""

FIRST: Final = 3000
HEARD_S: Final = 0.5
"""Steps count for other words from so many samples after their start to so long after their end."""

ROUNDS: Final = 8
"""Times that the hard windows are chosen anew."""

BATCHES: Final = 400
"""Batches in a round."""

RECORDED: Final = "recorded"
OTHERWISE: Final = "synthesised"

MIX: Final = {
    (POSITIVE, OTHERWISE): 88,
    (POSITIVE, RECORDED): 88,
    (NEAR, OTHERWISE): 112,
    (OTHER, OTHERWISE): 24,
    (OTHER, RECORDED): 24,
    (NAME, OTHERWISE): 104,
    (NAME, RECORDED): 64,
    (ORDINARY, OTHERWISE): 112,
    (ORDINARY, RECORDED): 64,
}
"""Windows in a batch by what they are, and whether people say it: few recordings weigh as much as
many synthesised ones. Without recordings, a batch is smaller."""

BATCH: Final = sum(MIX.values())
NOISES: Final = 4096
"""Rows of noise, which batches use in turn."""

HARD: Final = {NEAR: 0.15, OTHER: 0.05, NAME: 0.15, ORDINARY: 0.02}
"""Shares of the windows that count as hard: half of those in a batch are of these."""

LOOKED_AT: Final = 60_000
"""Windows of a kind among which the hard ones are chosen."""

RATE: Final = 1e-3
DECAY: Final = 0.02
NOISE: Final = 0.25
"""Noise that is added to the embeddings, in standard deviations of each."""


Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Head:
    """Weights for windows of 16 x 96 embeddings."""

    mean: Floats
    """(96,)"""
    scale: Floats
    """(96,): one over the standard deviation."""
    hidden: Floats
    """(1536, UNITS)"""
    hidden_bias: Floats
    output: Floats
    """(UNITS,)"""
    output_bias: Floats
    """(1,)"""

    def logits(self, windows: Floats) -> Floats:
        """Return the log of the odds that each of (n, 16, 96) windows ends with the word."""
        inputs = ((windows - self.mean) * self.scale).reshape(len(windows), -1)
        hidden = np.maximum(inputs @ self.hidden + self.hidden_bias, 0)
        return np.asarray(hidden @ self.output + self.output_bias[0], np.float32)

    def write(self, path: Path) -> None:
        """Write the weights, in half precision but for the mean and scale of the inputs."""
        half = np.float16
        np.savez(
            path,
            mean=self.mean.astype(np.float32),
            scale=self.scale.astype(np.float32),
            hidden=self.hidden.astype(half),
            hidden_bias=self.hidden_bias.astype(np.float32),
            output=self.output.astype(np.float32),
            output_bias=self.output_bias.astype(np.float32),
        )


def read(path: Path) -> Head:
    """Read a head that ``Head.write`` has written."""
    with np.load(path, allow_pickle=False) as file:
        return Head(**{name: file[name].astype(np.float32) for name in file.files})


class Windows:
    """All windows of a training by what they are. For one thread."""

    def __init__(self, scenes: Sequence[Heard]) -> None:
        self._rows = np.concatenate([scene.embeddings for scene in scenes]).astype(np.float32)
        starts: dict[tuple[str, str], list[Rows]] = {group: [] for group in MIX}
        row = 0
        for scene in scenes:
            origin = RECORDED if scene.origin == RECORDED else OTHERWISE
            for kind, steps in _labels(scene):
                starts[kind, origin].append(row + steps)
            row += len(scene.embeddings)
        self.starts = {group: np.concatenate(found) for group, found in starts.items() if found}

    def take(self, starts: Rows) -> Floats:
        """Return the windows that begin at these rows."""
        windows: Floats = self._rows[starts[:, None] + np.arange(WINDOW[0])]
        return windows

    def statistics(self) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of each number of the embeddings."""
        rows = self._rows[:: max(1, len(self._rows) // 100_000)]
        return rows.mean(0), rows.std(0) + np.float32(1e-3)

    def scale(self, mean: Floats, deviation: Floats) -> None:
        """Bring each number of the embeddings to mean 0 and deviation 1."""
        self._rows -= mean
        self._rows /= deviation


def _labels(scene: Heard) -> list[tuple[str, Rows]]:
    """Return the steps of a scene by what they are, from the place of the word."""
    ends = (np.arange(len(scene.scores)) + 1) * STEP_SAMPLES
    if scene.kind == ORDINARY:
        return [(ORDINARY, np.arange(len(ends)))]
    after = (ends - scene.ends) / SAMPLE_RATE
    if scene.kind == POSITIVE:
        word = np.flatnonzero((after >= -EARLY_S) & (after <= LATE_S))
        other = np.flatnonzero((after < -UNSURE_S) | (after > UNSURE_S + 0.2))
        return [(POSITIVE, word), (ORDINARY, other)]
    heard = np.flatnonzero((ends > scene.starts + FIRST) & (after < HEARD_S))
    return [(scene.kind, heard)]


def train(
    scenes: Sequence[Heard], seed: int, *, rounds: int = ROUNDS, batches: int = BATCHES
) -> Head:
    """Train a head by Adam on the logistic loss; the same scenes and seed give the same head."""
    windows, random = Windows(scenes), np.random.default_rng(seed)
    mean, deviation = windows.statistics()
    windows.scale(mean, deviation)
    inputs = WINDOW[0] * WINDOW[1]
    weights = [
        (random.standard_normal((inputs, UNITS)) / np.sqrt(inputs)).astype(np.float32),
        np.zeros(UNITS, np.float32),
        (random.standard_normal(UNITS) / np.sqrt(UNITS)).astype(np.float32),
        np.zeros(1, np.float32),
    ]
    adam, starts = _Adam(weights, rounds * batches), windows.starts
    noise = NOISE * random.standard_normal((NOISES + BATCH, inputs), np.float32)
    plain = Head(np.zeros_like(mean), np.ones_like(mean), *weights)
    for _ in range(rounds):
        hard = {
            group: _hardest(plain, windows, starts[group], HARD[group[0]], random)
            for group in starts
            if group[0] != POSITIVE
        }
        for _ in range(batches):
            batch, truth = _batch(starts, hard, random)
            x = windows.take(batch).reshape(len(batch), inputs)
            first = int(random.integers(NOISES))
            adam.step(_gradients(weights, x + noise[first : first + len(batch)], truth))
    return Head(mean, np.float32(1) / deviation, *weights)


def _batch(
    starts: dict[tuple[str, str], Rows],
    hard: dict[tuple[str, str], Rows],
    random: np.random.Generator,
) -> tuple[Rows, Floats]:
    """Return the rows of a batch, and the truth; half of the negatives of a group are hard ones."""
    words, others = list[Rows](), list[Rows]()
    for group, rows in starts.items():
        if group in hard:
            others.append(random.choice(rows, MIX[group] // 2))
            others.append(random.choice(hard[group], MIX[group] - MIX[group] // 2))
        else:
            words.append(random.choice(rows, MIX[group]))
    batch = np.concatenate([*words, *others])
    truth = np.zeros(len(batch), np.float32)
    truth[: sum(map(len, words))] = 1
    return batch, truth


def _hardest(
    head: Head, windows: Windows, starts: Rows, share: float, random: np.random.Generator
) -> Rows:
    """Return the windows that the head finds most like the word, of at most ``LOOKED_AT``."""
    some = random.choice(starts, min(LOOKED_AT, len(starts)), replace=False)
    parts = np.array_split(some, 1 + len(some) // 4096)
    found = [head.logits(windows.take(part)) for part in parts]
    most = max(1, int(share * len(some)))
    return some[np.argsort(-np.concatenate(found), kind="stable")[:most]]


def _gradients(weights: list[Floats], x: Floats, truth: Floats) -> list[Floats]:
    hidden = x @ weights[0] + weights[1]
    active = np.maximum(hidden, 0)
    logits = np.clip(active @ weights[2] + weights[3][0], -30, 30)
    error = (1 / (1 + np.exp(-logits)) - truth) / len(truth)
    back = np.outer(error, weights[2]) * (hidden > 0)
    return [x.T @ back, back.sum(0), active.T @ error, error.sum(keepdims=True)]


class _Adam:
    """Adam with decoupled decay and a rate that falls to zero. For one thread."""

    def __init__(self, weights: list[Floats], steps: int) -> None:
        self._weights, self._steps, self._done = weights, steps, 0
        self._first = [np.zeros_like(each) for each in weights]
        self._second = [np.zeros_like(each) for each in weights]

    def step(self, gradients: list[Floats]) -> None:
        self._done += 1
        rate = RATE * 0.5 * (1 + np.cos(np.pi * self._done / self._steps))
        moments = zip(self._weights, gradients, self._first, self._second, strict=True)
        for weight, gradient, first, second in moments:
            np.add(first, 0.1 * (gradient - first), out=first)
            np.add(second, 0.001 * (gradient**2 - second), out=second)
            update = first / (1 - 0.9**self._done)
            update /= np.sqrt(second / (1 - 0.999**self._done)) + 1e-8
            update += DECAY * weight * (weight.ndim > 1)
            np.subtract(weight, np.float32(rate) * update, out=weight)
