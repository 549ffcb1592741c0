"""QuietHold: keeps quiet sound back in the sound process, so that the daemon can sleep.

Most sound of a room is quiet, and costs the daemon nothing but the wake-ups that deliver it. While
nothing may be speech, sound is handed over every few seconds; the first frame of speech releases
everything at once. The daemon hears the same samples in the same order.
"""

import array
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import webrtcvad

from jarvis_ear.devices.sound_library import LIVE, Quiet, RawInput, Taken
from jarvis_ear.units import SAMPLE_BYTES

LOOK_S: Final = 0.25
"""Seconds between two looks into the buffer of the device while it is quiet."""

LIVE_S: Final = 3.0
"""Seconds after the last speech in which sound is handed over as it arrives."""

SPEECH_PIECES: Final = 2
"""Pieces that are handed over together while there is speech but no turn: 80 ms, a step of the wake
model, which hears nothing sooner with less."""

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
        self._detectors = [webrtcvad.Vad(aggressiveness) for _ in range(channels)]
        self._rest = [b""] * channels

    def hear(self, data: bytes) -> bool:
        """Add PCM16, all channels interleaved; return whether any frame may be speech."""
        found = False
        for channel, detector in enumerate(self._detectors):
            sound = self._rest[channel] + self._channel(data, channel)
            whole = len(sound) - len(sound) % self._frame_bytes
            for at in range(0, whole, self._frame_bytes):
                found |= detector.is_speech(sound[at : at + self._frame_bytes], self._rate)
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


class QuietHold:
    """An ``InputStream`` that may keep quiet sound back. Owned by the thread that serves requests.

    Bound: ``Quiet.longest_s`` of sound and one look. ``pause`` waits for as many seconds, and
    returns whether the daemon has something to say meanwhile, which ends the wait.
    """

    def __init__(self, stream: RawInput, pause: Callable[[float], bool]) -> None:
        self._stream = stream
        self.device, self.rate, self.channels = stream.device, stream.rate, stream.channels
        self.latency = stream.latency
        self._pause = pause
        self._look_s = min(LOOK_S, stream.latency / 2)
        self._quiet_samples = 0  # since the last speech
        self._quiet = LIVE
        self._finder = self._new_finder(LIVE)

    def hold(self, quiet: Quiet) -> None:
        """Keep quiet sound back as ``quiet`` says, from the next ``take`` on."""
        before, self._quiet = self._quiet, quiet
        if quiet.longest_s and replace(before, longest_s=quiet.longest_s) != quiet:
            self._finder = self._new_finder(quiet)

    def take(self, least: int, most: int) -> Taken:
        """Take what there is, as ``InputStream.take``, or wait for speech while it is quiet."""
        if not self._quiet.longest_s:
            return self._stream.take(least, most)
        if self._quiet_samples >= LIVE_S * self.rate:
            return self._wait(least)
        taken = self._stream.take(least * SPEECH_PIECES, most)
        self._listen(taken)
        return taken

    def close(self) -> None:
        """Discard the buffer and close the device. Idempotent."""
        self._stream.close()

    def _wait(self, least: int) -> Taken:
        """Wait for speech, a message or the end of the hold.

        A look that finds no sound ends the wait too: the daemon watches for stalls.
        """
        longest = round(self._quiet.longest_s * self.rate)
        held, count, overflowed, is_over = bytearray(), 0, False, False
        while not is_over:
            is_interrupted = self._pause(self._look_s)
            taken = self._stream.take(least, longest)
            held += taken.data
            count += self._samples(taken)
            overflowed = overflowed or taken.overflowed
            is_over = self._listen(taken) or is_interrupted or overflowed or count >= longest
            is_over = is_over or not taken.data
        return Taken(bytes(held), overflowed, taken.waiting)

    def _listen(self, taken: Taken) -> bool:
        is_speech = self._finder.hear(taken.data)
        self._quiet_samples = 0 if is_speech else self._quiet_samples + self._samples(taken)
        return is_speech

    def _samples(self, taken: Taken) -> int:
        return len(taken.data) // (SAMPLE_BYTES * self.channels)

    def _new_finder(self, quiet: Quiet) -> SpeechFinder:
        return SpeechFinder(self.rate, self.channels, quiet.aggressiveness, quiet.gain)
