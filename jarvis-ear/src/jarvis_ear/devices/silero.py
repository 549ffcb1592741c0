"""SpeechModel by silero VAD (version 4, as it comes in the openwakeword wheel)."""

from typing import Final

import numpy as np

from jarvis_ear.devices.onnx import open_model, shipped_model
from jarvis_ear.units import SAMPLE_RATE

WINDOW: Final = 512
"""Samples of one run: 32 ms, the shortest the network was trained on."""

_STATE_SHAPE: Final = (2, 1, 64)
_RATE: Final = np.array(SAMPLE_RATE, np.int64)


class Silero:
    """Knows speech from noise, at about 0.2 ms a window. Lives in the ear thread."""

    def __init__(self) -> None:
        self._model = open_model(shipped_model("silero_vad.onnx"))
        self.reset()

    def reset(self) -> None:
        """Forget the sound so far."""
        self._h = np.zeros(_STATE_SHAPE, np.float32)
        self._c = np.zeros(_STATE_SHAPE, np.float32)
        self._waiting = np.empty(0, np.float32)
        self._probability = 0.0

    def probability(self, pcm: bytes, gain: float) -> float:
        """Take in PCM16; how likely is it speech, 0 ... 1, by the last whole window.

        ``gain`` multiplies the samples first: the network is deaf to very quiet speech.
        """
        sound = np.frombuffer(pcm, np.int16).astype(np.float32) * np.float32(gain / 32768)
        self._waiting = np.concatenate((self._waiting, np.clip(sound, -1, 1)))
        while len(self._waiting) >= WINDOW:
            window, self._waiting = self._waiting[:WINDOW], self._waiting[WINDOW:]
            self._probability = self._run(window)
        return self._probability

    def _run(self, window: np.ndarray) -> float:
        inputs = {"input": window[None], "sr": _RATE, "h": self._h, "c": self._c}
        found, self._h, self._c = self._model.run(None, inputs)
        return float(found.squeeze())
