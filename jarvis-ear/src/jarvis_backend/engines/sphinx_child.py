"""A process that decodes with pocketsphinx: complete recordings, or speech while it is spoken.

Requests on standard input and answers on standard output are frames; the first frame out, which is
empty, says that the model is loaded. A request is the PCM16 of a recording. With the argument
``live`` it is one byte for the slot of a speaker, one that is ``BEGIN`` or ``CONTINUE``, and the
sound that follows; the answer is the whole transcript so far. Live decoding takes a tenth of the
duration of the sound, so that one process serves several speakers.
"""

import importlib
import signal
import struct
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from jarvis_backend.process import forbid_dumps
from jarvis_backend.vad import SpeechOnset
from jarvis_ear.units import FRAME_SAMPLES, samples

Pcm = npt.NDArray[np.int16]

MARGIN_SAMPLES: Final = samples(60)
"""Kept around the first and last loud frame, for soft consonants."""

FLOOR_RMS: Final = 5.0
"""Lower limit of the noise level, below that of any microphone, for digital silence."""

ABOVE_FLOOR: Final = 4.0
"""A frame is loud above this multiple of the quiet frames (12 dB) ..."""

BELOW_PEAK: Final = 0.03
"""... and above this multiple of the loud ones (-30 dB); only pauses are below."""

REMNANT_FRAMES: Final = 8
"""160 ms: the final "s" of the wake word, if a recording begins within it. Of 56 such commands 38
were understood without this remnant, 30 with it."""

PHRASE_SAMPLES: Final = samples(8000)
"""Maximum length of a phrase: longer than any command."""

PAUSE_FRAMES: Final = 5
"""100 ms: the shortest silence between words; that of a stop consonant is shorter."""


def spoken_part(pcm: Pcm) -> Pcm:
    """Return ``pcm`` without the silence before and after the words; empty without words."""
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
    """Split ``pcm`` at its quietest points into pieces of at most ``PHRASE_SAMPLES``."""
    while len(pcm) > PHRASE_SAMPLES:
        cut = _quietest(pcm[:PHRASE_SAMPLES])
        yield pcm[:cut]
        pcm = pcm[cut:]
    yield pcm


