"""Loudspeaker: finds a chirp that was played in what the microphone heard. Pure."""

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy import fft

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.units import SAMPLE_RATE, Samples, samples

CHIRP_MS: Final = 200
"""Length of the chirp: short enough to be no nuisance, long enough to be found in noise."""

CHIRP_HZ: Final = (500, 4000)
"""From here to there: every loudspeaker plays these, and a room has little noise in them."""

CHIRP_LEVEL: Final = 0.25
"""Amplitude, -12 dBFS: as loud as a reply."""

EDGE_MS: Final = 10
"""Length of the fades at both ends, so that there is no click."""

LEAST_CLEARNESS: Final = 4.0
"""Ratio of the highest peak to the next one from which it is the chirp. Measured: at most 1.5 in
white noise alone, and 8 and more with a chirp as loud as the noise."""

NEAR_PEAK: Final = samples(20)
"""Distance within which peaks belong to the highest one: the first reflections."""

WINDOW: Final = samples(20)
"""Sound of one measurement of the tail."""

ABOVE_FLOOR: Final = 10 ** (10 / 10)
"""10 dB as a ratio of energies: what is louder after the chirp is its echo."""

EXPECTED_TAIL: Final = samples(300)
"""Echo of a reply that the ear allows for anyway, see ``hearing.person_level.REPLY_TAIL``."""

LEAST_LAG_MS: Final = 30
"""A shorter delay is that of the air and of one frame, and needs no option."""

Floats = npt.NDArray[np.float64]


class HeardChirp(NamedTuple):
    """Where the microphone heard the chirp."""

    at: Samples
    """First sample of the chirp in the sound of the microphone."""
    tail: Samples
    """Time from its end until its echo is within 10 dB of the noise."""
    clearness: float
    """Ratio of the peak of the correlation to the next one."""


def chirp() -> Floats:
    """Return the chirp: a tone that rises, -1 ... 1, at 16 kHz."""
    count = samples(CHIRP_MS)
    time = np.arange(count) / SAMPLE_RATE
    low, high = CHIRP_HZ
    phase = 2 * math.pi * (low * time + (high - low) * time**2 / (2 * time[-1]))
    edge = np.minimum(1, np.minimum(np.arange(count), np.arange(count)[::-1]) / samples(EDGE_MS))
    result: Floats = np.sin(phase) * edge
    return result


def chirp_wav(volume: float = CHIRP_LEVEL) -> bytes:
    """Return a WAV file with the chirp."""
    return pcm_to_wav(np.rint(chirp() * volume * 32767).astype("<i2").tobytes())


def find_chirp(pcm: npt.NDArray[np.int16]) -> HeardChirp | None:
    """Find the chirp in sound at 16 kHz; None: it is not in it."""
    wanted = chirp()
    if len(pcm) < 2 * len(wanted):
        return None
    sound = pcm.astype(np.float64)
    length = len(sound) + len(wanted)
    spectrum = fft.rfft(sound, length) * np.conj(fft.rfft(wanted, length))
    found = np.abs(fft.irfft(spectrum, length))[: len(sound) - len(wanted)]
    at = int(np.argmax(found))
    others = np.concatenate([found[: max(0, at - NEAR_PEAK)], found[at + NEAR_PEAK :]])
    clearness = float(found[at] / max(1e-9, others.max(initial=0.0)))
    if clearness < LEAST_CLEARNESS:
        return None
    end = at + len(wanted)
    return HeardChirp(Samples(at), _tail(sound, at, end), clearness)


def lag_ms(delay: Samples, tail: Samples) -> int:
    """Return the value of ``speaker.lag_ms`` for a delay beyond what the loudspeaker reports.

    An echo that is longer than the ear expects counts as a part of it.
    """
    late = max(0, delay) + max(0, tail - EXPECTED_TAIL)
    rounded = math.ceil(1000 * late / SAMPLE_RATE / 10) * 10
    return 0 if rounded < LEAST_LAG_MS else min(rounded, 2000)


def _tail(sound: Floats, begin: int, end: int) -> Samples:
    """Return how long after its end the chirp is heard."""
    before = _energies(sound[:begin])
    after = _energies(sound[end:])
    rest = before if len(before) else after[len(after) // 2 :]
    floor = float(np.median(rest)) if len(rest) else 0.0
    for window, energy in enumerate(after):
        if energy <= ABOVE_FLOOR * max(1.0, floor):
            return Samples(window * WINDOW)
    return Samples(len(after) * WINDOW)


def _energies(sound: Floats) -> Floats:
    windows = sound[: len(sound) // WINDOW * WINDOW].reshape(-1, WINDOW)
    result: Floats = np.square(windows).mean(axis=1)
    return result
