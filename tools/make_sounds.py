"""Write the sounds of jarvis_ear/sounds: a few notes each, without any recording."""

import sys
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.turn_trace.earcons import Earcon
from jarvis_ear.units import SAMPLE_RATE

FOLDER: Final = Path(__file__).parents[1] / "jarvis-ear" / "src" / "jarvis_ear" / "sounds"

LEVEL: Final = 0.16
"""Peak of a note: -16 dBFS, quieter than speech."""

ATTACK_S: Final = 0.006
"""Rise of a note: shorter ones click."""

DECAYS: Final = 5.0
"""Time constants within a note: it has faded to 1 % when the next one begins."""

Notes: TypeAlias = tuple[tuple[float, float], ...]
"""Frequency in Hz (0: silence) and seconds of each note."""

SOUNDS: Final[dict[Earcon, Notes]] = {
    Earcon.WAKE: ((659.3, 0.08), (987.8, 0.14)),
    Earcon.CAPTURED: ((987.8, 0.10),),
    Earcon.NOTHING_HEARD: ((493.9, 0.12), (440.0, 0.18)),
    Earcon.NOT_UNDERSTOOD: ((523.3, 0.11), (622.3, 0.11), (523.3, 0.18)),
    Earcon.FAILED: ((440.0, 0.14), (349.2, 0.14), (261.6, 0.26)),
    Earcon.REFUSED: ((311.1, 0.14), (0.0, 0.06), (311.1, 0.22)),
    Earcon.EXPIRED: ((587.3, 0.20), (440.0, 0.20), (293.7, 0.30)),
    Earcon.DONE: ((783.99, 0.09), (1046.5, 0.09), (1318.5, 0.20)),
    Earcon.FOLLOW_UP: ((880.0, 0.07), (1318.5, 0.11)),
    Earcon.MUTED: ((784.0, 0.12), (392.0, 0.22)),
    Earcon.UNMUTED: ((392.0, 0.12), (784.0, 0.22)),
    Earcon.MICROPHONE_LOST: ((233.1, 0.18), (0.0, 0.08), (233.1, 0.18), (0.0, 0.08), (233.1, 0.24)),
}


def wave(notes: Notes) -> npt.NDArray[np.float64]:
    """Return the sound of some notes, 16 kHz, -1 ... 1."""
    return np.concatenate([_note(frequency, length_s) for frequency, length_s in notes])


def _note(frequency: float, length_s: float) -> npt.NDArray[np.float64]:
    """Return a tone with one harmonic that rises fast and fades."""
    time = np.arange(round(length_s * SAMPLE_RATE)) / SAMPLE_RATE
    fade = np.minimum(time / ATTACK_S, 1.0) * np.exp(-DECAYS * time / length_s)
    tone = np.sin(2 * np.pi * frequency * time) + 0.25 * np.sin(4 * np.pi * frequency * time)
    result: npt.NDArray[np.float64] = LEVEL * tone * fade
    return result


def wav(earcon: Earcon) -> bytes:
    """Return a sound as a WAV file."""
    pcm = np.rint(wave(SOUNDS[earcon]) * 32767).astype("<i2")
    return pcm_to_wav(pcm.tobytes())


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in Earcon:
        (FOLDER / f"{each}.wav").write_bytes(wav(each))
        sys.stdout.write(f"{each}.wav\n")
