"""WakeHead: our own classifier of "hey jarvis" on the embeddings of openWakeWord.

``tools/train_wake_head.py`` trains it; ``docs/wake-head.md`` describes its data and its limits.
"""

import hashlib
import io
import zipfile
from importlib import resources
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_ear.errors import ConfigError

Floats = npt.NDArray[np.float32]

WINDOW: Final = (16, 96)
"""Embeddings of a window, and numbers in one."""

FILE: Final = "hey_jarvis_head.npz"
"""Name of the file in the package data folder ``models``."""

SHA256: Final = "dd8137cfddec3a2f53085a78897c8e5c315799f12093620ef26bcaaced7e4796"
"""Of the file."""

UNITS: Final = 64
"""Units of the hidden layer."""

_SHAPES: Final = {
    "mean": WINDOW[1:],
    "scale": WINDOW[1:],
    "hidden": (WINDOW[0] * WINDOW[1], UNITS),
    "hidden_bias": (UNITS,),
    "output": (UNITS,),
    "output_bias": (1,),
}


class WakeHead:
    """The head with its weights; about 10 microseconds a step. Lives in the ear thread.

    It has no state. Raises ConfigError if the file is missing or is not the one that was judged.
    """

    def __init__(self) -> None:
        arrays = _arrays(_content())
        hidden = np.float32(arrays["hidden"])
        scale = np.tile(arrays["scale"], WINDOW[0])
        mean = np.tile(arrays["mean"], WINDOW[0])
        # Both layers take the embeddings as they are: the scaling is a part of the first.
        self._hidden = np.ascontiguousarray((hidden * scale[:, None]).T)
        self._hidden_bias = np.float32(arrays["hidden_bias"] - self._hidden @ mean)
        self._output = np.float32(arrays["output"])
        self._output_bias = float(arrays["output_bias"][0])

    def logit(self, window: Floats) -> float:
        """Return the log of the odds that (16, 96) embeddings end with the wake word.

        Training balanced the two: 0 means that both are as likely among words that sound alike.
        """
        active = np.maximum(self._hidden @ window.reshape(-1) + self._hidden_bias, 0)
        return float(active @ self._output) + self._output_bias


def _content() -> bytes:
    try:
        content = (resources.files("jarvis_ear") / "models" / FILE).read_bytes()
    except OSError as error:
        raise ConfigError(f"the wake head {FILE} is not installed: {error}") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ConfigError(f"the wake head {FILE} is damaged: its SHA-256 is not {SHA256}")
    return content


def _arrays(content: bytes) -> dict[str, npt.NDArray[np.floating]]:
    """Return the arrays of the file, or raise ConfigError."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ConfigError(f"the wake head {FILE} is not an .npz file of arrays: {error}") from error
    shapes = {name: array.shape for name, array in arrays.items()}
    if shapes != _SHAPES:
        raise ConfigError(f"the wake head {FILE} has the arrays {shapes}, expected {_SHAPES}")
    return arrays
