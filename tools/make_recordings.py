"""Write the recordings in tests/data: synthetic speech, which is free and small.

Uses ``flite`` (Debian: apt install flite). Its speech is the same on every run, and so is the room
noise of the one recording that is played to people.
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.resample import resample
from jarvis_ear.audio.wav import decode_wav, pcm_to_wav
from jarvis_ear.units import SAMPLE_RATE, samples

Pcm = npt.NDArray[np.int16]

DATA: Final = Path(__file__).parents[1] / "tests" / "data"

FLOOR_RMS: Final = 8
"""-72 dBFS: the noise of a good microphone in a quiet room."""

LONGEST_S: Final = 10


@dataclass(frozen=True, slots=True)
class Recording:
    """One file: voice, words, and the length of room noise before and after them."""

    voice: str
    """A voice of flite."""
    words: str
    before_ms: int = 0
    after_ms: int = 0


RECORDINGS: Final = {
    "hey-jarvis-what-time-is-it": Recording("slt", "Hey Jarvis, what time is it", 1000, 2000),
    "hey-jarvis": Recording("slt", "Hey Jarvis"),
    "what-time-is-it": Recording("slt", "what time is it"),
    "one-breath-slt": Recording("slt", "Hey Jarvis what time is it"),
    "light-rms": Recording("rms", "Hey Jarvis, turn on the kitchen light"),
    "timer-awb": Recording("awb", "Hey Jarvis, set a timer for ten minutes"),
    "weather-kal16": Recording("kal16", "Hey Jarvis, what is the weather like"),
    "music-kal": Recording("kal", "Hey Jarvis, play some music"),
}
"""By file name. The voice kal supports only 8 kHz, like a telephone."""


def speak(voice: str, words: str) -> Pcm:
    """Synthesise ``words`` with flite, at 16 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spoken.wav"
        subprocess.run(  # noqa: S603 - the words are our own
            ["flite", "-voice", voice, "-t", words, "-o", file],  # noqa: S607 - wherever it lives
            check=True,
        )
        sound = decode_wav(file.read_bytes(), max_seconds=LONGEST_S)
    return resample(sound.mono(), sound.rate, SAMPLE_RATE)


def in_room(recording: Recording) -> Pcm:
    """Synthesise a recording with the noise of a quiet room before, during and after the speech."""
    spoken = speak(recording.voice, recording.words)
    if not recording.before_ms and not recording.after_ms:
        return spoken
    around = samples(recording.before_ms), samples(recording.after_ms)
    whole = np.pad(spoken.astype(np.float64), around)
    whole += np.random.default_rng(0).normal(0, FLOOR_RMS, len(whole))
    return np.clip(np.rint(whole), -32768, 32767).astype(np.int16)


def main() -> None:
    """Write every recording."""
    DATA.mkdir(exist_ok=True)
    for name, recording in RECORDINGS.items():
        file = DATA / f"{name}.wav"
        file.write_bytes(pcm_to_wav(in_room(recording).tobytes()))
        sys.stdout.write(f"{file.name}: {file.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
