"""Strangers: what a room says after the wake word, and commands that are taken for it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bench.listener import Heard, Listener
from bench.material import WORDS, Clip, Collection, spread
from bench.percent import share
from bench.scale import Scale
from bench.scene import CLEAN, MUSIC, Room, Scene, after_a_pause, play, sentences, word_alone
from bench.sound import chance
from bench.table import Row, Table
from jarvis_ear.units import FRAME_SAMPLES

BEFORE_S: Final = 6.0
"""Seconds of the room before the wake word: enough to know its television."""

NOBODY_S: Final = 7.5
"""Seconds of the room after a wake word alone: the wait for a command, and 2.5 s."""

AFTER_S: Final = 2.5
"""Seconds of the room after a command."""

PAUSES_S: Final = (0.0, 0.3, 0.7, 1.0, 2.0, 3.0)
"""Pauses between the wake word and the command."""

CHANGE_DB: Final = (-1.0, 2.0)
"""Mean and deviation of the level of a command against its wake word."""

ROOMS: Final[dict[Room, tuple[float | None, float | None]]] = {
    CLEAN: (0.0, 1.0),
    Room("household", 20): (0.0, 1.0),
    Room("household", 10): (4.0, 1.0),
    Room("household", 5): (10.0, None),
    Room("babble", 20): (None, 1.0),
    Room("babble", 10): (None, 1.0),
    Room("television", 20): (3.0, 1.0),
    Room("television", 10): (30.0, 5.0),
    Room("television", 5): (None, None),
    MUSIC: (5.0, 1.0),
    Room("television", 20, rt60_s=0.5): (3.0, 1.0),
}
"""Targets: the most per cent of utterances though nobody spoke, and of commands lost."""


@dataclass(slots=True)
class Tally:
    """Results in one room."""

    alone: int = 0
    """Wake words alone that woke the ear."""
    sent: int = 0
    """Of these: followed by an utterance."""
    commands: int = 0
    """Commands whose wake word woke the ear."""
    lost: int = 0
    """Of these: no utterance holds the whole command."""


def strangers(scale: Scale, collection: Collection) -> list[Table]:
    """Play wake words alone, and commands after a pause, in rooms with other voices."""
    listener, rows, notes = Listener(), list[Row](), list[str]()
    words = spread(collection.labelled(*WORDS), scale.noisy_clips)
    commands = sentences(collection.labelled("neg_commands", "neg_speech"))
    for room, (sent, lost) in ROOMS.items():
        tally = Tally()
        for word in words:
            speech = word_alone(word)
            scene = play(speech, room, collection, before_s=BEFORE_S, after_s=NOBODY_S)
            _note_alone(listener.hear(scene.sound), tally, f"{room}: {scene.name}", notes)
        for scene in _commands(words, commands, room, collection):
            _note_command(listener.hear(scene.sound), scene, tally, f"{room}: {scene.name}", notes)
        rows.append(
            (
                str(room),
                str(tally.alone),
                share(tally.sent, tally.alone, sent),
                str(tally.commands),
                share(tally.lost, tally.commands, lost),
            )
        )
    return [
        Table(
            "The wake word alone, then 7 s of the room; and commands after a pause",
            ("room", "woken alone", "sent though nobody spoke", "woken, command", "lost"),
            rows,
            "those of issue 10 at most, see the source",
            [
                f"{BEFORE_S:g} s of the room before the wake word; pauses of 0 to 3 s;",
                "the command is -1 dB against the wake word, with a deviation of 2 dB",
                collection.describes,
                *notes,
            ],
        )
    ]


def _commands(
    words: list[Clip], commands: list[Clip], room: Room, collection: Collection
) -> Iterator[Scene]:
    for place, word in enumerate(words if commands else []):
        command = commands[place % len(commands)]
        change_db = float(chance("change", word.name).normal(*CHANGE_DB))
        pause_s = PAUSES_S[(place + place // len(commands)) % len(PAUSES_S)]
        speech = after_a_pause(word, command, pause_s, change_db)
        yield play(speech, room, collection, before_s=BEFORE_S, after_s=AFTER_S)


def _note_alone(heard: Heard, tally: Tally, name: str, notes: list[str]) -> None:
    if heard.turns:
        tally.alone += 1
        tally.sent += bool(heard.utterances)
        notes += [f"sent though nobody spoke, {name}"] if heard.utterances else []


def _note_command(heard: Heard, scene: Scene, tally: Tally, name: str, notes: list[str]) -> None:
    if not heard.turns:
        return
    tally.commands += 1
    starts = (scene.command_starts or 0) + FRAME_SAMPLES
    if not any(
        utterance.start <= starts and utterance.end >= scene.speech_ends
        for utterance in heard.utterances
    ):
        tally.lost += 1
        notes.append(f"command lost, {name}")
