"""Embeddings of scenes by the networks of openwakeword 0.4.0, kept in a folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from bench.sound import Sound
from wake_head.scenes import Scene, Series

from jarvis_ear.devices.openwakeword import (
    EMBEDDING,
    EMBEDDING_WINDOW,
    MEL_BANDS,
    MEL_FRAMES,
    MEL_OVERLAP,
    MEL_PER_STEP,
    any_length,
    open_model,
    shipped_model,
)
from jarvis_ear.devices.wake_head import Floats
from jarvis_ear.units import STEP_SAMPLES

SHARD: Final = 50
"""Scenes in one file."""

Halves = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Heard:
    """A scene as the networks hear it."""

    kind: str
    origin: str
    room: str
    starts: int
    ends: int
    embeddings: Halves
    """(steps + 15, 96): step n has the window that begins at n."""
    scores: Floats
    """Score of the pretrained head for each step. It is compared with; it teaches nothing."""

    def windows(self) -> Floats:
        """Return the windows of all steps: (steps, 16, 96)."""
        views = np.lib.stride_tricks.sliding_window_view(self.embeddings, EMBEDDING_WINDOW, axis=0)
        return views.transpose(0, 2, 1).astype(np.float32)


class Networks:
    """The mel and embedding networks, and the pretrained head. For one thread."""

    def __init__(self) -> None:
        self._mel = open_model(shipped_model("melspectrogram.onnx"))
        network = shipped_model("embedding_model.onnx")
        self._embedding = open_model(network, any_length(network.read_bytes()))
        self._head = open_model(shipped_model("hey_jarvis_v0.1.onnx"))
        self._input = self._head.get_inputs()[0].name
        steps = EMBEDDING_WINDOW + MEL_FRAMES // MEL_PER_STEP
        self._silence = self._mels(np.zeros(steps * STEP_SAMPLES, np.int16))

    def hear(self, sound: Sound) -> tuple[Halves, Floats]:
        """Return the embeddings and the scores of whole steps of sound after silence."""
        steps = len(sound) // STEP_SAMPLES
        mels = np.concatenate((self._silence, self._mels(sound)))
        needed = MEL_FRAMES + MEL_PER_STEP * (EMBEDDING_WINDOW + steps - 2)
        inputs = mels[None, -needed:, :, None]
        found = self._embedding.run(None, {"input_1": inputs})[0].reshape(EMBEDDING, -1).T
        windows = (found[None, step : step + EMBEDDING_WINDOW] for step in range(steps))
        scores = [self._head.run(None, {self._input: each})[0].item() for each in windows]
        return found.astype(np.float16), np.array(scores, np.float32)

    def _mels(self, sound: Sound) -> Floats:
        heard = np.concatenate((np.zeros(MEL_OVERLAP), sound)).astype(np.float32)
        length = MEL_OVERLAP + STEP_SAMPLES
        parts = [
            self._mel.run(None, {"input": heard[None, start : start + length]})[0]
            for start in range(0, len(sound), STEP_SAMPLES)
        ]
        found = np.concatenate([part.reshape(-1, MEL_BANDS) for part in parts]) / 10 + 2
        return np.asarray(found, np.float32)


def heard(series: Series, folder: Path, networks: Networks) -> Iterator[Heard]:
    """Yield the features of all scenes; those that ``folder`` has are read, not made."""
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, series.count, SHARD):
        path, last = folder / f"{first:06}.npz", min(series.count, first + SHARD)
        found = list(_read(path)) if path.exists() else []
        if len(found) < last - first:
            found = [_hear(series.make(number), networks) for number in range(first, last)]
            _write(path, found)
        yield from found[: last - first]


def _hear(scene: Scene, networks: Networks) -> Heard:
    embeddings, scores = networks.hear(scene.sound)
    return Heard(scene.kind, scene.origin, scene.room, scene.starts, scene.ends, embeddings, scores)


def _write(path: Path, shard: list[Heard]) -> None:
    np.savez(
        path,
        texts=np.array([(each.kind, each.origin, each.room) for each in shard]),
        places=np.array([(each.starts, each.ends, len(each.scores)) for each in shard]),
        embeddings=np.concatenate([each.embeddings for each in shard]),
        scores=np.concatenate([each.scores for each in shard]),
    )


def _read(path: Path) -> Iterator[Heard]:
    with np.load(path, allow_pickle=False) as file:
        texts, places = file["texts"], file["places"]
        embeddings, scores = file["embeddings"], file["scores"]
    row = step = 0
    for (kind, origin, room), (starts, ends, steps) in zip(texts, places, strict=True):
        rows = steps + EMBEDDING_WINDOW - 1
        yield Heard(
            str(kind), str(origin), str(room), int(starts), int(ends),
            embeddings[row : row + rows], scores[step : step + steps],
        )  # fmt: skip
        row, step = row + rows, step + steps
