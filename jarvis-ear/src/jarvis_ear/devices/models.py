"""Models: openwakeword, silero and webrtcvad, and the factory that builds an Ear from them.

``ORT_DISABLE_TELEMETRY`` is set before onnxruntime is imported anywhere: without it the import
looks up a host of its vendor and writes a database into the home directory.
"""

import copy
import functools
import hashlib
import importlib.util
import os
import secrets
import struct
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import webrtcvad

from jarvis_ear import config
from jarvis_ear.devices.echo_delays import StoredDelay
from jarvis_ear.errors import ConfigError
from jarvis_ear.hearing.ear import Ear
from jarvis_ear.hearing.own_voice import OwnVoice
from jarvis_ear.hearing.turns import TurnMachine
from jarvis_ear.hearing.utterance import GROWTH_MS
from jarvis_ear.process import save_memory
from jarvis_ear.units import SAMPLE_RATE, STEP_SAMPLES, samples

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime


def shipped_model(name: str) -> Path:
    """Return the path of a model file in the openwakeword wheel, without importing that package.

    The import would load scipy and scikit-learn, which we do not use: 200 MB and 4 s.
    """
    spec = importlib.util.find_spec("openwakeword")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("package openwakeword is not installed; it holds the wake-word models")
    path = Path(spec.submodule_search_locations[0]) / "resources" / "models" / name
    if not path.is_file():
        raise ConfigError(
            f"openwakeword holds no {name}: version 0.4.0 is expected (later ones have no models)"
        )
    return path


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


SPEECH_WINDOW: Final = 512
"""Samples of one run: 32 ms, the shortest window the network was trained on."""

_STATE_SHAPE: Final = (2, 1, 64)
_RATE: Final = np.array(SAMPLE_RATE, np.int64)


_KNOWN_SPEECH_MODEL: Final = "a35ebf52fd3ce5f1469b2a36158dba761bc47b973ea3382b3186ca15b1f5af28"
"""SHA-256 of the file in openwakeword 0.4.0, which is known to load."""


class Silero:
    """Silero speech detector; about 0.2 ms a window. Lives in the ear thread.

    The network takes 8 MiB, and 17 ms to load. It is loaded when it is first needed, unless the
    file is not the one that is known to load. Raises ConfigError.
    """

    def __init__(self) -> None:
        self._path = shipped_model("silero_vad.onnx")
        self._model: Any = None  # an InferenceSession, while it is loaded
        if hashlib.sha256(self._path.read_bytes()).hexdigest() != _KNOWN_SPEECH_MODEL:
            self.load()
        self.reset()

    def load(self) -> None:
        """Load the network. Idempotent."""
        self._model = self._model or open_model(self._path)

    def unload(self) -> None:
        """Free the memory of the network. The state of the detector stays. Idempotent."""
        if self._model is not None:
            self._model = None
            save_memory(at_start=False)

    def reset(self) -> None:
        """Forget the sound so far."""
        self._h = np.zeros(_STATE_SHAPE, np.float32)
        self._c = np.zeros(_STATE_SHAPE, np.float32)
        self._waiting = np.empty(0, np.float32)
        self._probability = 0.0

    def probability(self, pcm: bytes, gain: float) -> float:
        """Process PCM16; return the probability of speech, 0 ... 1, in the last whole window.

        ``gain`` multiplies the samples first: the network does not detect very quiet speech.
        """
        sound = np.frombuffer(pcm, np.int16).astype(np.float32) * np.float32(gain / 32768)
        self._waiting = np.concatenate((self._waiting, np.clip(sound, -1, 1)))
        while len(self._waiting) >= SPEECH_WINDOW:
            window, self._waiting = self._waiting[:SPEECH_WINDOW], self._waiting[SPEECH_WINDOW:]
            self._probability = self._run(window)
        return self._probability

    def _run(self, window: np.ndarray) -> float:
        self.load()
        inputs = {"input": window[None], "sr": _RATE, "h": self._h, "c": self._c}
        found, self._h, self._c = self._model.run(None, inputs)
        return float(found.squeeze())


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

