"""Session: asks a person to speak, and records the microphone."""

import threading
from collections.abc import Callable
from statistics import median
from typing import Final, NamedTuple

import numpy as np

from jarvis_ear import config
from jarvis_ear.audio.frames import Block
from jarvis_ear.calibration.loudspeaker import CHIRP_MS, chirp_wav, find_chirp
from jarvis_ear.delivery.playback import Playback
from jarvis_ear.devices.sample_clock import SampleClock
from jarvis_ear.devices.sources import EndOfSound, Source
from jarvis_ear.devices.speaker import Speaker
from jarvis_ear.errors import InputError
from jarvis_ear.replay.recordings import LabelledSound, Span
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE, Samples, samples

WORD: Final = samples(4000)
"""Time for the wake word: to read the number, to breathe and to say it."""

COMMAND: Final = samples(8000)
"""Time for the wake word with a command, and the silence after it."""

CHIRPS: Final = 3
"""Chirps that are played; the median counts."""

CHIRP_WAIT: Final = samples(2500)
"""Sound in which a chirp is looked for: a slow loudspeaker is 2 s late."""

PLAY_S: Final = 15.0
"""Maximum seconds for opening the loudspeaker and playing a chirp."""

SHOWN: Final = samples(60_000)
"""Time between two lines while the room is heard."""


class Lag(NamedTuple):
    """How late the loudspeaker is."""

    delay: Samples
    """Time from when it reports the sound to when the microphone hears it."""
    tail: Samples
    """Time for which its sound lasts in the room."""
    chirps: int
    """Number of chirps that were found."""


class Recorder:
    """Records a source that is open. For one thread."""

    def __init__(self, source: Source, clock: SampleClock) -> None:
        self._source = source
        self._clock = clock
        self.position = Samples(0)
        """Position after the newest sample."""

    def record(self, count: int) -> bytes:
        """Return the next ``count`` samples as PCM16, or somewhat more; raise DeviceError."""
        data = bytearray()
        while len(data) < count * SAMPLE_BYTES:
            try:
                block = self._source.read()
            except EndOfSound:
                raise InputError(
                    f"{self._source.name} ends before the calibration is over"
                ) from None
            if block is not None:
                self._clock.captured(block.end)
                self.position = block.end
                data += block.data
        return bytes(data)


def recording_of(name: str, sound: bytes, *, has_word: bool) -> LabelledSound:
    """Return a recording that holds one wake word, or none.

    Each word is a recording of its own: joined, one that the end of its time cut in two would count
    for both times or for neither, whatever was said of it when it was recorded.
    """
    whole = Span(Samples(0), Samples(len(sound) // SAMPLE_BYTES))
    return LabelledSound(
        name, lambda: iter((Block(whole.start, sound),)), (whole,) if has_word else ()
    )


def record_words(
    recorder: Recorder,
    count: int,
    length: Samples,
    say: Callable[[str], None],
    judge: Callable[[bytes], str],
) -> list[bytes]:
    """Ask for a word ``count`` times, and report each result."""
    parts = []
    for number in range(1, count + 1):
        say(f"  {number:>2} of {count}: now")
        parts.append(recorder.record(length))
        say(f"            {judge(parts[-1])}")
    return parts


def record_room(recorder: Recorder, length: int, say: Callable[[str], None]) -> bytes:
    """Record the room, and say every minute how much is left."""
    data = b""
    while (left := length - len(data) // SAMPLE_BYTES) > 0:
        say(f"  {left / SAMPLE_RATE / 60:.1f} minutes left")
        data += recorder.record(min(left, SHOWN))
    return data


def measure_lag(
    recorder: Recorder, clock: SampleClock, options: config.SpeakerOptions
) -> Lag | str:
    """Play chirps and find them in the microphone; return why that was not possible."""
    played: list[tuple[float, int]] = []  # when each piece is heard, and its samples
    reports: list[Playback] = []
    ended = threading.Event()

    def report(_turn_id: str, playback: Playback) -> None:
        reports.append(playback)

    speaker = Speaker(
        options,
        on_started=lambda _id: None,
        on_ended=lambda _id: ended.set(),
        on_heard=report,
        on_far=lambda pcm, at: played.append((at, len(pcm) // SAMPLE_BYTES)),
    )
    lags, tails = [], []
    with speaker:
        for number in range(CHIRPS):
            played.clear()
            ended.clear()
            begin = recorder.position
            name = f"chirp{number}"
            speaker.play(name, 0, "", chirp_wav())
            speaker.finish(name)
            sound = recorder.record(CHIRP_WAIT + samples(CHIRP_MS))
            if not ended.wait(PLAY_S) or not reports or not reports[-1].audible or not played:
                return speaker.problem or "no sound could be played"
            found = find_chirp(np.frombuffer(sound, "<i2"))
            if found is not None:
                heard_at = clock.captured_at(Samples(begin + found.at))
                lags.append(heard_at - played[0][0])
                tails.append(found.tail)
    if not lags:
        return "the microphone does not hear the loudspeaker"
    delay = Samples(round(median(lags) * SAMPLE_RATE))
    return Lag(delay, Samples(round(median(tails))), len(lags))
