"""The listening decoders of pocketsphinx, in a process of their own: words while they are spoken.

The frames are those of the other child. A frame from the backend is one byte that says whose
decoder, one that says whether an utterance begins or goes on, and the sound that follows; the
answer is everything that was understood of it so far. A decoder needs a tenth of the time that the
sound lasts, so that one process does for several people.
"""

import importlib
import signal
import sys
from collections import deque
from typing import Any, Final

import webrtcvad

from jarvis_backend.engines.sphinx_child import LANGUAGE_WEIGHT, read_frame, write_frame
from jarvis_backend.process import forbid_dumps
from jarvis_ear.units import FRAME_BYTES, SAMPLE_RATE, frames

GO_ON: Final = 0
BEGIN: Final = 1

ONSET_FRAMES: Final = frames(60)
"""Speech in a row before anything is decoded: of silence the decoder makes words."""

PRE_ROLL_FRAMES: Final = frames(300)
"""Decoded from before that."""

AGGRESSIVENESS: Final = 2
"""Of 0 to 3, as in the ear."""


class LiveDecoder:
    """Decodes one utterance after another while they are spoken. For one thread."""

    def __init__(self) -> None:
        """Load the model that comes with the package."""
        package: Any = importlib.import_module("pocketsphinx")
        # Without the second and third pass, which need the whole utterance.
        self._decoder = package.Decoder(
            loglevel="FATAL", lw=LANGUAGE_WEIGHT, fwdflat=False, bestpath=False
        )
        self._usual_voice = self._decoder.get_cmn(False)  # noqa: FBT003 - as it is, not updated
        self._waiting: Onset | None = None
        self._is_open = False

    def begin(self) -> None:
        """Forget what was said, and who said it."""
        if self._is_open:
            self._decoder.end_utt()
        self._decoder.set_cmn(self._usual_voice)
        self._decoder.start_utt()
        self._is_open = True
        self._waiting = Onset()

    def feed(self, pcm: bytes) -> str:
        """Take the sound that follows; return all words so far, in small letters."""
        if self._waiting is not None:
            pcm = self._waiting.feed(pcm)
            if not pcm:
                return ""
            self._waiting = None
        self._decoder.process_raw(pcm, no_search=False, full_utt=False)
        hypothesis = self._decoder.hyp()
        return "" if hypothesis is None else str(hypothesis.hypstr)


class Onset:
    """Waits until somebody begins to speak. For one utterance."""

    def __init__(self) -> None:
        self._gate = webrtcvad.Vad(AGGRESSIVENESS)
        self._rest = b""
        self._before: deque[bytes] = deque(maxlen=PRE_ROLL_FRAMES)
        self._speech = 0

    def feed(self, pcm: bytes) -> bytes:
        """Take the sound that follows; return what is to be decoded, once there is any."""
        data = self._rest + pcm
        whole = len(data) - len(data) % FRAME_BYTES
        for at in range(0, whole, FRAME_BYTES):
            frame = data[at : at + FRAME_BYTES]
            self._before.append(frame)
            self._speech = self._speech + 1 if self._gate.is_speech(frame, SAMPLE_RATE) else 0
            if self._speech >= ONSET_FRAMES:
                return b"".join(self._before) + data[at + FRAME_BYTES :]
        self._rest = data[whole:]
        return b""


class LiveDecoders:
    """One decoder for each who speaks; a new one is made when it is first needed."""

    def __init__(self) -> None:
        self._by_slot: dict[int, LiveDecoder] = {}
        self._spare: LiveDecoder | None = LiveDecoder()

    def answer(self, request: bytes) -> str:
        """Do what a frame from the backend says."""
        slot, order, pcm = request[0], request[1], request[2:]
        decoder = self._by_slot.get(slot)
        if decoder is None:
            decoder, self._spare = self._spare or LiveDecoder(), None
            self._by_slot[slot] = decoder
            decoder.begin()  # perhaps in mid-utterance: the process before this one has died
        elif order == BEGIN:
            decoder.begin()
        return decoder.feed(pcm)


def main() -> None:
    """Listen until standard input ends."""
    forbid_dumps()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes our input
    decoders = LiveDecoders()
    write_frame(sys.stdout.buffer, b"")
    while (request := read_frame(sys.stdin.buffer)) is not None:
        write_frame(sys.stdout.buffer, decoders.answer(request).encode())


if __name__ == "__main__":
    main()
