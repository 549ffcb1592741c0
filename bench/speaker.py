"""The loudspeaker: time from a reply's first chunk to its first sample, and underruns.

Measured on a virtual ALSA card, which knows when it played each byte. The speaker is that of the
daemon, with its sound process; the chunk is given to it as the network thread does.
"""

import os
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from bench.material import ROOT, Collection
from bench.percent import milliseconds
from bench.scale import Scale
from bench.table import Figure, Row, Table
from jarvis_ear import config
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.devices.output import PortAudioOutput
from jarvis_ear.devices.portaudio_process import SoundProcess
from jarvis_ear.devices.speaker import Speaker

sys.path.insert(0, str(ROOT / "tests"))

from fakes.vmic import VirtualCard, missing_tools, vmic

TARGET_MS: Final = 40.0

REACTION_MS: Final = 100.0

LONG_S: Final = 5.0
HALF_S: Final = 0.5
"""Seconds of a reply that is interrupted, and seconds before and after the interruption."""

DUCKED: Final = 0.26
"""A sample above this share is not ducked yet: -12 dB is 0.251."""

RATE: Final = 48_000
"""Of the card; it has two channels."""

REPLY_RATE: Final = 22_050
"""Of the replies, so that they are resampled."""

REPLY_S: Final = 0.3

SWALLOWED_MS: Final = 1000
"""What an HDMI or Bluetooth output may swallow while it wakes up."""

AWAKE_S: Final = 1.0
"""Seconds in which the sound process starts and opens the card: a person speaks longer."""

BUSY_PROCESSES: Final = 4
"""On two cores: each waits as long as it works."""

BUSY: Final = (sys.executable, "-c", "while True: pass")

LOUD: Final = 9000
HEARD: Final = 100
"""Sample values of a reply, and from where on a sample counts as heard."""


