"""WakeModel by openWakeWord: its three networks, driven directly.

Sound becomes mel frames (8 a step), 76 mel frames become an embedding, 16 embeddings become a
score. Every stage keeps what the next step needs of it, so a step costs one run of each network.
Of several steps at once (the lookback of the gate) the embeddings are run as one batch.

The warm-up is spent on silence when the model is made: openWakeWord fills its history with random
noise instead, and for 1.28 s its scores are partly of that.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from jarvis_ear.devices.onnx import open_model, shipped_model
from jarvis_ear.errors import ConfigError
from jarvis_ear.units import STEP_SAMPLES

MEL_OVERLAP: Final = 480
"""Samples of the step before that the mel network sees again (three hops of 160)."""
MEL_FRAMES: Final = 76
"""Mel frames one embedding is made of."""
MEL_BANDS: Final = 32
MEL_PER_STEP: Final = 8
"""Mel frames one step adds."""
EMBEDDING: Final = 96
"""Numbers in one embedding."""
WINDOW: Final = 16
"""Embeddings one score is made of."""

Floats = npt.NDArray[np.float32]


class OpenWakeWord:
    """A wake word by openWakeWord, "hey jarvis" unless told otherwise. Lives in the ear thread."""

    def __init__(self, model: Path | None = None) -> None:
        self._mel = open_model(shipped_model("melspectrogram.onnx"))
        self._embedding = open_model(shipped_model("embedding_model.onnx"))
        self._classifier = open_model(model or shipped_model("hey_jarvis_v0.1.onnx"))
        self._input = _classifier_input(self._classifier, model)
        self._sound: Floats = np.zeros(MEL_OVERLAP, np.float32)
        self._mels: Floats = np.zeros((MEL_FRAMES, MEL_BANDS), np.float32)
        self._embeddings: Floats = np.zeros((WINDOW, EMBEDDING), np.float32)
        try:
            self._remember_silence()
        except Exception as error:
            # onnxruntime raises a different class for each way a model can be unfit
            raise ConfigError(f"{model} cannot be run as a wake word: {error}") from error

    def reset(self) -> None:
        """Forget the sound so far, as if there had been digital silence for a long time."""
        self._sound, self._mels, self._embeddings = self._silence

    def score(self, pcm: bytes) -> list[float]:
        """Take in whole steps (n x 2 560 bytes of PCM16) and give one score of 0 ... 1 for each."""
        sound = np.frombuffer(pcm, np.int16).astype(np.float32)
        steps = len(sound) // STEP_SAMPLES
        self._hear(sound, steps)
        windows = self._embeddings[-(WINDOW + steps - 1) :]
        self._embeddings = windows[-WINDOW:]
        return [self._classify(windows[step : step + WINDOW]) for step in range(steps)]

    def _hear(self, sound: Floats, steps: int) -> None:
        heard = np.concatenate((self._sound, sound))
        self._sound = heard[-MEL_OVERLAP:]
        found = [self._listen(heard[n * STEP_SAMPLES :]) for n in range(steps)]
        mels = np.concatenate((self._mels, *found))
        windows = [mels[n * MEL_PER_STEP :][:MEL_FRAMES] for n in range(1, steps + 1)]
        self._mels = windows[-1]
        embeddings = self._embed(np.stack(windows))
        self._embeddings = np.concatenate((self._embeddings, embeddings))

    def _listen(self, heard: Floats) -> Floats:
        """Mel frames of the first step of ``heard``, which begins with the overlap.

        One step at a time: the network measures loudness against the loudest of what it is given.
        """
        step = heard[None, : MEL_OVERLAP + STEP_SAMPLES]
        mels: Floats = self._mel.run(None, {"input": step})[0].reshape(-1, MEL_BANDS) / 10 + 2
        return mels

    def _embed(self, windows: Floats) -> Floats:
        found: Floats = self._embedding.run(None, {"input_1": windows[..., None]})[0]
        return found.reshape(len(windows), EMBEDDING)

    def _classify(self, window: Floats) -> float:
        return float(self._classifier.run(None, {self._input: window[None]})[0].squeeze())

    def _remember_silence(self) -> None:
        """Fill the history by hearing silence: what openWakeWord fills with random noise."""
        quiet = bytes(2 * STEP_SAMPLES)
        for _ in range(WINDOW + MEL_FRAMES // MEL_PER_STEP + 1):
            self.score(quiet)
        self._silence = (self._sound, self._mels, self._embeddings)


def _classifier_input(classifier: Any, model: Path | None) -> str:  # noqa: ANN401 - as open_model
    """Check that a model is a wake-word classifier of openWakeWord; the name of its input."""
    inputs = [node.shape for node in classifier.get_inputs()]
    outputs = [node.shape for node in classifier.get_outputs()]
    if [shape[1:] for shape in inputs] != [[WINDOW, EMBEDDING]] or outputs[0][1:] != [1]:
        raise ConfigError(
            f"{model} is not an openWakeWord classifier of one word: {inputs} to {outputs}, "
            f"expected [[1, {WINDOW}, {EMBEDDING}]] to [[1, 1]]"
        )
    return str(classifier.get_inputs()[0].name)
