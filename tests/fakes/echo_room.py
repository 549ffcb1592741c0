"""A loudspeaker in a room with a microphone, simulated: far end, person and microphone as PCM16."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RATE = 16_000
Pcm = npt.NDArray[np.int16]
Waves = npt.NDArray[np.float64]


def voice(seed: int, seconds: float) -> Waves:
    """Make syllables of a pitched, filtered buzz with pauses: the RMS is 0.1 where it is loud."""
    random = np.random.default_rng(seed)
    count = int(seconds * RATE)
    pitch = 110 * 2 ** random.uniform(0, 1) * (1 + 0.1 * np.sin(np.arange(count) / 2000 + seed))
    phase = np.cumsum(pitch / RATE) % 1
    sound = np.where(np.diff(phase, prepend=0) < 0, 1.0, 0.0) + random.normal(0, 0.05, count)
    for at in range(0, count, 2400):
        band = np.fft.rfft(sound[at : at + 2400])
        hertz = np.fft.rfftfreq(len(sound[at : at + 2400]), 1 / RATE)
        peaks = random.uniform((300, 900, 2200), (900, 2200, 3400))
        shape = sum(1 / (1 + ((hertz - peak) / 150) ** 2) for peak in peaks)
        loud = random.uniform(0.2, 1) if random.random() < 0.8 else 0.001
        sound[at : at + 2400] = np.fft.irfft(band * shape * loud, len(sound[at : at + 2400]))
    sound *= 0.1 / np.sqrt(np.mean(sound**2))
    return sound


def room(seed: int, *, reverb: float = 0.5, seconds: float = 0.3) -> Waves:
    """Make the response of a room: the direct sound, and a tail of ``reverb`` times its level."""
    count = int(seconds * RATE)
    tail = np.random.default_rng([seed, 2]).normal(size=count)
    tail *= np.exp(-6.9 * np.arange(count) / count)
    return np.concatenate(([1.0], tail * (reverb / np.sqrt(np.sum(tail**2)))))


def drifting(sound: Waves, drift: float) -> Waves:
    """Play ``sound`` on a clock that is slower by ``drift``: the delay grows."""
    if not drift:
        return sound
    fine = np.fft.irfft(np.fft.rfft(sound), 8 * len(sound)) * 8
    at = np.arange(int(len(sound) / (1 + abs(drift))) - 1) * 8 * (1 - drift)
    late: Waves = np.interp(at, np.arange(len(fine)), fine)
    return late


@dataclass
class Scene:
    """What is played, and what the microphone hears; all of the same length."""

    far: Pcm
    microphone: Pcm
    echo: Waves
    person: Waves

    def residue_db(self, heard: Pcm, since_s: float) -> float:
        """Return the level of what is left of the echo, relative to the echo."""
        since = int(since_s * RATE)
        left = heard[since:] / 32768 - self.person[since : len(heard)]
        return float(10 * np.log10(np.mean(left**2) / np.mean(self.echo[since : len(heard)] ** 2)))


def scene(
    far: Waves,
    *,
    delay_ms: float = 0.0,
    drift: float = 0.0,
    echo_db: float = 0.0,
    person: Waves | None = None,
    reverb: float = 0.5,
    noise: float = 1e-3,
    seed: int = 1,
) -> Scene:
    """Play ``far`` in a room; its echo is ``echo_db`` above 0.05, the level of a person."""
    count = len(far)
    late = np.zeros(int(delay_ms * RATE / 1000))
    sound = np.convolve(drifting(far, drift), room(seed, reverb=reverb))
    echo = np.concatenate((late, sound, np.zeros(count)))[:count]
    echo *= 0.5 * 10 ** (echo_db / 20)
    near = np.random.default_rng([seed, 1]).normal(0, noise, count)
    if person is not None:
        near[: len(person)] += 0.5 * person[:count]
    return Scene(_pcm(far), _pcm(near + echo), echo, near)


def _pcm(waves: Waves) -> Pcm:
    return np.clip(np.rint(waves * 32768), -32768, 32767).astype("<i2")
