"""Recording: sound from a microphone or a file for a check, and what the ear's detector hears."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from jarvis_ear.audio.filters import Conditioner
from jarvis_ear.audio.frames import Block, Framer
from jarvis_ear.audio.quality import Pcm
from jarvis_ear.audio.resample import Resampler
from jarvis_ear.audio.wav import WavError, decode_wav
from jarvis_ear.config import HearingOptions, MicrophoneOptions
from jarvis_ear.devices import sound_library
from jarvis_ear.devices.microphone import choose
from jarvis_ear.devices.models import WebRtcVad, make_wake_model
from jarvis_ear.devices.selection import look_up
from jarvis_ear.devices.sound_faults import LossMeter
from jarvis_ear.errors import InputError, MicrophoneUnavailable
from jarvis_ear.hearing.wake import WakeJudgement
from jarvis_ear.hearing.wake_detector import WakeDetector
from jarvis_ear.mic_check.advice import WakeScore
from jarvis_ear.paths import read_regular
from jarvis_ear.units import SAMPLE_RATE, Samples

PIECE_MS: Final = 40
"""Length of one piece of sound."""

MAX_FILE_S: Final = 600
"""Longest recording that is judged: ten minutes, which take 150 MiB in memory as samples."""

MAX_FILE_BYTES: Final = 256 * 1024 * 1024
"""Longest file that is read."""

STALL_S: Final = 3.0
"""Seconds without a sample after which the microphone counts as lost."""


@dataclass(slots=True)
class Recording:
    """Sound as it is recorded. For one thread."""

    source: str
    """Name of the microphone, or the file."""
    rate: int
    pieces: list[Pcm]
    """Pieces of shape (samples, channels)."""
    lost: int = 0
    """Samples that never arrived, by the clock."""

    @property
    def sound(self) -> Pcm:
        """All of it, shape (samples, channels)."""
        return np.concatenate(self.pieces) if self.pieces else np.empty((0, 1), np.int16)


def chosen(piece: Pcm, choice: str) -> Pcm:
    """Return the channel of a piece that the ear hears."""
    return choose(piece.astype("<i2").tobytes(), piece.shape[1], choice)


def read_file(path: Path, choice: str) -> Recording:
    """Read a WAV file, or raise ``InputError``."""
    try:
        data, _status = read_regular(path, MAX_FILE_BYTES, follow=True)
        sound = decode_wav(data, max_seconds=MAX_FILE_S)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except WavError as error:
        raise InputError(f"{path} is not a WAV file that can be read: it {error}") from error
    if len(sound.pcm) == 0:
        raise InputError(f"{path} holds no sound")
    if choice != sound_library.MIX and int(choice) >= sound.channels:
        raise InputError(f"{path} has no channel {choice} (microphone.channel)")
    return Recording(str(path), sound.rate, [sound.pcm])


def pieces_of(recording: Recording) -> Iterator[Pcm]:
    """Yield what is recorded in pieces of ``PIECE_MS``."""
    sound, count = recording.sound, recording.rate * PIECE_MS // 1000  # WAV has 1 kHz at least
    yield from (sound[at : at + count] for at in range(0, len(sound), count))


class LiveRecording:
    """Records all channels of a microphone for some seconds. For one thread.

    A device with more than eight channels is a sound server, which gives those that are asked for.
    Raises ``DeviceError``.
    """

    def __init__(
        self,
        options: MicrophoneOptions,
        library: sound_library.RemoteLibrary,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        device = look_up(library, options.device, "input")
        sound_library.count_for(options.channel, device)
        channel = sound_library.MIX if device.inputs <= sound_library.MOST else options.channel
        latency_s = options.latency_ms / 1000
        self._stream: sound_library.InputStream = library.open_input(
            options.device, rate=SAMPLE_RATE, latency_s=latency_s, channel=channel
        )
        self._monotonic = monotonic
        self.recording = Recording(device.name, self._stream.rate, [])

    def pieces(self, seconds: float) -> Iterator[Pcm]:
        """Yield each piece as it arrives, shape (samples, channels); then close the device."""
        stream, recording = self._stream, self.recording
        wanted, arrived = round(seconds * stream.rate), 0
        piece = stream.rate * PIECE_MS // 1000
        heard_at, meter = self._monotonic(), None
        with closing(stream):
            while arrived < wanted:
                taken = self._take(piece, stream.rate)
                now = self._monotonic()
                if not taken.data:
                    if now - heard_at > STALL_S:
                        raise MicrophoneUnavailable(f"{recording.source} gave no sound")
                    continue
                heard_at = now
                sound = np.frombuffer(taken.data, "<i2").reshape(-1, stream.channels)
                arrived += len(sound)
                meter = meter or LossMeter(stream.rate, now)
                due = arrived + recording.lost + taken.waiting
                recording.lost += meter.lost(now, due, overflowed=taken.overflowed)
                recording.pieces.append(sound)
                yield sound

    def _take(self, least: int, most: int) -> sound_library.Taken:
        try:
            return self._stream.take(least, most)
        except sound_library.StreamFailed as error:
            raise MicrophoneUnavailable(f"{self.recording.source}: {error}") from error


class WakeListener:
    """Has the ear's own detector hear a stream of sound of any rate. For one thread."""

    def __init__(self, hearing: HearingOptions, rate: int) -> None:
        """Load the models, or raise ``ConfigError``."""
        self._rate = rate
        self._resampler = Resampler(rate, SAMPLE_RATE)
        self._framer = Framer()
        self._conditioner = Conditioner(hearing.heard.high_pass_hz, hearing.heard.gain_db)
        self._vad = WebRtcVad(hearing.gate.aggressiveness)
        words = hearing.wake.all_words
        model = make_wake_model(tuple(word.model for word in words), effort=hearing.wake.effort)
        self._detector = WakeDetector(hearing, model)
        self._threshold = min(word.threshold for word in words)
        self._position = Samples(0)
        self._best = 0.0
        self._detected = 0

    def hear(self, sound: Pcm) -> float:
        """Add samples of the channel that the ear hears; return the best score in them."""
        block = Block(self._position, self._resampler.push(sound).astype("<i2").tobytes())
        self._position = block.end
        best = 0.0
        for frame in self._framer.push(block):
            heard = self._conditioner.push(frame)
            speech = self._vad.is_speech(heard.pcm)
            best = max(best, self._note(self._detector.hear(heard, speech=speech, may_wait=False)))
        return best

    def finish(self) -> WakeScore:
        """Return the result of the stream and a second of silence: detections may be late."""
        self.hear(np.zeros(self._rate, np.int16))
        self._note(self._detector.flush())
        return WakeScore(self._best, self._threshold, self._detected)

    def _note(self, judged: tuple[WakeJudgement, ...]) -> float:
        self._best = max(self._best, best := max((each.score for each in judged), default=0.0))
        self._detected += sum(each.detected is not None for each in judged)
        return best
