"""Time from the end of speech at the sound card to `audio_end` at the backend."""

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import numpy as np

from bench.listener import GATED, Listener
from bench.material import COMMANDS, ROOT, Collection, spread
from bench.percent import milliseconds
from bench.quiet import running_ear
from bench.scale import Scale
from bench.scene import CLEAN, one_breath, play
from bench.sound import Sound
from bench.table import Table
from jarvis_ear.units import SAMPLE_RATE

sys.path.append(str(ROOT / "tests"))

from fakes.vmic import VirtualCard, missing_tools, vmic
from fakes.voice_server import Switches, VoiceServer

TARGET_MS: Final = 30.0

BEFORE_S: Final = 2.5
"""Seconds of a quiet room before each command. With those after the one before, sound is kept back
when the wake word begins."""

AFTER_S: Final = 1.5

LATE_S: Final = 2.0
"""Seconds after which an end belongs to something else."""

TITLE: Final = "From the end of speech at the sound card to audio_end at the backend"

SERVER: Final = Switches(reply="error")
"""A backend that ends every turn at once."""


def card_delay(scale: Scale, collection: Collection) -> list[Table]:
    """Speak commands to the whole daemon in real time, through a virtual sound card."""
    if missing := missing_tools():
        return [Table(TITLE, ("commands",), [], "", [f"not measured: {missing}"])]
    clips = spread(collection.labelled(*COMMANDS), scale.card_commands)
    clips = list(islice(cycle(clips), scale.card_commands))
    scenes = [
        play(one_breath(clip), CLEAN, collection, before_s=BEFORE_S, after_s=AFTER_S)
        for clip in clips
    ]
    sound = np.concatenate([scene.sound for scene in scenes])
    expected = [one.speech_end / SAMPLE_RATE for one in Listener().hear(sound).utterances]
    hangover_s = GATED.endpointing.hangover_ms / 1000
    ends, began = _ends(sound)
    found = _delays([began + end_s + hangover_s for end_s in expected], ends)
    return [
        Table(
            TITLE,
            ("commands", "utterances", "not sent", "p50", "p99", "max"),
            [
                (
                    str(len(clips)),
                    str(len(expected)),
                    str(len(expected) - len(found)),
                    milliseconds(found, 50),
                    milliseconds(found, 99, TARGET_MS),
                    milliseconds(found, 100),
                )
            ],
            f"p99 <= {TARGET_MS:g} ms",
            [
                f"beyond the hangover of {1000 * hangover_s:g} ms; in between, sound is kept back",
                "end of speech: the last frame of speech as the ear hears it, by the card's clock",
                collection.describes,
            ],
        )
    ]


def _ends(sound: Sound) -> tuple[list[float], float]:
    """Return when the backend got each ``audio_end``, and when the card began to hear.

    Both in seconds of CLOCK_BOOTTIME.
    """
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        card = vmic(folder, sound)
        environment = {**os.environ, **card.environment}
        with (
            VoiceServer(folder / "server", SERVER) as server,
            running_ear(folder, server.url, environment, SERVER.password),
        ):
            return _played(card, server, len(sound) / SAMPLE_RATE)


def _played(card: VirtualCard, server: VoiceServer, length_s: float) -> tuple[list[float], float]:
    over = card.capture_began + length_s + LATE_S
    time.sleep(over - time.clock_gettime(time.CLOCK_BOOTTIME))
    return [line["at"] for line in server.received("end")], card.capture_began


def _delays(due: Sequence[float], ends: Sequence[float]) -> list[float]:
    """Return how long after its time each end came, in seconds; leave out those that did not."""
    found = []
    for at in due:
        delay = next((end - at for end in ends if -LATE_S / 2 < end - at < LATE_S), None)
        if delay is not None:
            found.append(delay)
    return found
