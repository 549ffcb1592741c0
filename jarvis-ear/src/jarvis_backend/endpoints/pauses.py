"""Utterances in sound that nobody marks: they end where the person pauses."""

from collections import deque
from collections.abc import Iterator
from typing import Final

import webrtcvad

from jarvis_ear.units import FRAME_BYTES, SAMPLE_RATE, frames

ONSET_FRAMES: Final = frames(100)
"""Speech in a row before somebody is believed to talk: shorter is a click."""

HANGOVER_FRAMES: Final = frames(800)
"""Silence that ends an utterance, as in the ear."""

PRE_ROLL_FRAMES: Final = frames(400)
"""Kept from before the onset, with the onset itself: soft first letters."""

AGGRESSIVENESS: Final = 2
"""Of 0 to 3, as in the ear."""


class Pauses:
    """Cuts PCM16 at 16 kHz into utterances, however it is delivered. Lives on the loop.

    Bound: ``most_s`` seconds, where an utterance is cut and given out. What follows until the next
    pause is left out: it is no sentence of its own.
    """

    def __init__(self, most_s: float) -> None:
        self._gate = webrtcvad.Vad(AGGRESSIVENESS)
        self._most_bytes = frames(int(most_s * 1000)) * FRAME_BYTES
        self._partial = b""
        self._before: deque[bytes] = deque(maxlen=PRE_ROLL_FRAMES)
        self._utterance = bytearray()
        self._speech = 0
        self._silence = 0
        self._is_rest = False

    def hear(self, pcm: bytes) -> Iterator[bytes]:
        """Take ``pcm``; return the utterances that are complete with it."""
        data = self._partial + pcm
        whole = len(data) - len(data) % FRAME_BYTES
        self._partial = data[whole:]
        for at in range(0, whole, FRAME_BYTES):
            utterance = self._hear(data[at : at + FRAME_BYTES])
            if utterance:
                yield utterance

    def rest(self) -> bytes:
        """Return the utterance that is under way, and begin anew; empty if there is none."""
        utterance = bytes(self._utterance)
        self._utterance.clear()
        self._before.clear()
        self._speech = self._silence = 0
        self._is_rest = False
        return utterance

    def _hear(self, frame: bytes) -> bytes:
        is_speech = self._gate.is_speech(frame, SAMPLE_RATE)
        if self._is_rest:
            self._silence = 0 if is_speech else self._silence + 1
            self._is_rest = self._silence < HANGOVER_FRAMES
            return b""
        if not self._utterance:
            self._wait(frame, is_speech=is_speech)
            return b""
        self._utterance += frame
        self._silence = 0 if is_speech else self._silence + 1
        is_over, is_full = (
            self._silence >= HANGOVER_FRAMES,
            len(self._utterance) >= self._most_bytes,
        )
        if not is_over and not is_full:
            return b""
        utterance = self.rest()
        self._is_rest = not is_over
        return utterance

    def _wait(self, frame: bytes, *, is_speech: bool) -> None:
        self._before.append(frame)
        self._speech = self._speech + 1 if is_speech else 0
        if self._speech >= ONSET_FRAMES:
            self._utterance += b"".join(self._before)