Floats = npt.NDArray[np.float32]

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
    """openWakeWord detector, for "hey jarvis" without another model. Lives in the ear thread.

    A second classifier, the ``stop_model``, scores the same embeddings for another word.
    """

    def __init__(self, model: Path | None = None, stop_model: Path | None = None) -> None:
        self._mel = open_model(shipped_model("melspectrogram.onnx"))
        network = shipped_model("embedding_model.onnx")
        self._embedding = open_model(network, any_length(network.read_bytes()))
        self._classifier = _Classifier(model or shipped_model("hey_jarvis_v0.1.onnx"))
        self._stop_classifier = None if stop_model is None else _Classifier(stop_model)
        self._sound: Floats = np.zeros(MEL_OVERLAP, np.float32)
        self._mels: Floats = np.zeros((MEL_FRAMES, MEL_BANDS), np.float32)
        self._embeddings: Floats = np.zeros((EMBEDDING_WINDOW, EMBEDDING), np.float32)
        try:
            self._remember_silence()
        except Exception as error:
            # onnxruntime raises a different class for each way a model can be unfit
            models = " or ".join(str(each) for each in (model, stop_model) if each)
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
        """Process whole steps (n x 2 560 bytes of PCM16); return one score of 0 ... 1 for each."""
        sound = np.frombuffer(pcm, np.int16).astype(np.float32)
        steps = len(sound) // STEP_SAMPLES
        self._hear(sound, steps)
        embeddings = self._embeddings[-(EMBEDDING_WINDOW + steps - 1) :]
        self._embeddings = embeddings[-EMBEDDING_WINDOW:]
        self._windows = [embeddings[step : step + EMBEDDING_WINDOW] for step in range(steps)]
        return [self._classifier.score(window) for window in self._windows]

    def score_stop(self) -> list[float]:
        """Return the scores of the stop word for the steps of the last ``score``, if it is one."""
        stop = self._stop_classifier
        return [] if stop is None else [stop.score(window) for window in self._windows]

    def _hear(self, sound: Floats, steps: int) -> None:
        heard = np.concatenate((self._sound, sound))
        self._sound = heard[-MEL_OVERLAP:]
        found = [self._listen(heard[n * STEP_SAMPLES :]) for n in range(steps)]
        mels = np.concatenate((self._mels, *found))[MEL_PER_STEP:]
        self._mels = mels[-MEL_FRAMES:]
        self._embeddings = np.concatenate((self._embeddings, self._embed(mels)))

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

    def score(self, window: Floats) -> float:
        """Return the score of one window of embeddings, 0 ... 1."""
        return float(self._model.run(None, {self._input: window[None]})[0].squeeze())


class WebRtcVad:
    """WebRTC's voice activity detector: 2 microseconds a frame. Lives in the ear thread."""

    def __init__(self, aggressiveness: int) -> None:
        self._vad = webrtcvad.Vad(aggressiveness)

    def is_speech(self, pcm: bytes) -> bool:
        """Whether one frame (640 bytes of PCM16) may be speech."""
        return bool(self._vad.is_speech(pcm, SAMPLE_RATE))


class EarFactory:
    """Loads the models, the one slow step of a start, and builds ears. Owned by the main thread.

    The ears belong to the ear thread, which uses one at a time.
    """

    def __init__(self) -> None:
        self._own_voice: OwnVoice | None = None
        self._wake_model = functools.lru_cache(maxsize=1)(OpenWakeWord)
        self._speech_model = functools.cache(Silero)

    def load(self, hearing: config.HearingOptions) -> None:
        """Load the models, or raise ConfigError. That of speech loads its network later."""
        self._wake_model(hearing.wake.model, hearing.wake.stop_model)
        self._speech_model()
        save_memory(at_start=False)

    def make(
        self,
        hearing: config.HearingOptions,
        growth_ms: int = GROWTH_MS,
        *,
        may_interrupt: bool = True,
        echo: StoredDelay | None = None,
        lag_ms: int = 0,
    ) -> Ear:
        """Make an ear that reports every ``growth_ms`` of an utterance, or raise ConfigError.

        It has the models of the ear before it, unless ``hearing`` names other ones, and knows its
        loudspeaker, whose delay is ``echo`` if it is known from an earlier run.
        """
        lag = samples(lag_ms)
        wake = self._wake_model(hearing.wake.model, hearing.wake.stop_model)
        if self._own_voice is None:
            self._own_voice = OwnVoice(wake.twin(), *(echo or ()))
        return Ear(
            hearing,
            gate=WebRtcVad(hearing.gate.aggressiveness),
            wake=wake,
            own_voice=self._own_voice,
            may_interrupt=may_interrupt,
            speech=self._speech_model(),
            machine=TurnMachine(hearing, lambda: secrets.token_hex(4), lag),
            growth_ms=growth_ms,
            lag=lag,
        )


def wake_word(hearing: config.HearingOptions) -> str:
    """Return the name of the wake word."""
    return "Hey Jarvis" if hearing.wake.model is None else hearing.wake.model.stem
