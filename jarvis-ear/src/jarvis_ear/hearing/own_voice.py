"""Own voice: what the loudspeaker plays, removed from the microphone and not taken for a person."""

from collections import deque
from collections.abc import Mapping
from typing import Final

import numpy as np

from jarvis_ear.audio.echo_path import EchoPath, SelfEcho
from jarvis_ear.audio.frames import Frame
from jarvis_ear.hearing.wake import WakeModel
from jarvis_ear.units import FRAME_SAMPLES, SAMPLE_BYTES, STEP_SAMPLES, Samples, samples

STEP_BYTES: Final = STEP_SAMPLES * SAMPLE_BYTES

GAP: Final = samples(500)
"""Silence of the loudspeaker after which the wake model begins anew."""

WINDOW_FRAMES: Final = 5
"""100 ms, about a syllable, over which the echo and the person are compared."""

RECENT_FRAMES: Final = 50
"""One second, in which the echo of a reply is measured."""

REMOVED: Final = 0.2
"""Share of the microphone's energy (-7 dB) below which the rest is echo: the canceller works."""

PERSON: Final = 0.5
"""Share (-3 dB) from which the rest is a person who speaks."""

ABOVE_REST: Final = 4.0
"""A person is at least 6 dB louder than what the canceller leaves of the echo."""

FORGET: Final = 0.998
"""Share of the loudest such rest that is remembered after each frame: it halves in 7 s."""

TRUSTED: Final = samples(1000)
"""Sound of a reply of which the echo was removed before a rest is taken for a person."""

RESTORE: Final = samples(700)
"""Time without a person after which the reply is as loud as before."""


class OwnVoice:
    """Knows what the loudspeaker plays. Owned by the ear thread. Costs nothing while it is silent.

    ``delay`` and ``drift`` are those of an earlier run with the same devices, see ``EchoPath``.
    ``far_model`` scores what is played; it must not be the model of the microphone.
    """

    def __init__(
        self, far_model: WakeModel, delay: float | None = None, drift: float | None = None
    ) -> None:
        self._path = EchoPath(delay, drift)
        self._far_model = far_model
        self._self_echo = SelfEcho()
        self._played_until = Samples(0)
        self._unscored = b""
        self._energies: deque[tuple[float, float]] = deque(maxlen=WINDOW_FRAMES)
        self._echo: deque[float] = deque(maxlen=RECENT_FRAMES)  # energies of the microphone
        self._loudest_rest = 0.0
        self._is_spoken: deque[bool] = deque(maxlen=WINDOW_FRAMES)
        self._removed = Samples(0)
        self._person_until = Samples(0)

    @property
    def is_playing(self) -> bool:
        """Whether the newest frame may hold an echo."""
        return self._path.is_playing

    @property
    def delay(self) -> float | None:
        """Samples from the loudspeaker to the microphone; None: not known yet."""
        return self._path.delay

    @property
    def drift(self) -> float:
        """Samples by which that delay grows with each sample."""
        return self._path.drift

    def counters(self) -> Mapping[str, int]:
        """Return how many wake words were the ear's own, and how the canceller fares. Any thread.

        ``echo_passed`` and ``echo_late`` are samples, ``echo_resets`` are counts.
        """
        path = {f"echo_{name}": count for name, count in self._path.counters().items()}
        return {"self_echoes": self._self_echo.vetoed, **path}

    def play(self, pcm: bytes, position: Samples) -> None:
        """Note sound that leaves the loudspeaker at ``position``: PCM16 of any length."""
        if position - self._played_until > GAP:
            self._far_model.reset()
            self._unscored = b""
        self._path.far(pcm, position)
        self._played_until = Samples(position + len(pcm) // SAMPLE_BYTES)
        sound = self._unscored + pcm
        whole = len(sound) // STEP_BYTES * STEP_BYTES
        self._unscored = sound[whole:]
        if not whole:
            return
        first = self._played_until - len(sound) // SAMPLE_BYTES
        for step, score in enumerate(self._far_model.score(sound[:whole]), start=1):
            self._self_echo.add(first + step * STEP_SAMPLES, score)

    def clean(self, frame: Frame) -> Frame:
        """Return the frame without the echo."""
        pcm = self._path.hear(frame.pcm, frame.start)
        if not self._path.is_playing:
            self._forget()
            return frame
        self._energies.append((_energy(frame.pcm), _energy(pcm)))
        self._echo.append(self._energies[-1][0])
        return Frame(frame.start, pcm)

    def hears_person(self, now: Samples, *, speech: bool) -> bool:
        """Whether a person speaks over the sound. ``speech``: the gate's word on the clean frame.

        Call it once for each frame that was cleaned.
        """
        if not self._energies:
            return False
        self._is_spoken.append(speech)
        before, after = (sum(energy) for energy in zip(*self._energies, strict=True))
        self._loudest_rest *= FORGET
        if after < REMOVED * before:
            self._removed = Samples(self._removed + FRAME_SAMPLES)
            self._loudest_rest = max(self._loudest_rest, after)
        is_loud = after >= max(PERSON * before, ABOVE_REST * self._loudest_rest)
        is_speech = len(self._is_spoken) == WINDOW_FRAMES and all(self._is_spoken)
        if is_speech and is_loud and self._removed >= TRUSTED:
            self._person_until = Samples(now + RESTORE)
        return now < self._person_until

    def masks(self, level: float) -> bool:
        """Whether sound of this level, a mean square, may be residual echo."""
        return level * FRAME_SAMPLES < REMOVED * max(self._echo, default=0.0)

    def is_own(self, position: Samples) -> bool:
        """Whether the wake word that was detected at ``position`` is the echo of one."""
        return self._path.is_playing and self._self_echo.is_own(position, self._path.delay)

    def _forget(self) -> None:
        self._energies.clear()
        self._echo.clear()
        self._is_spoken.clear()
        self._removed = Samples(0)
        self._person_until = Samples(0)


def _energy(pcm: bytes) -> float:
    sound = np.frombuffer(pcm, np.int16).astype(np.float32)
    return float(np.dot(sound, sound))
