"""Models: silero and webrtcvad, and the factory that builds an Ear from all models."""

import functools
import hashlib
import secrets
from pathlib import Path
from typing import Any, Final

import numpy as np
import webrtcvad

from jarvis_ear import config
from jarvis_ear.devices.echo_delays import StoredDelay
from jarvis_ear.devices.micro_wake_word import LightWakeModel
from jarvis_ear.devices.openwakeword import OpenWakeWord, open_model, shipped_model
from jarvis_ear.hearing.ear import Ear
from jarvis_ear.hearing.own_voice import OwnVoice
from jarvis_ear.hearing.turns import TurnMachine
from jarvis_ear.hearing.utterance import GROWTH_MS
from jarvis_ear.process import save_memory
from jarvis_ear.units import SAMPLE_RATE, samples

SPEECH_WINDOW: Final = 512
"""Samples of one run: 32 ms, the shortest window the network was trained on."""

_STATE_SHAPE: Final = (2, 1, 64)
_RATE: Final = np.array(SAMPLE_RATE, np.int64)


KNOWN_SPEECH_MODEL: Final = "a35ebf52fd3ce5f1469b2a36158dba761bc47b973ea3382b3186ca15b1f5af28"
"""SHA-256 of the file in openwakeword 0.4.0, which is known to load."""


class Silero:
    """Silero speech detector; about 0.2 ms a window. Lives in the ear thread.

    The network takes 8 MiB, and 17 ms to load. It is loaded when it is first needed, unless the
    file is not the one that is known to load. Raises ConfigError.
    """

    def __init__(self) -> None:
        self._path = shipped_model("silero_vad.onnx")
        self._model: Any = None  # an InferenceSession, while it is loaded
        if hashlib.sha256(self._path.read_bytes()).hexdigest() != KNOWN_SPEECH_MODEL:
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


class WebRtcVad:
    """WebRTC's voice activity detector: 2 microseconds a frame. Lives in the ear thread."""

    def __init__(self, aggressiveness: int) -> None:
        self._vad = webrtcvad.Vad(aggressiveness)

    def is_speech(self, pcm: bytes) -> bool:
        """Whether one frame (640 bytes of PCM16) may be speech."""
        return bool(self._vad.is_speech(pcm, SAMPLE_RATE))


def make_wake_model(
    words: tuple[str, ...], stop_model: Path | None = None, effort: str = "best"
) -> LightWakeModel | OpenWakeWord:
    """Load the models of the wake words, see ``config.WakeOptions``. Raises ConfigError."""
    large = OpenWakeWord(words, stop_model)
    return large if effort == "best" else LightWakeModel(words, large)


class EarFactory:
    """Loads the models, the one slow step of a start, and builds ears. Owned by the main thread.

    The ears belong to the ear thread, which uses one at a time.
    """

    def __init__(self) -> None:
        self._own_voice: OwnVoice | None = None
        self._wake_model = functools.lru_cache(maxsize=1)(make_wake_model)
        self._speech_model = functools.cache(Silero)

    def load(self, hearing: config.HearingOptions) -> None:
        """Load the models, or raise ConfigError. That of speech loads its network later."""
        self._wake(hearing.wake)
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
        wake = self._wake(hearing.wake)
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

    def _wake(self, wake: config.WakeOptions) -> LightWakeModel | OpenWakeWord:
        words = tuple(word.model for word in wake.all_words)
        return self._wake_model(words, wake.stop_model, wake.effort)
