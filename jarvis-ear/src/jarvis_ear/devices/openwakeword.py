"""OpenWakeWord: the wake-word networks of openWakeWord, driven directly.

``ORT_DISABLE_TELEMETRY`` is set before onnxruntime is imported anywhere: without it the import
looks up a host of its vendor and writes a database into the home directory.
"""

import copy
import importlib.util
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from jarvis_ear.config import HEY_JARVIS, SHIPPED_WORDS
from jarvis_ear.devices.wake_head import Floats, WakeHead
from jarvis_ear.errors import ConfigError
from jarvis_ear.hearing.wake import SecondLook
from jarvis_ear.units import STEP_SAMPLES

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

MODEL_FOLDERS: Final = (
    ("jarvis_ear_models", "models"),
    ("openwakeword", "resources/models"),
)
"""The packages that hold the models, each with its folder of them, in the order of the search.

``jarvis-ear-models`` is what pip installs. It has the files of openwakeword 0.4.0, without what the
code of openwakeword requires."""


def shipped_model(name: str) -> Path:
    """Return the path of a model file that is installed, without importing its package.

    An import of openwakeword would load scipy and scikit-learn, which we do not use: 200 MB and
    4 s. Raises ConfigError if no installed package holds the file.
    """
    found = []
    for package, folder in MODEL_FOLDERS:
        spec = importlib.util.find_spec(package)
        for place in (spec and spec.submodule_search_locations) or ():
            found.append(package)
            path = Path(place) / folder / name
            if path.is_file():
                return path
    if not found:
        raise ConfigError(
            "the wake-word models are not installed: pip install jarvis-ear-models "
            "(or --no-deps openwakeword==0.4.0)"
        )
    raise ConfigError(
        f"{' and '.join(found)}: there is no {name}, expected the models of openwakeword 0.4.0 "
        "(later versions have none)"
    )


def model_of(word: str) -> Path:
    """Return the path of the classifier of a wake word: of the wheel, or another file."""
    is_shipped = word in SHIPPED_WORDS
    return shipped_model(f"{word}_v0.1.onnx") if is_shipped else Path(word)


def open_model(path: Path, content: bytes | None = None) -> Any:  # noqa: ANN401 - onnxruntime has no type for it
    """Load a model that runs in one thread, without spinning between runs.

    By default onnxruntime keeps a pool of threads spinning: four times the work. ``content`` stands
    in for that of the file.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only
    try:
        model = content or str(path)
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # onnxruntime raises a different class for each way a file can be bad, all plain Exceptions
        raise ConfigError(
            f"{path} is not a model that onnxruntime can load, expected .onnx: {error}"
        ) from error


MEL_OVERLAP: Final = 480
"""Samples of the previous step that the mel network gets again (three hops of 160)."""
MEL_FRAMES: Final = 76
"""Mel frames per embedding."""
MEL_BANDS: Final = 32
MEL_PER_STEP: Final = 8
"""Mel frames added per step."""
EMBEDDING: Final = 96
"""Numbers in one embedding."""
EMBEDDING_WINDOW: Final = 16
"""Embeddings per score."""

EARLIER: Final = (2, 4, 6)
"""Mel frames by which the steps are cut earlier for the second look: 20, 40 and 60 ms."""
MEL_WINDOW: Final = MEL_FRAMES + (EMBEDDING_WINDOW - 1) * MEL_PER_STEP
"""Mel frames of one score."""
MEL_HISTORY: Final = MEL_WINDOW + max(EARLIER)

VERIFIED_STEPS: Final = 4
"""Steps whose windows the verifier hears: its best moment is up to 240 ms before the score's."""
EMBEDDING_HISTORY: Final = EMBEDDING_WINDOW + VERIFIED_STEPS - 1

_ONE_WINDOW: Final = (b"\x0a\x02\x08\x4c", struct.pack("<4q", -1, 1, MEL_FRAMES, 34))
_ANY_LENGTH: Final = (b"\x0a\x02\x12\x00", struct.pack("<4q", 1, 1, -1, 34))
"""The two places of the embedding network that hold the length of its input, in the encoding of
ONNX: a dimension of the input, and the shape of the first reshape."""


