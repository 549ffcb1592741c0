"""CPU seconds per hour of sound, back to back and in real time."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from bench.listener import ALWAYS, GATED, end_turn, make_ear
from bench.material import COMMANDS, Collection, quiet_room, spread
from bench.scale import Scale
from bench.scene import CLEAN, one_breath, play
from bench.sound import Sound, rounded, seconds
from bench.table import Figure, Row, Table
from jarvis_ear import config
from jarvis_ear.audio.frames import Block, Framer
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.sources import WavFile
from jarvis_ear.errors import JarvisEarError
from jarvis_ear.hearing.ear_thread import EarThread
from jarvis_ear.hearing.events import Effect, Failed, SendUtterance
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.units import SAMPLE_RATE, Samples

HOUR_S: Final = 3600

BLOCK: Final = 640
"""Samples in a block: 40 ms, as capture hands them over."""

SLICE_S: Final = 5
"""How long one gate is measured before the next one's turn comes: what else the machine does
falls on all of them alike."""

GRACE_S: Final = 10.0
"""How much longer than its own length a paced sound may take."""

PACED_ROOMS: Final = 3
"""Real time is slow: commands are left to the other table."""

PAUSE_S: Final = 5.0
"""Silence between two commands of somebody who gives one after the other."""


def cpu(scale: Scale, collection: Collection) -> list[Table]:
    """Hear the same sound with each gate, slice by slice in turn, as fast as possible."""
    rows: list[Row] = []
    for room, sound in _rooms(scale.cpu_s, collection):
        floor, gated, always = _back_to_back(sound)
        rows.append((room, *_figures(floor, gated, always)))
    return [
        Table(
            "CPU seconds per hour of sound, back to back",
            ("room", "floor", "vad", "always", "vad / always"),
            rows,
            "",
            [
                "floor: the same blocks through the framer, and nothing done with the frames",
                collection.describes,
            ],
        )
    ]


def paced(scale: Scale, collection: Collection) -> list[Table]:
    """Hear sound in real time, through the threads of the daemon."""
    rows: list[Row] = []
    for room, sound in islice(_rooms(scale.paced_s, collection), PACED_ROOMS):
        costs = [_in_real_time(sound, hearing) for hearing in (None, GATED, ALWAYS)]
        rows.append((room, *_figures(*costs)))
    return [
        Table(
            "CPU seconds per hour of sound, in real time (WavFile, Capture, Inbox, EarThread)",
            ("room", "floor", "vad", "always", "vad / always"),
            rows,
            "",
            [
                "floor: the same threads, and nothing done with the frames: waking up costs",
                collection.describes,
            ],
        )
    ]


def _rooms(length_s: float, collection: Collection) -> Iterator[tuple[str, Sound]]:
    yield "quiet", quiet_room("cpu", length_s)
    share = seconds(length_s) // len(collection.household)
    noises = [np.resize(noise.waves, share) for noise in collection.household]
    yield "household noise", rounded(np.concatenate(noises))
    yield "speech", np.resize(collection.talk, seconds(length_s))
    yield "commands", _commands(length_s, collection)


def _commands(length_s: float, collection: Collection) -> Sound:
    clips = spread(collection.labelled(*COMMANDS), 1 + int(length_s) // 8)
    scenes = [
        play(one_breath(clip), CLEAN, collection, before_s=0, after_s=PAUSE_S).sound
        for clip in clips
    ]
    return np.resize(np.concatenate(scenes), seconds(length_s))


def _figures(floor: float, gated: float, always: float) -> tuple[Figure, ...]:
    return (
        Figure(floor, ".2f"),
        Figure(gated, ".1f"),
        Figure(always, ".1f"),
        Figure(100 * gated / always, ".0f", " %"),
    )


def _back_to_back(sound: Sound) -> list[float]:
    ears = [_nobody(), _ear(GATED), _ear(ALWAYS)]
    spent = [0.0] * len(ears)
    whole = len(sound) // BLOCK * BLOCK
    step = seconds(SLICE_S) // BLOCK * BLOCK
    for start in range(0, whole, step):
        blocks = list(_blocks(sound, start, min(start + step, whole)))
        for place, hear in enumerate(ears):
            spent[place] += _cost(hear, blocks)
    return [cost / whole * SAMPLE_RATE * HOUR_S for cost in spent]


def _blocks(sound: Sound, start: int, end: int) -> Iterator[Block]:
    for at in range(start, end, BLOCK):
        yield Block(Samples(at), sound[at : at + BLOCK].tobytes())


def _cost(hear: Callable[[Block], None], blocks: list[Block]) -> float:
    began = time.process_time()
    for block in blocks:
        hear(block)
    return time.process_time() - began


def _nobody() -> Callable[[Block], None]:
    framer = Framer()

    def hear(block: Block) -> None:
        framer.push(block)

    return hear


def _ear(hearing: config.HearingOptions) -> Callable[[Block], None]:
    framer, ear = Framer(), make_ear(hearing)

    def hear(block: Block) -> None:
        for frame in framer.push(block):
            for effect in ear.hear(frame):
                end_turn(ear, effect)

    return hear


@dataclass(slots=True)
class Backend:
    """Fails every turn at once. Its ``deliver`` belongs to the ear thread."""

    inbox: Inbox

    def deliver(self, effect: Effect) -> None:
        """Answer an utterance; anything else is nobody's business."""
        if isinstance(effect, SendUtterance):
            self.inbox.tell(Failed(effect.turn_id, "bench"))


def _in_real_time(sound: Sound, hearing: config.HearingOptions | None) -> float:
    """CPU seconds per hour of the whole chain; None: without an ear at its end."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as up:
        path = Path(folder) / "sound.wav"
        path.write_bytes(pcm_to_wav(sound.astype("<i2").tobytes()))
        inbox, over = Inbox(), threading.Event()
        ear = None if hearing is None else _thread(hearing, inbox, over)
        began = time.process_time()
        if ear is not None:
            up.enter_context(ear)
        ended = over.set if ear is None else ear.sound_ended
        capture = Capture(
            WavFile(path),
            inbox,
            on_end=_when_over(ended),
        )
        up.enter_context(capture)
        if ear is None:
            up.callback(inbox.close)
            _drain(inbox, over)
        if not over.wait(len(sound) / SAMPLE_RATE + GRACE_S):
            raise TimeoutError(f"{len(sound) / SAMPLE_RATE:g} s of sound did not come to an end")
        return (time.process_time() - began) / len(sound) * SAMPLE_RATE * HOUR_S


def _thread(hearing: config.HearingOptions, inbox: Inbox, over: threading.Event) -> EarThread:
    return EarThread(
        make_ear(hearing),
        inbox,
        Backend(inbox).deliver,
        on_finished=over.set,
        on_failure=lambda _error: over.set(),
    )


def _when_over(ended: Callable[[], None]) -> Callable[[JarvisEarError | None], None]:
    def on_end(error: JarvisEarError | None) -> None:
        if error is not None:
            raise error
        ended()

    return on_end


def _drain(inbox: Inbox, over: threading.Event) -> None:
    framer = Framer()
    while not over.is_set():
        item = inbox.get(0.25)
        if isinstance(item, Block):
            framer.push(item)
