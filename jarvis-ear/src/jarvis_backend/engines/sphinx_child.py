"""A process that decodes with pocketsphinx, and the part of a recording that it decodes."""

import importlib
import signal
import struct
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from jarvis_backend.process import forbid_dumps
from jarvis_ear.units import FRAME_SAMPLES, samples

Pcm = npt.NDArray[np.int16]

MARGIN_SAMPLES: Final = samples(60)
"""Kept around the first and last loud frame: where a soft consonant hides."""

FLOOR_RMS: Final = 5.0
"""Quieter than any microphone's own noise; keeps digital silence from counting as a reference."""

ABOVE_FLOOR: Final = 4.0
"""A frame is loud from here times the quiet frames (12 dB)."""

BELOW_PEAK: Final = 0.03
"""And from here times the loud ones (-30 dB), which speech falls below only in its pauses."""

REMNANT_FRAMES: Final = 8
"""160 ms: the final "s" of the wake word, where a recording begins within it. Of 56 commands with
such a remnant 38 were understood without it, 30 with it."""

PHRASE_SAMPLES: Final = samples(8000)
"""Longer than any command; dictation is cut into phrases of at most this."""

PAUSE_FRAMES: Final = 5
"""100 ms: the shortest silence between two words that is no stop consonant."""


def spoken_part(pcm: Pcm) -> Pcm:
    """Cut the silence before and after the words; empty if nothing is louder than the rest."""
    level = _levels(pcm)
    if len(level) == 0:
        return pcm[:0]
    loud = np.flatnonzero(level > _threshold(level))
    if len(loud) == 0:
        return pcm[:0]
    loud = _without_remnant(loud)
    first = max(0, int(loud[0]) * FRAME_SAMPLES - MARGIN_SAMPLES)
    return pcm[first : (int(loud[-1]) + 1) * FRAME_SAMPLES + MARGIN_SAMPLES]


def phrases(pcm: Pcm) -> Iterator[Pcm]:
    """Cut ``pcm`` where it is quietest, so that no piece is longer than ``PHRASE_SAMPLES``."""
    while len(pcm) > PHRASE_SAMPLES:
        cut = _quietest(pcm[:PHRASE_SAMPLES])
        yield pcm[:cut]
        pcm = pcm[cut:]
    yield pcm


def _without_remnant(loud: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Drop a short sound that was under way when the recording began and that a pause follows."""
    pauses = np.flatnonzero(np.diff(loud) > PAUSE_FRAMES)
    if len(pauses) == 0 or loud[0] > 1 or loud[pauses[0]] >= REMNANT_FRAMES:
        return loud
    return loud[pauses[0] + 1 :]


def _quietest(pcm: Pcm) -> int:
    """Middle of the quietest 100 ms in the second half of ``pcm``."""
    level = _levels(pcm)
    half = len(level) // 2
    pauses = np.convolve(level[half:], np.ones(PAUSE_FRAMES), "valid")
    return (half + int(np.argmin(pauses)) + PAUSE_FRAMES // 2) * FRAME_SAMPLES


def _levels(pcm: Pcm) -> npt.NDArray[np.float64]:
    """RMS of each whole frame."""
    frames = pcm[: len(pcm) - len(pcm) % FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    level: npt.NDArray[np.float64] = np.sqrt(np.mean(frames.astype(np.float64) ** 2, axis=1))
    return level


def _threshold(level: npt.NDArray[np.float64]) -> float:
    quiet, peak = np.percentile(level, [10, 95])
    return float(max(max(quiet, FLOOR_RMS) * ABOVE_FLOOR, peak * BELOW_PEAK))


LENGTH: Final = struct.Struct(">I")
"""What stands before each frame."""

PAD_SAMPLES: Final = samples(200)
"""Digital silence around the words: the decoder wants a pause at both ends."""

LANGUAGE_WEIGHT: Final = 5.5
"""How much the model of English counts against the sound; the package has 6.5. Ours is a little
less, because commands are not the sentences it was made from: 210 of 336 instead of 205."""


class SphinxDecoder:
    """Turns the sound of one utterance after another into text. For one thread."""

    def __init__(self) -> None:
        """Load the model that comes with the package."""
        package: Any = importlib.import_module("pocketsphinx")
        self._decoder = package.Decoder(loglevel="FATAL", lw=LANGUAGE_WEIGHT)

    def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:
        """Text of ``pcm`` in small letters; empty if nothing was said."""
        heard = (self._decode(spoken_part(phrase)) for phrase in phrases(spoken_part(pcm)))
        return " ".join(words for words in heard if words)

    def _decode(self, words: npt.NDArray[np.int16]) -> str:
        if len(words) == 0:
            return ""
        pause = np.zeros(PAD_SAMPLES, np.int16)
        sound = np.concatenate([pause, words, pause]).tobytes()
        self._decoder.start_utt()
        # As one whole: only then is the colour of the voice known before its first word.
        self._decoder.process_raw(sound, full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return "" if hypothesis is None else str(hypothesis.hypstr)


def read_frame(stream: BinaryIO) -> bytes | None:
    """Read one frame from ``stream``; None at its end."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return stream.read(LENGTH.unpack(head)[0])


def write_frame(stream: BinaryIO, content: bytes) -> None:
    """Write one frame to ``stream``, and make sure that it leaves."""
    stream.write(LENGTH.pack(len(content)) + content)
    stream.flush()


def main() -> None:
    """Decode until standard input ends."""
    forbid_dumps()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes our input
    decoder = SphinxDecoder()
    write_frame(sys.stdout.buffer, b"")
    while (sound := read_frame(sys.stdin.buffer)) is not None:
        text = decoder.transcribe(np.frombuffer(sound, "<i2"))
        write_frame(sys.stdout.buffer, text.encode())


if __name__ == "__main__":
    main()
