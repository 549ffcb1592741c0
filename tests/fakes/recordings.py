"""The recordings in ``tests/data``, put into a room, and an ear on the real models to hear them."""

import functools
import itertools
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_ear import config
from jarvis_ear.audio.wav import decode_wav
from jarvis_ear.devices.models import Silero, WebRtcVad
from jarvis_ear.devices.openwakeword import OpenWakeWord
from jarvis_ear.hearing.ear import Ear
from jarvis_ear.hearing.own_voice import OwnVoice
from jarvis_ear.hearing.turns import TurnMachine
from jarvis_ear.units import SAMPLE_RATE, STEP_SAMPLES, samples

Pcm = npt.NDArray[np.int16]

DATA: Final = Path(__file__).parents[1] / "data"

QUESTION: Final = "hey-jarvis-what-time-is-it"
"""The wake word and a question."""

FLOOR_RMS: Final = 8.0
"""-72 dBFS: the noise of a quiet room and a decent microphone."""

COMMAND_STARTS_MS: Final = {
    QUESTION: 1989,
    "one-breath-slt": 857,
    "light-rms": 872,
    "timer-awb": 1099,
    "weather-kal16": 1279,
    "music-kal": 1279,
}
"""Where the first sound of the command begins in each recording that has one behind the wake word:
what the synthesiser says of its own sounds (``flite -psdur``)."""


@functools.cache
def recording(name: str) -> Pcm:
    """Read one of the recordings: PCM16, 16 kHz, one channel."""
    sound = decode_wav((DATA / f"{name}.wav").read_bytes(), max_seconds=10)
    assert sound.rate == SAMPLE_RATE
    pcm = sound.mono()
    pcm.flags.writeable = False
    return pcm


def in_room(
    *parts: Pcm | int, floor_rms: float = FLOOR_RMS, gain: float = 1.0, seed: int = 0
) -> Pcm:
    """Join recordings and pauses (in milliseconds), all in the noise of one room."""
    sound = np.concatenate(
        [
            np.zeros(samples(part)) if isinstance(part, int) else part * np.float64(gain)
            for part in parts
        ]
    )
    return to_pcm(sound + np.random.default_rng(seed).normal(0, floor_rms, len(sound)))


def to_pcm(sound: npt.NDArray[np.float64]) -> Pcm:
    """Round and clip, as a sound card does."""
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def whole_steps(sound: Pcm) -> bytes:
    """Return PCM16, cut to steps of the wake model."""
    return sound[: len(sound) // STEP_SAMPLES * STEP_SAMPLES].tobytes()


def spoken(pcm: Pcm) -> tuple[int, int]:
    """First sample of audible speech in a clean recording, and the first one after it."""
    windows = pcm[: len(pcm) // 160 * 160].reshape(-1, 160).astype(np.float64)
    energy = (windows**2).mean(axis=1)
    loud = np.flatnonzero(energy > energy.max() / 1000)
    return int(loud[0]) * 160, int(loud[-1] + 1) * 160


@functools.cache
def wake_model() -> OpenWakeWord:
    """Load the wake model once for all tests; each user resets it first."""
    return OpenWakeWord()


@functools.cache
def speech_model() -> Silero:
    """Load the speech model once for all tests; each user resets it first."""
    return Silero()


def real_ear(
    hearing: config.HearingOptions | None = None,
    *,
    own_voice: OwnVoice | None = None,
    may_interrupt: bool = True,
) -> Ear:
    """Make an ear on the models that are shipped. One at a time: the models are shared."""
    hearing = hearing or config.HearingOptions()
    wake_model().reset()
    speech_model().reset()
    ids = itertools.count(1)
    return Ear(
        hearing,
        gate=WebRtcVad(hearing.gate.aggressiveness),
        wake=wake_model(),
        speech=speech_model(),
        machine=TurnMachine(hearing, lambda: f"id{next(ids)}"),
        own_voice=own_voice,
        may_interrupt=may_interrupt,
    )
