"""Shaping: the gain of a reply, sample by sample: volume, ducking and fades."""

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

FADE_S: Final = 0.008
"""Length of a fade: long enough that a cut makes no click, short enough to be none of the silence
that a person waits for."""

DUCK_DB: Final = -12.0
"""Gain while ducked: the reply stays intelligible, and a person over it is found."""

DUCK_S: Final = 0.02
"""Seconds in which the gain falls; with the sound written ahead, ducked within 0.1 s."""

RELEASE_S: Final = 0.3
"""Seconds in which it returns."""

VOLUME_S: Final = 0.02
"""Seconds in which another volume is reached, without a click."""

FULL: Final = 100
"""Highest volume, in per cent: the sound as it was received."""

Gain: TypeAlias = float | npt.NDArray[np.float64]
"""A factor for all samples, or one for each."""


def gain_of(volume: int) -> float:
    """Return the factor of the samples for a volume of 0 to 100 %.

    The cube of the share, as in the software volume of PulseAudio, so that equal steps sound about
    equal: 50 % is -18 dB, 10 % is -60 dB, and 0 % is silence.
    """
    return float((volume / FULL) ** 3)


class Ramp:
    """A value that moves to its target in a number of samples. Pure."""

    def __init__(self, value: float = 1.0) -> None:
        self._from = self._target = value
        self._samples = self._done = 0

    def to(self, target: float, samples: int) -> None:
        """Move from the present value to ``target`` within ``samples``; at once if 0."""
        self._from = float(np.max(self.next(1))) if samples else target
        self._target, self._samples, self._done = target, samples, 0

    def next(self, count: int) -> Gain:
        """Return the value for all of the next ``count`` samples, or one for each."""
        if self._done >= self._samples:
            return self._target
        steps = np.minimum(np.arange(self._done, self._done + count), self._samples)
        return self._from + (self._target - self._from) * steps / self._samples

    def advance(self, count: int) -> None:
        """Pass ``count`` samples."""
        self._done = min(self._done + count, self._samples)


class Shaper:
    """Gain of one output at ``rate`` samples per second. Pure; for one thread."""

    def __init__(self, rate: int, volume: int = FULL, *, ducked: bool = False) -> None:
        self._rate = rate
        self._volume, self._ducked = volume, ducked
        self._level = Ramp(gain_of(volume))
        self._duck = Ramp(_duck_gain(ducked=ducked))
        self._fade = Ramp()

    def set(self, volume: int, *, ducked: bool) -> None:
        """Change to this volume in per cent, and duck or return. Idempotent."""
        if volume != self._volume:
            self._volume = volume
            self._level.to(gain_of(volume), round(VOLUME_S * self._rate))
        if ducked != self._ducked:
            self._ducked = ducked
            seconds = DUCK_S if ducked else RELEASE_S
            self._duck.to(_duck_gain(ducked=ducked), round(seconds * self._rate))

    def fade_out(self) -> int:
        """Fall to silence; return the number of samples that this takes."""
        samples = round(FADE_S * self._rate)
        self._fade.to(0.0, samples)
        return samples

    def fade_in(self) -> None:
        """Rise from silence."""
        self._fade.to(0.0, 0)
        self._fade.to(1.0, round(FADE_S * self._rate))

    def open(self) -> None:
        """Forget a fade: the next sample begins something new."""
        self._fade.to(1.0, 0)

    def shape(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """Return the next samples with their gain, at most 1. ``advance`` passes them."""
        count = len(pcm)
        gain = self._level.next(count) * self._duck.next(count) * self._fade.next(count)
        if isinstance(gain, float) and gain == 1.0:
            return pcm
        shaped: npt.NDArray[np.int16] = np.rint(pcm * gain).astype(np.int16)
        return shaped

    def advance(self, count: int) -> None:
        """Pass ``count`` samples."""
        for ramp in (self._level, self._duck, self._fade):
            ramp.advance(count)


def _duck_gain(*, ducked: bool) -> float:
    return float(10 ** (DUCK_DB / 20)) if ducked else 1.0
