"""Recordings: sound files and clips of the wake ledger, as blocks of a microphone."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from jarvis_ear.audio.frames import Block
from jarvis_ear.audio.resample import Resampler
from jarvis_ear.audio.wav import WavError, decode_wav
from jarvis_ear.devices.decoder import SndfileSound, UnplayableError, sniffed
from jarvis_ear.devices.sources import BLOCK_MS, EndOfSound, WavFile
from jarvis_ear.errors import InputError
from jarvis_ear.options.verbs import quoted
from jarvis_ear.paths import read_regular
from jarvis_ear.units import SAMPLE_RATE, Samples, seconds
from jarvis_ear.wake_ledger.clips import Clip, ClipFolder

MAX_S: Final = 24 * 3600.0
"""Seconds of one recording: a day."""

MAX_BYTES: Final = 2**31
"""Bytes of a file that is not WAV; it is read at once."""

MAX_TRUTH: Final = 16 * 1024 * 1024
"""Bytes of a truth file."""

COLUMNS: Final = ("file", "start_s", "end_s")
"""Columns of a truth file."""

_NUMBER: Final = re.compile(r"\d{1,6}(\.\d{0,6})?")


class Span(NamedTuple):
    """A part of a recording, in samples."""

    start: Samples
    end: Samples
    """First sample after it."""


@dataclass(frozen=True, slots=True)
class LabelledSound:
    """A sound, and what is known about the wake words in it. Immutable."""

    name: str
    blocks: Callable[[], Iterator[Block]]
    """Reads the sound: mono PCM16, 16 kHz, 40 ms at once. Raises InputError."""
    words: tuple[Span, ...] | None = None
    """Where the wake word is said, in their order; None: unknown."""
    clip: Clip | None = None
    """The record of the wake ledger, if it is a clip."""


Truth = Mapping[str, tuple[Span, ...]]
"""Where the wake word is said, by the name of the file."""


def of_file(path: Path, truth: Truth | None) -> LabelledSound:
    """Return the recording in a file of any format that soundfile reads.

    Without ``truth``, its wake words are unknown; a file that is not in it has none.
    """
    words = None if truth is None else _words_of(path, truth)
    return LabelledSound(str(path), lambda: _blocks(path), words)


def of_clip(folder: ClipFolder, clip: Clip) -> LabelledSound:
    """Return a clip of the wake ledger. Its label says whether the wake word is in it."""

    def blocks() -> Iterator[Block]:
        try:
            wav = decode_wav(folder.wav(clip), max_seconds=60)
        except (OSError, WavError) as error:
            raise InputError(f"clip {clip.id} cannot be read: {error}") from error
        yield Block(Samples(0), wav.mono().astype("<i2").tobytes())

    whole = Span(Samples(0), Samples(round(clip.seconds * SAMPLE_RATE)))
    words = {None: None, False: (), True: (whole,)}[clip.label]
    return LabelledSound(clip.id, blocks, words, clip)


def hours_of_clips(clips: Sequence[Clip]) -> float:
    """Return the time from the first clip to the last one: all of it was heard, clips or not."""
    times = [datetime.fromisoformat(clip.time).timestamp() for clip in clips]
    return (max(times) - min(times)) / 3600 if times else 0.0


def read_truth(path: Path) -> Truth:
    """Read a CSV file with the columns file, start_s and end_s: a row for each wake word.

    Raises ``InputError`` with the line of the first mistake.
    """
    try:
        lines = read_regular(path, MAX_TRUTH, follow=True)[0].decode("utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{named(path)} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{named(path)} is not text (UTF-8)") from error
    rows = list(csv.reader(lines))
    if not rows or tuple(cell.strip() for cell in rows[0]) != COLUMNS:
        raise InputError(f"{named(path)}: line 1: expected the columns {','.join(COLUMNS)}")
    found: dict[str, list[Span]] = {}
    for number, row in enumerate(rows[1:], start=2):
        if row:
            name, span = _truth_row(row, f"{named(path)}: line {number}")
            found.setdefault(name, []).append(span)
    return {name: tuple(sorted(spans)) for name, spans in found.items()}


def named(path: Path) -> str:
    """Return a path for a message, in full unless a terminal would misread it."""
    return str(path) if str(path).isprintable() else quoted(str(path))


def _truth_row(row: Sequence[str], place: str) -> tuple[str, Span]:
    cells = [cell.strip() for cell in row]
    if len(cells) != len(COLUMNS) or not cells[0] or not all(map(_NUMBER.fullmatch, cells[1:])):
        raise InputError(f"{place}: expected a file and two numbers, such as a.wav,1.2,2")
    start, end = (Samples(round(float(cell) * SAMPLE_RATE)) for cell in cells[1:])
    if end <= start:
        raise InputError(f"{place}: the word ends at {seconds(end):g} s, expected after its start")
    return cells[0], Span(start, end)


def _words_of(path: Path, truth: Truth) -> tuple[Span, ...]:
    """Return the words of a file, which the truth names by its path or by its last part."""
    return truth.get(str(path)) or truth.get(path.name, ())


def _blocks(path: Path) -> Iterator[Block]:
    try:
        with path.open("rb") as file:
            form = sniffed(file.read(12))
    except OSError as error:
        raise InputError(f"{named(path)} cannot be read: {error.strerror}") from error
    yield from _wav_blocks(path) if form == "wav" else _other_blocks(path, form or "sound")


def _wav_blocks(path: Path) -> Iterator[Block]:
    """Read a WAV file through the source that `run --input` has."""
    with closing(WavFile(path, fast=True)) as source:
        source.open()
        while True:
            try:
                block = source.read()
            except EndOfSound:
                return
            if block is not None:
                yield block


def _other_blocks(path: Path, form: str) -> Iterator[Block]:
    position = Samples(0)
    try:
        sound = SndfileSound(form, read_regular(path, MAX_BYTES, follow=True)[0], MAX_S)
        resampler, is_over = Resampler(sound.rate, SAMPLE_RATE), False
        while not is_over:
            raw = sound.read(max(1, sound.rate * BLOCK_MS // 1000))
            is_over = not len(raw)
            pcm = resampler.finish() if is_over else resampler.push(raw)
            if len(pcm):
                yield Block(position, pcm.astype("<i2").tobytes())
                position = Samples(position + len(pcm))
    except OSError as error:
        raise InputError(f"{named(path)} cannot be read: {error.strerror}") from error
    except UnplayableError as error:
        raise InputError(f"{named(path)} {error}") from error
    if not position:
        raise InputError(f"{named(path)} holds no sound")
