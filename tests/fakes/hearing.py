"""The three models of the ear, replaced by ones that read their answers from the sound itself.

``written(Kind.VOICE, 300, Kind.WORD, 80, Kind.SILENCE, 1000)`` makes sound that says what it is:
every frame by its loudness, every sample by where it stands. So a test can cut it into blocks as it
likes, and compare what was kept with what was there, to the sample.
"""

import itertools
from enum import IntEnum
from typing import Final

import numpy as np

from jarvis_ear import config
from jarvis_ear.audio.frames import Frame
from jarvis_ear.hearing.ear import Ear
from jarvis_ear.hearing.events import Effect
from jarvis_ear.hearing.turns import TurnMachine
from jarvis_ear.hearing.wake import SecondLook
from jarvis_ear.units import FRAME_BYTES, SAMPLE_BYTES, STEP_SAMPLES, Samples, samples

POSITIONS: Final = 499
"""The low part of every sample counts to this and starts over: a prime, so that no two stretches
of fewer than 3 s look the same from a frame's first sample on."""


class Kind(IntEnum):
    """What a stretch of written sound is, by the high part of its samples."""

    SILENCE = 0
    """No model calls it speech."""
    MURMUR = 1000
    """Every model calls it speech, but it is 16 dB quieter than a voice: the television."""
    NOISE = 2000
    """Only the cheap listener calls it speech: a fan."""
    SOFT = 4000
    """Every model calls it speech, but it is 6 dB quieter than a voice."""
    VOICE = 8000
    WORD = 10_000
    """Speech, and the last sound of the wake word: by then the model is sure of it."""
    STOP = 12_000
    """Speech, and the last sound of the stop word."""


def written(*stretches: int) -> bytes:
    """Write sound: a kind, its milliseconds, the next kind, its milliseconds, ..."""
    pairs = zip(stretches[::2], stretches[1::2], strict=True)
    kinds = np.concatenate([np.full(samples(length), kind) for kind, length in pairs])
    return (kinds + np.arange(len(kinds)) % POSITIONS).astype("<i2").tobytes()


def kind_of(pcm: bytes) -> Kind:
    return Kind(int(np.frombuffer(pcm, "<i2").max()) // 1000 * 1000)


class ScriptedGate:
    """A ``SpeechGate`` that believes everything but silence."""

    def is_speech(self, pcm: bytes) -> bool:
        return kind_of(pcm) is not Kind.SILENCE


class ScriptedSpeech:
    """A ``SpeechModel`` that knows speech when it hears it."""

    def __init__(self) -> None:
        self.gains: list[float] = []
        """The gain of every frame it was given."""
        self.resets = 0
        self.is_loaded = False

    def load(self) -> None:
        self.is_loaded = True

    def unload(self) -> None:
        self.is_loaded = False

    def reset(self) -> None:
        self.resets += 1

    def probability(self, pcm: bytes, gain: float) -> float:
        self.gains.append(gain)
        return float(kind_of(pcm) not in (Kind.SILENCE, Kind.NOISE))


class ScriptedWake:
    """A ``WakeModel`` that scores the steps in which the wake word is complete."""

    def __init__(self) -> None:
        self.stretches: list[bytes] = []
        """What it heard, one entry for each reset."""
        self.stop_scores: list[float] = []

    @property
    def resets(self) -> int:
        return len(self.stretches)

    def reset(self) -> None:
        self.stretches.append(b"")

    def score(self, pcm: bytes) -> list[float]:
        """1 for every step that holds some of the wake word's end, else 0."""
        self.stretches[-1] += pcm
        size = STEP_SAMPLES * SAMPLE_BYTES
        assert pcm, "a model is asked about sound, not about nothing"
        assert len(pcm) % size == 0, "the model wants whole steps"
        kinds = [kind_of(pcm[at : at + size]) for at in range(0, len(pcm), size)]
        self.stop_scores = [float(kind is Kind.STOP) for kind in kinds]
        return [float(kind is Kind.WORD) for kind in kinds]

    def score_word(self, word: int) -> list[float]:
        raise AssertionError(f"there is no word {word}")

    def look_again(self, step: int, word: int) -> SecondLook:  # noqa: ARG002 - every step is clear
        return SecondLook(0.0, None)

    def score_stop(self) -> list[float]:
        return self.stop_scores


class ScriptedEar:
    """An ``Ear`` on scripted models, with the models at hand."""

    def __init__(
        self,
        hearing: config.HearingOptions | None = None,
        growth_ms: int = 500,
        lag: Samples = Samples(0),  # noqa: B008 - a number
    ) -> None:
        hearing = hearing or config.HearingOptions()
        ids = itertools.count(1)
        self.wake = ScriptedWake()
        self.speech = ScriptedSpeech()
        self.machine = TurnMachine(hearing, lambda: f"id{next(ids)}", lag)
        self.ear = Ear(
            hearing,
            gate=ScriptedGate(),
            wake=self.wake,
            speech=self.speech,
            machine=self.machine,
            growth_ms=growth_ms,
            lag=lag,
        )


def frames_of(pcm: bytes, start: int = 0) -> list[Frame]:
    """Cut sound that begins at position ``start`` into whole frames."""
    return [
        Frame(Samples(start + at // SAMPLE_BYTES), pcm[at : at + FRAME_BYTES])
        for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)
    ]


def hear(ear: Ear, pcm: bytes, start: int | None = None) -> list[tuple[Samples, Effect]]:
    """Let ``ear`` hear sound, without a gap unless ``start`` says so; each effect with its time."""
    frames = frames_of(pcm, ear.now if start is None else start)
    return [(frame.end, effect) for frame in frames for effect in ear.hear(frame)]
