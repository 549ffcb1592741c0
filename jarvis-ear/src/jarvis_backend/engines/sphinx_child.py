"""The decoder of pocketsphinx in a process of its own: sound on standard input, text on output.

It is a process and not a thread, because the package keeps the interpreter to itself while it
decodes: 1.3 s for a phrase of 8 s, in which nothing else of the backend would run, nor of an ear in
the same process. A process can also be stopped at any moment. It ends with its standard input.

Both directions carry frames: four bytes of length, big-endian, and so many bytes of content: mono
PCM16 at 16 kHz one way, UTF-8 the other. A first, empty frame says that the model is loaded.
"""

import importlib
import signal
import struct
import sys
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from jarvis_backend.dumps import forbid_dumps
from jarvis_backend.engines.trim import phrases, spoken_part
from jarvis_ear.units import samples

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
