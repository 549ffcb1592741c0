"""Time for one frame: with a step, when the gate opens, at a detection."""

import time
from dataclasses import dataclass, field
from typing import Final

from bench.listener import GATED, end_turn, frames, make_ear
from bench.material import COMMANDS, Collection, spread
from bench.percent import milliseconds
from bench.scale import Scale
from bench.scene import CLEAN, one_breath, play
from bench.sound import Sound
from bench.table import Row, Table
from jarvis_ear.devices.models import Silero
from jarvis_ear.devices.openwakeword import OpenWakeWord
from jarvis_ear.hearing.events import SendUtterance, TurnOpened
from jarvis_ear.hearing.wake import SecondLook

STEP_MS: Final = 80.0
"""Length of a step: if processing takes longer, the ear falls behind."""

LISTENING_MS: Final = 20.0
"""Length of a frame: the same limit for frames without a step."""

BUFFER_MS: Final = 2000.0
"""Capacity of the inbox: if a single frame takes longer, sound is lost."""

KINDS: Final = {
    "no step (gate closed, or between steps)": LISTENING_MS,
    "step, gate open": STEP_MS,
    "gate opens (catch-up with the lookback)": BUFFER_MS,
    "wake word detected (the room is recalled)": BUFFER_MS,
    "utterance ends": BUFFER_MS,
}
"""Kinds of frames by what they cause, with the target for p99."""

NOTHING, STEP, OPENING, WAKING, ENDING = KINDS


class CountedWake:
    """Wake model that counts its steps since the last query."""

    def __init__(self) -> None:
        self._model = OpenWakeWord()
        self._steps = 0

    def reset(self) -> None:
        """Pass on."""
        self._model.reset()

    def score(self, pcm: bytes) -> list[float]:
        """Pass on, and count the step."""
        scores = self._model.score(pcm)
        self._steps += len(scores)
        return scores

    def score_word(self, word: int) -> list[float]:
        """Pass on."""
        return self._model.score_word(word)

    def look_again(self, step: int, word: int) -> SecondLook:
        """Pass on."""
        return self._model.look_again(step, word)

    def score_stop(self) -> list[float]:
        """Pass on."""
        return self._model.score_stop()

    def take_steps(self) -> int:
        """Return the steps since the last call."""
        steps, self._steps = self._steps, 0
        return steps


@dataclass(slots=True)
class Durations:
    """Seconds taken by the frames of one kind."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def latency(scale: Scale, collection: Collection) -> list[Table]:
    """Time every frame of commands, as fast as possible."""
    found = {kind: Durations() for kind in KINDS}
    wake, speech = CountedWake(), Silero()
    for clip in spread(collection.labelled(*COMMANDS), scale.latency_clips):
        scene = play(one_breath(clip), CLEAN, collection, before_s=1.0, after_s=1.5)
        _time(scene.sound, wake, speech, found)
    return [
        Table(
            "Time for one frame",
            ("kind of frame", "frames", "p50", "p99", "max", "CPU p50", "CPU p99", "p99 target"),
            [_row(kind, found[kind]) for kind in KINDS],
            "the ear must not fall behind: see the last column",
            [collection.describes, "CPU: of the thread, without other load of the machine"],
        )
    ]


def _time(sound: Sound, wake: CountedWake, speech: Silero, found: dict[str, Durations]) -> None:
    wake.reset()
    ear = make_ear(GATED, wake, speech)
    for frame in frames(sound):
        cpu, wall = time.thread_time(), time.perf_counter()
        effects = ear.hear(frame)
        took, worked = time.perf_counter() - wall, time.thread_time() - cpu
        kind = _kind(effects, wake.take_steps())
        found[kind].wall.append(took)
        found[kind].cpu.append(worked)
        for effect in effects:
            end_turn(ear, effect)


def _kind(effects: tuple[object, ...], steps: int) -> str:
    if any(isinstance(effect, TurnOpened) for effect in effects):
        return WAKING
    if any(isinstance(effect, SendUtterance) for effect in effects):
        return ENDING
    if steps > 1:
        return OPENING
    return STEP if steps else NOTHING


def _row(kind: str, durations: Durations) -> Row:
    target = KINDS[kind]
    return (
        kind,
        str(len(durations.wall)),
        milliseconds(durations.wall, 50),
        milliseconds(durations.wall, 99, target),
        milliseconds(durations.wall, 100),
        milliseconds(durations.cpu, 50),
        milliseconds(durations.cpu, 99),
        f"{target:g} ms",
    )
