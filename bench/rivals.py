"""Other programs that listen to a microphone continuously: `python -m bench.rivals NAME`.

Each is the loop from the README of its library, with only the imports that this loop needs. The
microphone is ALSA's default card, 16 kHz, one channel. A program runs until it is killed.
"""

# ruff: noqa: PLC0415 - one program must not pay for the imports of another

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from jarvis_ear.units import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE, STEP_SAMPLES

PIECE: Final = SAMPLE_RATE // 10
"""Samples in one read of the speech detector: 100 ms."""

MICRO_BYTES: Final = SAMPLE_RATE // 100 * SAMPLE_BYTES
"""Bytes in one piece of microWakeWord: 10 ms."""

ARECORD: Final = ("arecord", "--quiet", "-D", "default", "-f", "S16_LE", "-c", "1", "-t", "raw")
RECORDING: Final = (*ARECORD, "-r", str(SAMPLE_RATE))


def openwakeword() -> None:
    """Feed each step of 80 ms to ``Model.predict``, with only the model that the ear uses."""
    import numpy as np
    import openwakeword as package
    import sounddevice
    from openwakeword.model import Model

    (path,) = (path for path in package.get_pretrained_model_paths() if "hey_jarvis" in path)
    model = Model(wakeword_model_paths=[path])
    with sounddevice.InputStream(
        samplerate=SAMPLE_RATE, channels=1, dtype="int16", blocksize=STEP_SAMPLES
    ) as microphone:
        while True:
            sound, _ = microphone.read(STEP_SAMPLES)
            model.predict(np.squeeze(sound))


def microwakeword() -> None:
    """Feed each 10 ms to ``MicroWakeWord.process_streaming``."""
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

    word = MicroWakeWord.from_builtin(Model.HEY_JARVIS)
    features = MicroWakeWordFeatures()
    for piece in _recorded(MICRO_BYTES):
        for feature in features.process_streaming(piece):
            word.process_streaming(feature)


def webrtcvad() -> None:
    """Feed each 20 ms to the speech detector, in reads of 100 ms."""
    import webrtcvad as package

    detector = package.Vad(3)
    for piece in _recorded(PIECE * SAMPLE_BYTES):
        for at in range(0, len(piece), FRAME_BYTES):
            detector.is_speech(piece[at : at + FRAME_BYTES], SAMPLE_RATE)


def arecord() -> None:
    """Read without processing: the minimum cost of every program that listens."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    os.execvp(RECORDING[0], RECORDING)  # noqa: S606 - the command stands above


def _recorded(size: int) -> Iterator[bytes]:
    with subprocess.Popen(RECORDING, stdout=subprocess.PIPE) as recorder:  # noqa: S603 - the command stands above
        assert recorder.stdout is not None  # noqa: S101 - it was asked for as a pipe
        while piece := recorder.stdout.read(size):
            yield piece
    raise ChildProcessError("arecord ended")


RIVALS: Final[Mapping[str, Callable[[], None]]] = {
    each.__name__: each for each in (openwakeword, microwakeword, webrtcvad, arecord)
}

if __name__ == "__main__":
    RIVALS[sys.argv[1]]()