def _without_remnant(loud: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Drop a short sound at the beginning of the recording if a pause follows it."""
    pauses = np.flatnonzero(np.diff(loud) > PAUSE_FRAMES)
    if len(pauses) == 0 or loud[0] > 1 or loud[pauses[0]] >= REMNANT_FRAMES:
        return loud
    return loud[pauses[0] + 1 :]


def _quietest(pcm: Pcm) -> int:
    """Return the middle of the quietest 100 ms in the second half of ``pcm``."""
    level = _levels(pcm)
    half = len(level) // 2
    pauses = np.convolve(level[half:], np.ones(PAUSE_FRAMES), "valid")
    return (half + int(np.argmin(pauses)) + PAUSE_FRAMES // 2) * FRAME_SAMPLES


def _levels(pcm: Pcm) -> npt.NDArray[np.float64]:
    """Return the RMS of each complete frame."""
    frames = pcm[: len(pcm) - len(pcm) % FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    level: npt.NDArray[np.float64] = np.sqrt(np.mean(frames.astype(np.float64) ** 2, axis=1))
    return level


def _threshold(level: npt.NDArray[np.float64]) -> float:
    quiet, peak = np.percentile(level, [10, 95])
    return float(max(max(quiet, FLOOR_RMS) * ABOVE_FLOOR, peak * BELOW_PEAK))


LENGTH: Final = struct.Struct(">I")
"""Header of each frame: the length of its content."""

PAD_SAMPLES: Final = samples(200)
"""Digital silence around the words: the decoder needs a pause at both ends."""

LANGUAGE_WEIGHT: Final = 5.5
"""Weight of the language model against the acoustic model; the default of the package is 6.5. The
model was not made from commands: with 5.5 it understood 210 of 336 of them, with 6.5 205."""


class SphinxDecoder:
    """Transcribes complete recordings. For one thread."""

    def __init__(self) -> None:
        """Load the model that comes with the package."""
        package: Any = importlib.import_module("pocketsphinx")
        self._decoder = package.Decoder(loglevel="FATAL", lw=LANGUAGE_WEIGHT)

    def answer(self, request: bytes) -> str:
        """Return the text of a recording in lower case; empty for silence."""
        pcm = np.frombuffer(request, "<i2")
        texts = (self._decode(spoken_part(phrase)) for phrase in phrases(spoken_part(pcm)))
        return " ".join(text for text in texts if text)

    def _decode(self, words: npt.NDArray[np.int16]) -> str:
        if len(words) == 0:
            return ""
        pause = np.zeros(PAD_SAMPLES, np.int16)
        sound = np.concatenate([pause, words, pause]).tobytes()
        self._decoder.start_utt()
        # full_utt: the decoder normalises by the whole utterance before it decodes the first word.
        self._decoder.process_raw(sound, full_utt=True)
        self._decoder.end_utt()
        return _text_of(self._decoder)


BEGIN: Final = 0
CONTINUE: Final = 1


class LiveDecoder:
    """Transcribes utterances of one slot while they are spoken. For one thread.

    Decoding starts with 60 ms of speech and 300 ms up to it: the decoder makes words of silence.
    """

    def __init__(self) -> None:
        """Load the model that comes with the package."""
        package: Any = importlib.import_module("pocketsphinx")
        # Without the second and third pass, which need the whole utterance.
        self._decoder = package.Decoder(
            loglevel="FATAL", lw=LANGUAGE_WEIGHT, fwdflat=False, bestpath=False
        )
        self._default_cmn = self._decoder.get_cmn(False)  # noqa: FBT003 - do not update it
        self._onset: SpeechOnset | None = None
        self._is_open = False

    def begin(self) -> None:
        """Start an utterance, and forget the voice of the previous speaker."""
        if self._is_open:
            self._decoder.end_utt()
        self._decoder.set_cmn(self._default_cmn)
        self._decoder.start_utt()
        self._is_open = True
        self._onset = SpeechOnset(onset_ms=60, pre_roll_ms=300)

    def feed(self, pcm: bytes) -> str:
        """Take the sound that follows; return the transcript so far, in lower case."""
        if self._onset is not None:
            pcm = self._onset.feed(pcm)
            if not pcm:
                return ""
            self._onset = None
        self._decoder.process_raw(pcm, no_search=False, full_utt=False)
        return _text_of(self._decoder)


class LiveDecoders:
    """One decoder for each slot; all but the first are made when they are needed."""

    def __init__(self) -> None:
        self._by_slot: dict[int, LiveDecoder] = {}
        self._spare: LiveDecoder | None = LiveDecoder()

    def answer(self, request: bytes) -> str:
        """Return the answer to a request."""
        slot, command, pcm = request[0], request[1], request[2:]
        decoder = self._by_slot.get(slot)
        if decoder is None:
            decoder, self._spare = self._spare or LiveDecoder(), None
            self._by_slot[slot] = decoder
            decoder.begin()  # CONTINUE comes first if the previous process has died
        elif command == BEGIN:
            decoder.begin()
        return decoder.feed(pcm)


def _text_of(decoder: Any) -> str:  # noqa: ANN401 - the package has no types
    hypothesis = decoder.hyp()
    return "" if hypothesis is None else str(hypothesis.hypstr)


def read_frame(stream: BinaryIO) -> bytes | None:
    """Read one frame; None at the end of ``stream``."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return stream.read(LENGTH.unpack(head)[0])


def write_frame(stream: BinaryIO, content: bytes) -> None:
    """Write one frame and flush ``stream``."""
    stream.write(LENGTH.pack(len(content)) + content)
    stream.flush()


def main(*, live: bool) -> None:
    """Decode until standard input ends."""
    forbid_dumps()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and closes our input
    decoder = LiveDecoders() if live else SphinxDecoder()
    write_frame(sys.stdout.buffer, b"")
    while (request := read_frame(sys.stdin.buffer)) is not None:
        write_frame(sys.stdout.buffer, decoder.answer(request).encode())


if __name__ == "__main__":
    main(live="live" in sys.argv)
