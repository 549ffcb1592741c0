"""What the ear makes of known situations, written down: one line for each effect, in tests/data.

``python tests/replay/golden.py`` writes the files anew. Read the difference before you keep it.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from fakes.recordings import DATA, Pcm, in_room, real_ear, recording
from jarvis_ear.audio.frames import Block, Framer
from jarvis_ear.hearing.events import Effect, Ignored, SendUtterance, TurnOpened, UtteranceGrew
from jarvis_ear.units import SAMPLE_BYTES, Samples, samples

BLOCK: Final = 1024
"""Samples of a block: what many sound cards deliver, and no whole number of frames."""


def blocks(sound: Pcm, start: int = 0) -> list[Block]:
    """Cut ``sound`` into blocks as a card does."""
    pcm = sound.tobytes()
    return [
        Block(Samples(start + at), pcm[SAMPLE_BYTES * at : SAMPLE_BYTES * (at + BLOCK)])
        for at in range(0, len(sound), BLOCK)
    ]


def gap_in_the_middle_of_a_word() -> list[Block]:
    """150 ms of "kitchen" never arrive."""
    sound = in_room(1000, recording("light-rms"), 2000)
    lost = samples(1000 + 1500)
    found = lost + samples(150)
    return blocks(sound[:lost]) + blocks(sound[found:], found)


def clipped_shouting() -> list[Block]:
    sound = in_room(1000, recording("timer-awb"), 2000, gain=3.0)
    assert np.count_nonzero(sound == np.iinfo(np.int16).max) > samples(10)
    return blocks(sound)


def quiet_microphone() -> list[Block]:
    """Its loudest sample is at -50 dBFS."""
    loudest = np.abs(recording("one-breath-slt").astype(float)).max()
    gain = float(32768 * 10 ** (-50 / 20) / loudest)
    return blocks(in_room(1000, recording("one-breath-slt"), 2000, gain=gain, floor_rms=1.5))


SITUATIONS: Final[Mapping[str, Callable[[], list[Block]]]] = {
    "wake_then_pause_then_command": lambda: blocks(
        in_room(1000, recording("hey-jarvis"), 1500, recording("what-time-is-it"), 2000)
    ),
    "command_without_pause": lambda: blocks(in_room(1000, recording("one-breath-slt"), 2000)),
    "wake_word_alone": lambda: blocks(in_room(1000, recording("hey-jarvis"), 7000)),
    "gap_in_the_middle_of_a_word": gap_in_the_middle_of_a_word,
    "clipped_shouting": clipped_shouting,
    "quiet_microphone": quiet_microphone,
}


def replay(situation: list[Block]) -> Iterator[str]:
    """Let an ear hear the blocks of a situation; a line for each effect: when, what, details."""
    ear, framer = real_ear(), Framer()
    for block in situation:
        for frame in framer.push(block):
            for effect in ear.hear(frame):
                if not isinstance(effect, Ignored | UtteranceGrew):
                    yield json.dumps([frame.end, type(effect).__name__, details(effect)])


def details(effect: Effect) -> dict[str, Any]:
    """Fields of an effect that are the same on every processor: all but sounds and scores."""
    match effect:
        case SendUtterance(turn_id, utterance):
            fields = asdict(utterance)
            return {"turn_id": turn_id, **fields, "pcm": f"{len(fields['pcm'])} bytes"}
        case TurnOpened(turn_id, session_id):
            return {"turn_id": turn_id, "session_id": session_id}
        case _:
            return asdict(effect)


def golden_file(name: str) -> Path:
    """Where the effects of a situation are written down."""
    return DATA / f"{name}.events.jsonl"


def main() -> None:
    """Write every golden file."""
    for name, make in SITUATIONS.items():
        golden_file(name).write_text("".join(f"{line}\n" for line in replay(make())))
        sys.stdout.write(f"{golden_file(name).name}\n")


if __name__ == "__main__":
    main()