@dataclass(slots=True)
class Desk:
    """A speaker on a card of its own. For one thread."""

    card: VirtualCard
    speaker: Speaker
    events: "queue.Queue[str]" = field(default_factory=queue.Queue)

    def reply(self, turn_id: str, seconds: float) -> float:
        """Play a reply; return the seconds until the card played its first sample."""
        before = self._size()
        wav = pcm_to_wav(np.full(round(seconds * REPLY_RATE), LOUD, "<i2").tobytes(), REPLY_RATE)
        began = time.monotonic()
        self.speaker.play(turn_id, 0, "audio/wav", wav)
        self.speaker.finish(turn_id)
        while self.events.get(timeout=60) != turn_id:
            pass
        played = np.frombuffer(self.card.played.read_bytes(), "<i2")[before // 2 :]
        first = before + 2 * int(np.flatnonzero(np.abs(played) > HEARD)[0])
        return self.card.heard_at(first) - began

    def heard(self, turn_id: str, seconds: float) -> float:
        """Play a reply; return the seconds of it that the card played."""
        sound = np.full(round(seconds * RATE), LOUD, "<i2")
        self.speaker.play(turn_id, 0, "audio/wav", pcm_to_wav(sound.tobytes(), RATE))
        self.speaker.finish(turn_id)
        while self.events.get(timeout=60) != turn_id:
            pass
        played = np.frombuffer(self.card.played.read_bytes(), "<i2")[::2]
        return float((played > HEARD).sum() / RATE)

    def begin(self, turn_id: str) -> int:
        """Begin a reply that lasts; return the bytes that were played before it."""
        before = self._size()
        sound = np.full(round(LONG_S * REPLY_RATE), LOUD, "<i2").tobytes()
        self.speaker.play(turn_id, 0, "audio/wav", pcm_to_wav(sound, REPLY_RATE))
        while self._size() < before + round(HALF_S * self.card.bytes_per_s):
            time.sleep(0.01)
        return before

    def last(self, before: int, at_least: int) -> float:
        """Return when the last sample of this level was played, of those after ``before``."""
        played = np.frombuffer(self.card.played.read_bytes(), "<i2")[before // 2 :]
        return self.card.heard_at(before + 2 * int(np.flatnonzero(played >= at_least)[-1]))

    def _size(self) -> int:
        return self.card.played.stat().st_size if self.card.played.exists() else 0


def speaker(scale: Scale, _collection: Collection) -> list[Table]:
    """Time the first sample of replies, and count underruns alone and on a busy machine."""
    if missing := missing_tools():
        return [Table("The loudspeaker", ("state",), [], "", [f"not measured: {missing}"])]
    return [_first_samples(scale), _reactions(scale), _underruns(scale), _lead_ins(scale)]


def _first_samples(scale: Scale) -> Table:
    cold: list[float] = []
    closed: list[float] = []
    opened: list[float] = []
    for _ in range(scale.starts):
        with _desk(warm_s=0) as desk:
            cold.append(desk.reply("a", REPLY_S))
            closed += [desk.reply(f"b{number}", REPLY_S) for number in range(scale.starts)]
        with _desk(warm_s=60) as desk:
            desk.speaker.prepare()
            time.sleep(AWAKE_S)
            opened += [desk.reply(f"c{number}", REPLY_S) for number in range(scale.starts)]
    return Table(
        "From the first chunk of a reply to its first sample",
        ("state of the loudspeaker", "replies", "p50", "max"),
        [
            _row("open since the wake word, or after a reply", opened, TARGET_MS),
            _row("closed, its sound process runs", closed),
            _row("without a sound process", cold),
        ],
        f"open: at most {TARGET_MS:g} ms",
    )


def _row(state: str, taken: list[float], target: float | None = None) -> Row:
    return state, str(len(taken)), milliseconds(taken, 50, target), milliseconds(taken, 100, target)


def _reactions(scale: Scale) -> Table:
    """Time what a listener hears after each order, by the clock of the card."""
    taken: dict[str, list[float]] = {"stop": [], "pause": [], "duck": []}
    with _desk(warm_s=60) as desk:
        for number in range(scale.starts):
            for order, times in taken.items():
                turn_id = f"{order}{number}"
                before = desk.begin(turn_id)
                began = time.monotonic()
                if order == "duck":
                    desk.speaker.duck(on=True)
                elif order == "pause":
                    desk.speaker.pause(turn_id)
                else:
                    desk.speaker.stop()
                time.sleep(HALF_S)
                level = round(LOUD * DUCKED) if order == "duck" else HEARD
                times.append(desk.last(before, level) - began)
                desk.speaker.duck(on=False)
                desk.speaker.stop()
                time.sleep(HALF_S)
    return Table(
        "From an order to what is heard of it, while a reply is played",
        ("order", "times", "p50", "max"),
        [_row(order, times, REACTION_MS) for order, times in taken.items()],
        f"silent, or 12 dB lower, within {REACTION_MS:g} ms",
    )


def _underruns(scale: Scale) -> Table:
    rows: list[Row] = []
    for name, busy in (("alone", 0), (f"beside {BUSY_PROCESSES} busy processes", BUSY_PROCESSES)):
        with _desk(warm_s=60) as desk, ExitStack() as stack:
            desk.speaker.prepare()
            time.sleep(AWAKE_S)
            for _ in range(busy):
                stack.callback(_end, subprocess.Popen(BUSY))  # noqa: S603 - our own program
            time.sleep(AWAKE_S)
            first = desk.reply("a", scale.reply_s)
            found = desk.speaker.counters()["speaker_underruns"]
            row = (name, Figure(scale.reply_s, "g", " s"), Figure(found, "d"))
            rows.append((*row, milliseconds([first], 50)))
    return Table(
        "Underruns of one long reply",
        ("machine", "reply", "underruns", "first sample"),
        rows,
        notes=["after an underrun more is written ahead: 70 ms, then up to 200"],
    )


def _lead_ins(scale: Scale) -> Table:
    """Measure how much of a first word an output swallows that sleeps until it is played to."""
    rows: list[Row] = []
    for lead_in_ms, most in ((0, None), (SWALLOWED_MS, 0.0)):
        lost: list[float] = []
        for _ in range(scale.starts):
            options = config.SpeakerOptions(lead_in_ms=lead_in_ms)
            with _desk(options=options, swallow_ms=SWALLOWED_MS) as desk:
                lost.append(LONG_S - desk.heard("a", LONG_S))
        rows.append(
            (f"{lead_in_ms} ms", str(len(lost)), Figure(1000 * max(lost), ".1f", " ms", most))
        )
    return Table(
        f"A reply on a card that swallows the first {SWALLOWED_MS} ms that it is given",
        ("speaker.lead_in_ms", "replies", "lost of the reply, at most"),
        rows,
        "nothing is lost",
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


@contextmanager
def _desk(
    warm_s: float = 0, options: config.SpeakerOptions | None = None, swallow_ms: int = 0
) -> Iterator[Desk]:
    with tempfile.TemporaryDirectory() as folder:
        silence = np.zeros(1, np.int16)
        card = vmic(Path(folder), silence, rate=RATE, channels=2, swallow_ms=swallow_ms)
        events: queue.Queue[str] = queue.Queue()
        before = os.environ.get("ALSA_CONFIG_PATH")
        os.environ["ALSA_CONFIG_PATH"] = card.environment["ALSA_CONFIG_PATH"]
        process = SoundProcess()
        try:
            with Speaker(
                options or config.SpeakerOptions(warm_s=warm_s),
                on_started=lambda _turn: None,
                on_ended=events.put,
                output=PortAudioOutput("", library=process, release=process.end),
            ) as playing:
                yield Desk(card, playing, events)
        finally:
            process.end()
            os.environ.pop("ALSA_CONFIG_PATH")
            if before is not None:
                os.environ["ALSA_CONFIG_PATH"] = before
