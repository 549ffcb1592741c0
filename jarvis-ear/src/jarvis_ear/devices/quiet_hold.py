"""QuietHold: keeps quiet sound back in the sound process, so that the daemon can sleep.

Most sound of a room is quiet, and costs the daemon nothing but the wake-ups that deliver it. While
nothing may be speech, sound is handed over every few seconds; the first frame of speech releases
everything at once. The daemon hears the same samples in the same order.
"""

import array
from collections.abc import Callable
from typing import Final

import _webrtcvad  # without the module around it, which imports 2 MiB to find its own version

from jarvis_ear.devices.sound_library import LIVE, Quiet, RawInput, Taken
from jarvis_ear.units import SAMPLE_BYTES

LOOK_S: Final = 0.25
"""Seconds between two looks into the buffer of the device: three steps of the wake model, which it
scores together while nothing resembles the wake word. As soon as something does, the ear asks for
live sound."""

LIVE_S: Final = 3.0
"""Seconds after the last speech in which each look hands over what it finds."""

RATES: Final = (8_000, 16_000, 32_000, 48_000)
"""Rates that webrtcvad takes. Another one is heard as the nearest of them: 44 100 Hz as 48 000,
which raises every voice by a semitone and a half and changes nothing for a speech detector."""

FRAME_S: Final = 0.02

LARGEST: Final = 32_767


class SpeechFinder:
    """Finds speech in the raw sound of a card. For one thread."""

    def __init__(self, rate: int, channels: int, aggressiveness: int, gain: float) -> None:
        self._every = max(1, rate // RATES[-1])  # of a faster rate, each n-th sample
        self._rate = min(RATES, key=lambda known: abs(known - rate // self._every))
        self._channels = channels
        self._gain = gain
        self._frame_bytes = round(self._rate * FRAME_S) * SAMPLE_BYTES
        self._detectors = [_detector(aggressiveness) for _ in range(channels)]
        self._rest = [b""] * channels

    def hear(self, data: bytes) -> bool:
        """Add PCM16, all channels interleaved; return whether any frame may be speech."""
        found = False
        for channel, detector in enumerate(self._detectors):
            sound = self._rest[channel] + self._channel(data, channel)
            whole = len(sound) - len(sound) % self._frame_bytes
            for at in range(0, whole, self._frame_bytes):
                frame = sound[at : at + self._frame_bytes]
                count = self._frame_bytes // SAMPLE_BYTES
                found |= bool(_webrtcvad.process(detector, self._rate, frame, count))
            self._rest[channel] = sound[whole:]
        return found

    def _channel(self, data: bytes, channel: int) -> bytes:
        step = self._channels * self._every
        if step == 1 and self._gain == 1:
            return data
        samples = array.array("h", data)[channel::step]
        if self._gain != 1:
            louder = (round(sample * self._gain) for sample in samples)
            samples = array.array("h", (max(-LARGEST, min(LARGEST, each)) for each in louder))
        return samples.tobytes()


def _detector(aggressiveness: int) -> object:
    detector = _webrtcvad.create()
    _webrtcvad.init(detector)
    _webrtcvad.set_mode(detector, aggressiveness)
    return detector


class QuietHold:
    """An ``InputStream`` that may keep quiet sound back. Owned by the thread that serves requests.

    Bound: ``Quiet.longest_s`` of sound and one look. ``pause`` waits for as many seconds, and
    returns whether a message of the daemon arrived, which ends the wait.
    """

    def __init__(self, stream: RawInput, pause: Callable[[float], bool]) -> None:
        self._stream = stream
        self.device, self.rate, self.channels = stream.device, stream.rate, stream.channels
        self.latency = stream.latency
        self._frame_bytes = stream.channels * SAMPLE_BYTES
        self._pause = pause
        self._look_s = min(LOOK_S, stream.latency / 2)
        self._quiet_samples = 0  # since the last speech
        self._quiet = LIVE
        self._finder = self._new_finder(LIVE)

    def hold(self, quiet: Quiet) -> None:
        """Keep quiet sound back as ``quiet`` says, from the next ``take`` on."""
        before, self._quiet = self._quiet, quiet
        if quiet.longest_s and before._replace(longest_s=quiet.longest_s) != quiet:
            self._finder = self._new_finder(quiet)

    def take(self, least: int, most: int) -> Taken:
        """Take sound as ``InputStream.take`` does if it is live; otherwise look for speech.

        Without speech for ``LIVE_S``, sound is kept back until there is some, or a message, or the
        longest time is over. A look that finds no sound ends it too: the daemon watches for stalls.
        """
        longest = round(self._quiet.longest_s * self.rate)
        if not longest:
            return self._stream.take(least, most)
        held, overflowed, is_over = bytearray(), False, False
        while not is_over:
            is_interrupted = self._pause(self._look_s)
            taken = self._stream.take(least, longest)
            held += taken.data
            overflowed = overflowed or taken.overflowed
            is_over = is_interrupted or overflowed or not taken.data or self._has_spoken(taken)
            is_over = is_over or len(held) >= longest * self._frame_bytes
        return Taken(bytes(held), overflowed, taken.waiting)

    def close(self) -> None:
        """Discard the buffer and close the device. Idempotent."""
        self._stream.close()

    def _has_spoken(self, taken: Taken) -> bool:
        """Hear what was taken; return whether there was speech a short time ago."""
        is_speech = self._finder.hear(taken.data)
        count = len(taken.data) // self._frame_bytes
        self._quiet_samples = 0 if is_speech else self._quiet_samples + count
        return self._quiet_samples < LIVE_S * self.rate

    def _new_finder(self, quiet: Quiet) -> SpeechFinder:
        return SpeechFinder(self.rate, self.channels, quiet.aggressiveness, quiet.gain)
