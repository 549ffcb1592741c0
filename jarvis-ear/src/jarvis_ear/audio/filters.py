"""Conditioning: a high-pass filter and a gain for a stream of frames.

The high-pass is a second-order Butterworth filter. It is recursive from sample to sample, which
numpy cannot compute; but over the 320 samples of a frame it is a fixed linear map of the samples
and two state variables, so a frame costs one matrix product.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.frames import Frame
from jarvis_ear.audio.wav import float_to_pcm16
from jarvis_ear.units import FRAME_SAMPLES, SAMPLE_RATE

FLATTEST: Final = math.sqrt(0.5)
"""The Q of a Butterworth filter: flat pass band."""

STATES: Final = 2
"""State variables of a second-order filter."""

Matrix = npt.NDArray[np.float64]


class Conditioner:
    """Filters and amplifies one stream of frames. Owned by the ear thread.

    With no edge and no gain, frames pass through unchanged.
    """

    def __init__(self, high_pass_hz: int, gain_db: float) -> None:
        self._is_off = high_pass_hz == 0 and gain_db == 0
        self._through, self._echo, self._store, self._keep = _maps(high_pass_hz)
        self._gain = 10 ** (gain_db / 20)
        self._state = np.zeros(STATES)

    def reset(self) -> None:
        """Clear the filter state: the next frame does not continue the previous one."""
        self._state = np.zeros(STATES)

    def push(self, frame: Frame) -> Frame:
        """Return the frame, filtered and amplified."""
        if self._is_off:
            return frame
        sound = np.frombuffer(frame.pcm, "<i2").astype(np.float64)
        filtered = self._through @ sound + self._echo @ self._state
        self._state = self._store @ sound + self._keep @ self._state
        pcm = float_to_pcm16((filtered * self._gain).astype(np.float32))
        return Frame(frame.start, pcm.astype("<i2", copy=False).tobytes())


def _maps(edge_hz: int) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """Return the maps from frame and old state to the output and to the new state."""
    step, inject, read, direct = _filter(edge_hz)
    powers = [np.eye(STATES)]
    for _ in range(FRAME_SAMPLES):
        powers.append(step @ powers[-1])
    response = [direct, *(float(read @ power @ inject) for power in powers[:-2])]
    ages = np.subtract.outer(np.arange(FRAME_SAMPLES), np.arange(FRAME_SAMPLES))
    through = np.where(ages >= 0, np.array(response)[np.abs(ages)], 0.0)
    echo = np.array([read @ power for power in powers[:-1]])
    store = np.array([power @ inject for power in powers[-2::-1]]).T
    return through, echo, store, powers[-1]


def _filter(edge_hz: int) -> tuple[Matrix, Matrix, Matrix, float]:
    """Return the one-sample filter: state to state, input to state, state to output, gain."""
    if edge_hz == 0:
        return np.zeros((STATES, STATES)), np.zeros(STATES), np.zeros(STATES), 1.0
    angle = 2 * math.pi * edge_hz / SAMPLE_RATE
    width = math.sin(angle) / (2 * FLATTEST)
    scale = 1 / (1 + width)
    outer, inner = scale * (1 + math.cos(angle)) / 2, -scale * (1 + math.cos(angle))
    back1, back2 = -2 * scale * math.cos(angle), scale * (1 - width)
    step = np.array([[-back1, 1.0], [-back2, 0.0]])
    inject = np.array([inner - back1 * outer, outer - back2 * outer])
    return step, inject, np.array([1.0, 0.0]), outer
