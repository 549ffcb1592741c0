"""A room in real time: what a loudspeaker card plays, and people, reach a microphone card.

Both cards are virtual (``tests/fakes/vmic.py``). The loudspeaker card notes when it plays which
sample, so the room knows the sound of the next moments, and writes that of the microphone ahead.
"""

import threading
import time
from pathlib import Path
from typing import Final, Self

import numpy as np

from bench.sound import Waves, floor, rounded
from fakes.vmic import VirtualCard
from jarvis_ear.units import SAMPLE_RATE

PIECE: Final = 320
"""Samples that are written at once: 20 ms."""

AHEAD_S: Final = 0.05
"""Time by which the sound of the microphone is written before it is heard."""

CARD_RATE: Final = 48_000
FRAME_BYTES: Final = 4

TAPS: Final = 24
"""Samples of the loudspeaker from which one between them is interpolated."""

LOUD: Final = 30
"""Sample value from which the loudspeaker is not silent."""


class LiveRoom:
    """Feeds the microphone card until it is left. The thread of the room, and one that asks.

    ``echo``: the response of the room to one sample of the loudspeaker, its gain included; it is
    ``delay`` samples of the microphone late.
    """

    def __init__(self, card: VirtualCard, delay: int, seed: int) -> None:
        self._card = card
        self._delay_s = delay / SAMPLE_RATE
        self._random = np.random.default_rng(seed)
        self._lock = threading.Lock()  # protects what follows
        self._echo: Waves = np.zeros(1)
        self._gain = 1.0
        self._person: Waves = np.zeros(0)
        self._person_at = 0
        self._sounded_at: int | None = None
        self._written = 0
        self._late = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="room")
        self._tail: Waves = np.zeros(0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def late(self) -> int:
        """Pieces that were written after the microphone had heard noise in their place."""
        return self._late

    def set(self, echo: Waves, gain: float) -> None:
        """Change the room: the response to the loudspeaker, and the gain of the microphone."""
        with self._lock:
            self._echo, self._gain = echo, gain
            self._sounded_at = None

    def sounded_at(self) -> int | None:
        """Return the sample at which the loudspeaker was heard first since ``set``."""
        with self._lock:
            return self._sounded_at

    def say(self, person: Waves, at: int) -> None:
        """Let a person speak at this sample of the microphone."""
        with self._lock:
            self._person, self._person_at = person, at

    def now(self) -> int:
        """Return the number of samples that are written."""
        with self._lock:
            return self._written

    def _run(self) -> None:
        offset = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
        while not (self._card.folder / "lock").exists() and not self._stop.wait(0.01):
            pass
        while not self._stop.wait(0.005):
            try:
                began = self._card.capture_began - offset
            except (OSError, ValueError):
                continue
            due = int((time.monotonic() + AHEAD_S - began) * SAMPLE_RATE)
            with self._lock, (self._card.folder / "in.raw").open("ab") as file:
                while self._written + PIECE <= due:
                    file.write(self._piece(began).tobytes())
                    self._written += PIECE
                    if self._written < due - AHEAD_S * SAMPLE_RATE:
                        self._late += 1

    def _piece(self, began: float) -> np.ndarray:
        """Return the next sound of the microphone. With the lock held."""
        start = self._written
        at = began - self._delay_s + np.arange(start, start + PIECE) / SAMPLE_RATE
        dry = self._loudspeaker(at)
        if self._sounded_at is None and np.abs(dry).max() >= LOUD:
            self._sounded_at = start + int(np.argmax(np.abs(dry) >= LOUD))
        loud = np.tanh(0.8 * dry / 32768) / 0.8
        history = np.concatenate((self._tail, loud))
        length = len(self._echo)
        history = np.concatenate((np.zeros(max(0, length - 1 + PIECE - len(history))), history))
        wet = np.convolve(history[-(length - 1 + PIECE) :], self._echo, "valid")
        self._tail = history[-SAMPLE_RATE:]
        sound = wet + floor(PIECE, self._random)
        first = start - self._person_at
        spoken = self._person[max(0, first) : max(0, first + PIECE)]
        place = max(0, -first)
        sound[place : place + len(spoken)] += spoken[: PIECE - place]
        return rounded(sound * self._gain)

    def _loudspeaker(self, at: Waves) -> Waves:
        """Return what the loudspeaker plays at these times, between its samples."""
        try:
            starts = (self._card.folder / "starts").read_text().splitlines()
            began_ns, first = map(int, starts[-1].split())
        except (OSError, IndexError, ValueError):
            return np.zeros(len(at))
        rate = self._card.bytes_per_s / FRAME_BYTES
        frames = (at - began_ns / 1e9) * rate + first / FRAME_BYTES
        low = int(np.floor(frames[0])) - TAPS
        count = int(frames[-1] - frames[0]) + 2 * TAPS + 2
        if low + count <= first // FRAME_BYTES:
            return np.zeros(len(at))
        played = self._read(low, count, first // FRAME_BYTES)
        whole = np.floor(frames).astype(int)
        taps = np.arange(-TAPS + 1, TAPS + 1)
        part = frames - whole
        # A low pass at 7.2 kHz: the microphone has 16 kHz.
        across = (taps[None, :] - part[:, None]) * (14_400 / CARD_RATE)
        window = 0.5 + 0.5 * np.cos(np.pi * (taps[None, :] - part[:, None]) / (TAPS + 1))
        weights = np.sinc(across) * window * (14_400 / CARD_RATE)
        result: Waves = (played[(whole - low)[:, None] + taps[None, :]] * weights).sum(axis=1)
        return result

    def _read(self, low: int, count: int, first: int) -> Waves:
        start = max(low, first)
        found: Waves = np.zeros(count)
        with Path(self._card.played).open("rb") as file:
            file.seek(start * FRAME_BYTES)
            raw = file.read((low + count - start) * FRAME_BYTES)
        sound = np.frombuffer(raw[: len(raw) // FRAME_BYTES * FRAME_BYTES], "<i2").reshape(-1, 2)
        found[start - low : start - low + len(sound)] = sound[:, 0]
        return found
