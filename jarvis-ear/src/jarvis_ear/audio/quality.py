"""Quality of a recording: levels, noise, clipping, offset, hum, dropouts and dead channels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.level import FULL_SCALE, SHARE, SILENCE, level
from jarvis_ear.units import Dbfs

Pcm = npt.NDArray[np.int16]
Power = npt.NDArray[np.float64]

WINDOW_MS: Final = 100
"""Length of one level: a syllable, as for the loudness of a wake word."""

LOUD_SHARE: Final = 20
"""One level in twenty is louder than that of the speech: the stressed syllables."""

DEAD_SPAN: Final = 2
"""The last bit up and down: a channel with no larger range holds no sound."""

MAINS_HZ: Final = (50, 60)
"""Frequencies of the mains: one of the two in every country."""

HARMONICS: Final = 8
"""Multiples of the mains frequency that are looked at, up to 400 or 480 Hz."""

LINE_HZ: Final = 2
"""Half the width of a line in a spectrum of one second with a Hann window."""

BESIDE_HZ: Final = (5, 20)
"""Distances from a line at which the noise beside it is measured."""

LINE_DB: Final = 10.0
"""How far a line must stand out. With the median of all seconds, speech leaves no line."""

LEAST_LINES: Final = 2
"""Lines of the mains that must stand out; a single one may be a fan or a fridge."""

FAINTEST_HUM: Final = Dbfs(-75.0)
"""A hum below this is no louder than the noise of a good microphone."""

DROPOUT_MS: Final = (5, 500)
"""Shortest and longest stretch of one value in the middle of sound that counts as a dropout."""

DROPOUT_LEVEL: Final = Dbfs(-55.0)
"""Level at both edges of a dropout: quieter sound may well rest on one value."""

_NEAR_ZERO: Final = 32
"""Distance from the offset, in samples, within which a dropout rests."""


@dataclass(frozen=True, slots=True)
class Hum:
    """Lines of the mains in a spectrum. A value."""

    mains_hz: int
    """50 or 60."""
    level: Dbfs
    """Energy of all its lines, on the scale where a full-scale sine is 0."""
    lines_hz: tuple[int, ...]
    """Frequencies that stand out."""


@dataclass(frozen=True, slots=True)
class ChannelQuality:
    """Measurements of one channel. A value."""

    rms: Dbfs
    """Energy of all of it, on the scale where a full-scale sine is 0; so are the next two."""
    peak: Dbfs
    """Loudest sample, on the scale where a full-scale sample is 0."""
    noise_floor: Dbfs
    """Level that one tenth-of-a-second in ten stays below: the room without speech."""
    loud: Dbfs
    """Level that one in twenty exceeds: speech, if there is any."""
    clipped_share: float
    """Share of samples at either end of the scale, 0 ... 1."""
    offset: float
    """Mean of the samples as a share of full scale, -1 ... 1."""
    dropouts: int
    """Stretches of one value in the middle of sound."""
    hum: Hum | None
    """None: the mains cannot be heard."""
    is_dead: bool
    """Whether it holds one value, or only the last bit moves."""

    @property
    def snr_db(self) -> float:
        """Distance between speech and noise, in dB. Without speech it is near 0."""
        return self.loud - self.noise_floor


def measure(sound: Pcm, rate: int) -> ChannelQuality:
    """Measure one channel of PCM16 at ``rate`` samples per second; empty sound counts as dead."""
    if len(sound) == 0:
        return ChannelQuality(SILENCE, SILENCE, SILENCE, SILENCE, 0, 0, 0, None, is_dead=True)
    whole = level(sound.astype("<i2").tobytes())
    mean = float(sound.mean())
    centred = sound.astype(np.float64) - mean
    levels = sorted(_levels(centred, rate * WINDOW_MS // 1000))
    is_dead = int(sound.max()) - int(sound.min()) <= DEAD_SPAN
    return ChannelQuality(
        rms=whole.rms,
        peak=whole.peak,
        noise_floor=levels[len(levels) // SHARE],
        loud=levels[len(levels) - 1 - len(levels) // LOUD_SHARE],
        clipped_share=whole.clipped / len(sound),
        offset=mean / FULL_SCALE,
        dropouts=0 if is_dead else _dropouts(sound, centred, rate),
        hum=None if is_dead else find_hum(centred, rate),
        is_dead=is_dead,
    )


def levels_quality(levels: Sequence[float], clipped_share: float) -> ChannelQuality:
    """Return what the levels of frames, measured by another program, tell about a channel."""
    ordered = sorted(map(Dbfs, levels)) or [SILENCE]
    count = len(ordered)
    mean = sum(10 ** (each / 10) for each in ordered) / count
    return ChannelQuality(
        rms=Dbfs(max(SILENCE, 10 * math.log10(mean))),
        peak=ordered[-1],
        noise_floor=ordered[count // SHARE],
        loud=ordered[count - 1 - count // LOUD_SHARE],
        clipped_share=clipped_share,
        offset=0.0,
        dropouts=0,
        hum=None,
        is_dead=ordered[-1] <= SILENCE,
    )


def _levels(centred: Power, window: int) -> list[Dbfs]:
    """Return the level of each window; of all of it if it is shorter than one."""
    count = max(1, len(centred) // window)
    return [_dbfs(2 * float(np.mean(part * part))) for part in np.array_split(centred, count)]


def _dbfs(square: float) -> Dbfs:
    """Return the level of a squared amplitude."""
    if square <= 0:
        return SILENCE
    return Dbfs(max(SILENCE, 10 * math.log10(square / FULL_SCALE**2)))


def find_hum(centred: Power, rate: int) -> Hum | None:
    """Find the mains in sound without an offset. Needs a second of it; else there is no hum."""
    if len(centred) < rate:
        return None
    spectrum = _spectrum(centred, rate)
    found = [_lines(spectrum, mains_hz) for mains_hz in MAINS_HZ]
    hum = max(found, key=lambda each: each.level)
    is_heard = len(hum.lines_hz) >= LEAST_LINES and hum.level >= FAINTEST_HUM
    return hum if is_heard else None


def _spectrum(centred: Power, rate: int) -> Power:
    """Return the squared amplitude of a sine for each Hz: the median of all half seconds."""
    window = np.hanning(rate)
    starts = range(0, len(centred) - rate + 1, rate // 2)
    parts = [np.abs(np.fft.rfft(centred[at : at + rate] * window)) ** 2 for at in starts]
    median: Power = np.median(parts, axis=0)
    return median * 4 / (rate * float(np.sum(window * window)))


def _lines(spectrum: Power, mains_hz: int) -> Hum:
    """Return what stands out at the multiples of a frequency."""
    near, far = BESIDE_HZ
    square, lines = 0.0, []
    for line_hz in range(mains_hz, mains_hz * HARMONICS + 1, mains_hz):
        line = spectrum[line_hz - LINE_HZ : line_hz + LINE_HZ + 1]
        below = spectrum[line_hz - far : line_hz - near]
        above = spectrum[line_hz + near + 1 : line_hz + far + 1]
        beside = float(np.median(np.concatenate((below, above)))) * len(line)
        if float(line.sum()) > beside * 10 ** (LINE_DB / 10):
            square += float(line.sum())
            lines.append(line_hz)
    return Hum(mains_hz, _dbfs(square), tuple(lines))


def _dropouts(sound: Pcm, centred: Power, rate: int) -> int:
    """Count stretches of one value near the offset between two stretches of sound."""
    shortest, longest = (rate * ms // 1000 for ms in DROPOUT_MS)
    edges = np.flatnonzero(sound[1:] != sound[:-1]) + 1
    starts = np.concatenate(([0], edges))
    lengths = np.diff(np.concatenate((starts, [len(sound)])))
    long = (lengths >= shortest) & (lengths <= longest)
    return sum(
        _is_dropout(centred, int(start), int(start + length), shortest)
        for start, length in zip(starts[long], lengths[long], strict=True)
    )


def _is_dropout(centred: Power, start: int, end: int, edge: int) -> bool:
    before, after = centred[max(0, start - edge) : start], centred[end : end + edge]
    if len(before) < edge or len(after) < edge or abs(centred[start]) > _NEAR_ZERO:
        return False
    quieter = min(float(np.mean(before * before)), float(np.mean(after * after)))
    return _dbfs(2 * quieter) >= DROPOUT_LEVEL
