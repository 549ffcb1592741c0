"""Voice activity detection: where speech begins, and where an utterance ends."""

from collections import deque
from collections.abc import Iterator
from typing import Final

import webrtcvad

from jarvis_ear.units import FRAME_BYTES, SAMPLE_RATE, frames

AGGRESSIVENESS: Final = 2
"""Mode of webrtcvad, 0 to 3; the same as in the ear."""

HANGOVER_FRAMES: Final = frames(800)
"""Silence that ends an utterance; the same as in the ear."""


class SpeechOnset:
    """Detects the first speech in PCM16 at 16 kHz. For one owner."""

    def __init__(self, onset_ms: int, pre_roll_ms: int) -> None:
        """Detect speech of ``onset_ms`` in a row, and keep ``pre_roll_ms`` up to its detection."""
        self._vad = webrtcvad.Vad(AGGRESSIVENESS)
        self._onset_frames = frames(onset_ms)
        self._rest = b""
        self._pre_roll: deque[bytes] = deque(maxlen=frames(pre_roll_ms))
        self._speech = 0

    def frames_of(self, pcm: bytes) -> Iterator[bytes]:
        """Yield the frames that are complete with ``pcm``, in pieces of any length."""
        data = self._rest + pcm
        whole = len(data) - len(data) % FRAME_BYTES
        self._rest = data[whole:]
        for at in range(0, whole, FRAME_BYTES):
            yield data[at : at + FRAME_BYTES]

    def is_speech(self, frame: bytes) -> bool:
        """Return whether ``frame`` is speech."""
        return bool(self._vad.is_speech(frame, SAMPLE_RATE))

    def push(self, frame: bytes) -> bytes:
        """Take the next frame; return the pre-roll if speech begins with it, else nothing."""
        self._pre_roll.append(frame)
        self._speech = self._speech + 1 if self.is_speech(frame) else 0
        return b"".join(self._pre_roll) if self._speech >= self._onset_frames else b""

    def feed(self, pcm: bytes) -> bytes:
        """Take ``pcm``; return all sound from the pre-roll on once speech has begun, else nothing.

        Must not be called again after it has returned any.
        """
        out = b""
        for frame in self.frames_of(pcm):
            out = out + frame if out else self.push(frame)
        return out + self._rest if out else b""

    def clear(self) -> None:
        """Forget the pre-roll, but not the incomplete frame."""
        self._pre_roll.clear()
        self._speech = 0


class UtteranceSplitter:
    """Splits PCM16 at 16 kHz into utterances at its pauses. Lives on the loop.

    Bound: ``max_s`` seconds. Policy: a longer utterance ends there, and what follows is dropped up
    to the next pause. Speech of less than 100 ms is a click; 400 ms up to the onset are kept for
    soft first consonants.
    """

    def __init__(self, max_s: float) -> None:
        self._onset = SpeechOnset(100, 400)
        self._max_bytes = frames(int(max_s * 1000)) * FRAME_BYTES
        self._utterance = bytearray()
        self._silence = 0
        self._is_dropping = False

    def feed(self, pcm: bytes) -> Iterator[bytes]:
        """Take ``pcm``; yield the utterances that are complete with it."""
        for frame in self._onset.frames_of(pcm):
            if utterance := self._push(frame):
                yield utterance

    def flush(self) -> bytes:
        """Return the unfinished utterance, or nothing, and start again."""
        utterance = bytes(self._utterance)
        self._utterance.clear()
        self._onset.clear()
        self._silence = 0
        self._is_dropping = False
        return utterance

    def _push(self, frame: bytes) -> bytes:
        if not self._utterance and not self._is_dropping:
            self._utterance += self._onset.push(frame)
            self._silence = 0
            return b""
        self._silence = 0 if self._onset.is_speech(frame) else self._silence + 1
        is_over = self._silence >= HANGOVER_FRAMES
        if self._is_dropping:
            self._is_dropping = not is_over
            return b""
        self._utterance += frame
        if not is_over and len(self._utterance) < self._max_bytes:
            return b""
        utterance = self.flush()
        self._is_dropping = not is_over
        return utterance
