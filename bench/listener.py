"""The whole ear as a function from sound to decisions."""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from bench.sound import Sound
from jarvis_ear import config
from jarvis_ear.audio.frames import Frame
from jarvis_ear.devices.models import Silero, WebRtcVad, make_wake_model
from jarvis_ear.hearing.ear import Ear
from jarvis_ear.hearing.events import Effect, Failed, SendUtterance, TurnOpened
from jarvis_ear.hearing.turns import TurnMachine
from jarvis_ear.hearing.utterance import CapturedUtterance
from jarvis_ear.hearing.wake import WakeModel
from jarvis_ear.units import FRAME_SAMPLES, Samples

GATED: Final = config.HearingOptions()
"""Default options."""

ALWAYS: Final = config.HearingOptions(gate=config.GateOptions(mode="always"))
"""The gate is always open."""

LIGHT: Final = config.HearingOptions(wake=config.WakeOptions(effort="light"))
"""Little CPU while people talk."""


@dataclass(slots=True)
class Heard:
    """Result of a scene."""

    turns: list[TurnOpened] = field(default_factory=list)
    utterances: list[CapturedUtterance] = field(default_factory=list)
    score: float = 0.0
    """The highest score of the wake model."""


class Listener:
    """Loads the models once, and makes a new ear for each scene. Owned by its caller."""

    def __init__(self) -> None:
        self._wake = functools.cache(make_wake_model)
        self._speech = Silero()

    def hear(self, sound: Sound, hearing: config.HearingOptions = GATED) -> Heard:
        """Process ``sound`` from beginning to end. Every turn fails at once."""
        wake = self._wake(*_models(hearing))
        wake.reset()
        self._speech.reset()
        ear = make_ear(hearing, wake, self._speech)
        heard = Heard()
        for frame in frames(sound):
            for effect in ear.hear(frame):
                _note(effect, heard)
                end_turn(ear, effect)
            heard.score = max(heard.score, ear.score)
        return heard


def make_ear(
    hearing: config.HearingOptions, wake: WakeModel | None = None, speech: Silero | None = None
) -> Ear:
    """Make an ear as the daemon does."""
    turn = itertools.count(1)
    return Ear(
        hearing,
        gate=WebRtcVad(hearing.gate.aggressiveness),
        wake=wake or make_wake_model(*_models(hearing)),
        speech=speech or Silero(),
        machine=TurnMachine(hearing, lambda: f"bench-{next(turn)}"),
    )


def _models(hearing: config.HearingOptions) -> tuple[tuple[str, ...], None, str]:
    return tuple(word.model for word in hearing.wake.all_words), None, hearing.wake.effort


def end_turn(ear: Ear, effect: Effect) -> None:
    """End the turn like a failing backend: the ear waits for the wake word again."""
    if isinstance(effect, SendUtterance):
        ear.tell(Failed(effect.turn_id, "bench"))


def frames(sound: Sound) -> Iterator[Frame]:
    """Cut a recording into whole frames."""
    for start in range(0, len(sound) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        yield Frame(Samples(start), sound[start : start + FRAME_SAMPLES].tobytes())


def _note(effect: Effect, heard: Heard) -> None:
    match effect:
        case TurnOpened():
            heard.turns.append(effect)
        case SendUtterance(utterance=utterance):
            heard.utterances.append(utterance)
        case _:
            pass