def any_length(network: bytes) -> bytes:
    """Return the embedding network of openWakeWord with an input of any length.

    Its convolutions are not padded in time, so one run over a window and n further steps returns
    the same n + 1 embeddings, to the bit, as n + 1 runs; three of them take 40 % of the time.
    Raises ConfigError for another network.
    """
    for one_window, free in zip(_ONE_WINDOW, _ANY_LENGTH, strict=True):
        if network.count(one_window) != 1:
            raise ConfigError("the embedding network is not that of openwakeword 0.4.0")
        network = network.replace(one_window, free)
    return network


class OpenWakeWord:
    """openWakeWord detector of one or more words. Lives in the ear thread.

    A classifier for each word, and one for the ``stop_model``, score the same embeddings. "Hey
    jarvis" alone is verified, by our own head.
    """

    def __init__(
        self, words: Sequence[str] = (HEY_JARVIS.model,), stop_model: Path | None = None
    ) -> None:
        """``words``: names of shipped models, or paths. Raises ConfigError."""
        self._mel = open_model(shipped_model("melspectrogram.onnx"))
        network = shipped_model("embedding_model.onnx")
        self._embedding = open_model(network, any_length(network.read_bytes()))
        self._classifiers = [_Classifier(model_of(word)) for word in words]
        self._verifiers = [WakeHead() if word == HEY_JARVIS.model else None for word in words]
        self._stop_classifier = None if stop_model is None else _Classifier(stop_model)
        self._sound: Floats = np.zeros(MEL_OVERLAP, np.float32)
        self._mels: Floats = np.zeros((MEL_HISTORY, MEL_BANDS), np.float32)
        self._embeddings: Floats = np.zeros((EMBEDDING_HISTORY, EMBEDDING), np.float32)
        self._windows: list[Floats] = []
        self._cuts: tuple[int, list[Floats]] | None = None  # of the step that was looked at
        try:
            self._remember_silence()
        except Exception as error:
            # onnxruntime raises a different class for each way a model can be unfit
            models = " or ".join(str(each) for each in (*words, stop_model) if each)
            raise ConfigError(f"{models} cannot be run as a wake word: {error}") from error

    def twin(self) -> "OpenWakeWord":
        """Return a detector with the same networks, for another stream of sound."""
        twin = copy.copy(self)  # the history is replaced, never changed in place
        twin.reset()
        return twin

    def reset(self) -> None:
        """Forget the sound so far: the history becomes digital silence."""
        self._sound, self._mels, self._embeddings = self._silence

    def score(self, pcm: bytes) -> list[float]:
        """Process whole steps (n x 2 560 bytes of PCM16); return a score of word 0 for each."""
        sound = np.frombuffer(pcm, np.int16).astype(np.float32)
        steps = len(sound) // STEP_SAMPLES
        self._hear(sound, steps)
        embeddings = self._embeddings[-(EMBEDDING_WINDOW + steps - 1) :]
        self._windows = [embeddings[step : step + EMBEDDING_WINDOW] for step in range(steps)]
        self._cuts = None
        return self.score_word(0)

    def score_word(self, word: int) -> list[float]:
        """Return the scores of a word for the steps of the last ``score``; 15 to 70 us a step."""
        return self._classifiers[word].scores(self._windows)

    def look_again(self, step: int, word: int = 0) -> SecondLook:
        """Score a step with other cuts, and verify it, see ``WakeModel``; 7 ms.

        The mel frames of other cuts are the same but for sound 80 dB below the loudest of its step,
        so only the embeddings are computed anew, once for all words.
        """
        steps = len(self._windows)
        if self._cuts is None or self._cuts[0] != step:
            end = len(self._mels) - (steps - 1 - step) * MEL_PER_STEP
            mels = [self._mels[end - MEL_WINDOW - earlier : end - earlier] for earlier in EARLIER]
            self._cuts = step, [self._embed(each) for each in mels]
        cuts = self._cuts[1]
        score = max(self._classifiers[word].scores(cuts))
        verifier = self._verifiers[word]
        if verifier is None:
            return SecondLook(score, None)
        last = len(self._embeddings) - (steps - 1 - step)
        own = [
            self._embeddings[last - back - EMBEDDING_WINDOW : last - back]
            for back in range(VERIFIED_STEPS)
        ]
        return SecondLook(score, max(verifier.logit(window) for window in (*own, *cuts)))

    def score_stop(self) -> list[float]:
        """Return the scores of the stop word for the steps of the last ``score``, if it is one."""
        stop = self._stop_classifier
        return [] if stop is None else stop.scores(self._windows)

    def _hear(self, sound: Floats, steps: int) -> None:
        heard = np.concatenate((self._sound, sound))
        self._sound = heard[-MEL_OVERLAP:]
        found = [self._listen(heard[n * STEP_SAMPLES :]) for n in range(steps)]
        more = (steps - 1) * MEL_PER_STEP
        self._mels = np.concatenate((self._mels, *found))[-MEL_HISTORY - more :]
        embeddings = self._embed(self._mels[-MEL_FRAMES - more :])
        kept = EMBEDDING_HISTORY + steps - 1
        self._embeddings = np.concatenate((self._embeddings, embeddings))[-kept:]

    def _listen(self, heard: Floats) -> Floats:
        """Return the mel frames of the first step of ``heard``, which begins with the overlap.

        One step at a time: the network measures loudness relative to the loudest of its input.
        """
        step = heard[None, : MEL_OVERLAP + STEP_SAMPLES]
        mels: Floats = self._mel.run(None, {"input": step})[0].reshape(-1, MEL_BANDS) / 10 + 2
        return mels

    def _embed(self, mels: Floats) -> Floats:
        """Return the embeddings of the windows that begin every ``MEL_PER_STEP`` frames."""
        found: Floats = self._embedding.run(None, {"input_1": mels[None, ..., None]})[0]
        return found.reshape(EMBEDDING, -1).T

    def _remember_silence(self) -> None:
        """Fill the history with silence; openWakeWord fills it with random noise."""
        quiet = bytes(2 * STEP_SAMPLES)
        for _ in range(EMBEDDING_WINDOW + MEL_FRAMES // MEL_PER_STEP + 1):
            self.score(quiet)
        for word in range(1, len(self._classifiers)):
            self.score_word(word)
        self.score_stop()
        self._silence = (self._sound, self._mels, self._embeddings)


class _Classifier:
    """A classifier of openWakeWord for one word. Lives in the ear thread."""

    def __init__(self, path: Path) -> None:
        """Open the model, or raise ConfigError if it is none for one word."""
        self._model = open_model(path)
        inputs = [node.shape for node in self._model.get_inputs()]
        outputs = [node.shape for node in self._model.get_outputs()]
        expected = [[EMBEDDING_WINDOW, EMBEDDING]]
        if [shape[1:] for shape in inputs] != expected or outputs[0][1:] != [1]:
            raise ConfigError(
                f"{path} is not an openWakeWord classifier of one word: {inputs} to {outputs}, "
                f"expected [[1, {EMBEDDING_WINDOW}, {EMBEDDING}]] to [[1, 1]]"
            )
        self._input = str(self._model.get_inputs()[0].name)
        self._takes_one = isinstance(inputs[0][0], int)  # window in each run

    def scores(self, windows: Sequence[Floats]) -> list[float]:
        """Return the scores of windows of embeddings, 0 ... 1; as one by one, to the bit."""
        if self._takes_one:
            return [float(self._run(window[None])[0]) for window in windows]
        return [float(score) for score in self._run(np.stack(windows))]

    def _run(self, windows: Floats) -> Floats:
        found: Floats = self._model.run(None, {self._input: windows})[0].reshape(-1)
        return found
