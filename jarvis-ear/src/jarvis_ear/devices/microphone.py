"""Microphone: reads a sound card as a stream of 16 kHz mono blocks."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from jarvis_ear import config
from jarvis_ear.audio.frames import Block
from jarvis_ear.audio.resample import Resampler
from jarvis_ear.audio.wav import mix
from jarvis_ear.devices import portaudio_process
from jarvis_ear.devices.sound_faults import ClippingMeter, DigitalSilence, LossMeter
from jarvis_ear.devices.sound_library import (
    LIVE,
    MIX,
    Device,
    InputStream,
    Quiet,
    RemoteLibrary,
    StreamFailed,
)
from jarvis_ear.errors import DeviceError, MicrophoneUnavailable
from jarvis_ear.journal.sound import MICROPHONE_MONITOR, SOUND_CLIPPED, SOUND_LOST
from jarvis_ear.log.throttle import RARE_S, Throttle
from jarvis_ear.units import HOLD_S, SAMPLE_RATE, Samples

_LOGGER = logging.getLogger(__name__)


def choose(data: bytes, count: int, choice: str) -> npt.NDArray[np.int16]:
    """Return one channel, or the mean of all, of interleaved PCM16 with ``count`` channels."""
    sound = np.frombuffer(data, "<i2").reshape(-1, count)
    if choice == MIX:
        return mix(sound)
    return sound[:, int(choice)]


class StreamClock:
    """Converts the rate and counts the position, across gaps and changes of the device.

    Owned by the reader of the device.
    """

    def __init__(self) -> None:
        self._rate = SAMPLE_RATE
        self._resampler = Resampler(SAMPLE_RATE, SAMPLE_RATE)
        self._base = Samples(0)  # start of the sound since the last gap
        self._taken = 0  # device samples since then
        self._position = Samples(0)  # end of the last block

    def begin(self, rate: int, away_s: float) -> None:
        """Continue with a device of ``rate``, after ``away_s`` seconds without a device."""
        self.skip(round(away_s * self._rate))
        self._rate = rate
        self._resampler = Resampler(rate, SAMPLE_RATE)

    def skip(self, lost: int) -> None:
        """Skip ``lost`` device samples, and discard what the resampler holds."""
        past = round((self._taken + lost) * SAMPLE_RATE / self._rate)
        self._base = self._position = Samples(self._base + past)
        self._taken = 0
        self._resampler = Resampler(self._rate, SAMPLE_RATE)

    def push(self, pcm: npt.NDArray[np.int16]) -> Block | None:
        """Return the block made from ``pcm``, or None if it only fills the resampler."""
        self._taken += len(pcm)
        out = self._resampler.push(pcm)
        if len(out) == 0:
            return None
        block = Block(self._position, out.astype("<i2", copy=False).tobytes())
        self._position = block.end
        return block


def quiet_of(hearing: config.HearingOptions) -> Quiet:
    """Return how quiet sound may be kept back: not at all if the gate is always open."""
    if hearing.gate.mode == "always":
        return LIVE
    gain: float = 10 ** (hearing.heard.gain_db / 20)
    return Quiet(HOLD_S, hearing.gate.aggressiveness, gain)


PIECE_MS: Final = 20
"""Length of one read of live sound: a frame, so that the end of an utterance waits for no other."""

MAX_PIECE_MS: Final = 1000
"""Maximum length of one read when catching up after a pause: the inbox can hold it."""

CLIPPED_EVERY_S: Final = 3600.0
"""Seconds between warnings: a gain that is too high stays so until a person lowers it."""

MIN_AWAY_S: Final = 0.02
"""Minimum gap between two openings, so that their sound is never joined."""


@dataclass(slots=True)
class _Reading:
    """State of an open microphone that changes from read to read."""

    stream: InputStream
    heard_at: float
    """Time of the opening, or of the last samples."""
    empty_since: float | None = None
    """Time of the first empty read since then; a delay of this thread does not count as a
    stall."""
    meter: LossMeter | None = None
    """Set with the first samples; until then the device may still be starting."""
    arrived: int = 0
    """Device samples read or lost."""


class Microphone:
    """Reads a PortAudio input as mono PCM16 at 16 kHz. Owned by the capture thread.

    Known losses (an overflow, or time without a microphone) are counted in ``Block.start``, so that
    later blocks have the right position.
    """

    live = True

    def __init__(
        self,
        options: config.MicrophoneOptions,
        *,
        library: RemoteLibrary | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options  # of the open device
        self._wanted = options
        self._library = library or portaudio_process.for_input()
        self._monotonic = monotonic
        self._reading: _Reading | None = None
        self._clock = StreamClock()
        self._silence = DigitalSilence()
        self._last_heard_at: float | None = None
        self._clipping = ClippingMeter()
        self._loss_warnings = Throttle(RARE_S)  # an overloaded machine loses sound all the time
        self._clip_warnings = Throttle(CLIPPED_EVERY_S, CLIPPED_EVERY_S)
        self._holding = threading.Lock()  # protects the next three, and the stream they are for
        self._quiet = LIVE
        self._live_reasons: set[str] = set()
        self._is_interrupted = False
        self._unreported_ms = 0  # lost sound since the last warning
        self._reported_monitor = ""  # name of the monitor in the last warning
        self.is_monitor = False
        """Whether the last opened device is a loudspeaker's monitor. Any thread may read it."""
        self.silence = ""
        """Why the device delivers only silence; empty if it does not. Any thread may read it."""
        self.clipped = 0.0
        """Share of clipped samples in the last minute of sound, 0 ... 1. Any thread may read it."""
        self.overflows = 0
        """Number of overflows that the device reported."""
        self.gaps = 0
        """Number of losses while the device was open."""
        self.samples_lost = 0
        """Total of these losses, by the clock, in device samples."""

    def counters(self) -> Mapping[str, int]:
        """Return the counters of lost sound. Any thread may call it."""
        return {
            "overflows": self.overflows,
            "gaps": self.gaps,
            "samples_lost": self.samples_lost,
        }

    @property
    def name(self) -> str:
        """Name of the open device, else of the configured one."""
        if self._reading is not None:
            return f"microphone {self._reading.stream.device.name!r}"
        return f"microphone {self._options.device or 'default'!r}"

    def change(self, options: config.MicrophoneOptions) -> None:
        """Set the options of the next opening. Any thread."""
        self._wanted = options

    def hold_quiet(self, quiet: Quiet) -> None:
        """Set how quiet sound is kept back while no one needs it live. Any thread."""
        with self._holding:
            self._quiet = quiet
            self._send_hold()

    def keep_live(self, reason: str, *, wanted: bool) -> None:
        """Request, or no longer request, that sound is handed over as it arrives. Any thread."""
        with self._holding:
            if wanted != (reason in self._live_reasons):
                (self._live_reasons.add if wanted else self._live_reasons.remove)(reason)
                self._send_hold()

    def interrupt(self) -> None:
        """Let a ``read`` that waits for sound, and the one after it, return at once. Any thread."""
        with self._holding:
            self._is_interrupted = True
            self._send_hold()

    def _send_hold(self) -> None:
        if self._reading is not None:
            is_live = self._live_reasons or self._is_interrupted
            self._reading.stream.hold(LIVE if is_live else self._quiet)

    def open(self) -> None:
        """Look up the device again and open it, or raise MicrophoneUnavailable."""
        self._options = self._wanted
        try:
            stream = self._library.open_input(
                self._options.device,
                rate=SAMPLE_RATE,
                latency_s=self._options.latency_ms / 1000,
                channel=self._options.channel,
            )
        except MicrophoneUnavailable:
            raise
        except DeviceError as error:
            raise MicrophoneUnavailable(str(error)) from error
        with self._holding:
            self._reading = _Reading(stream, heard_at=self._monotonic())
            self._is_interrupted = False
            self._send_hold()
        _LOGGER.debug("%s is open at %d Hz", self.name, stream.rate)
        self._warn_of_monitor(stream.device)

    def read(self) -> Block | None:
        """Return the next block; None if nothing arrived.

        Waits up to one piece (20 ms), or for speech while quiet sound may be kept back.
        """
        reading = self._reading
        if reading is None:
            raise MicrophoneUnavailable(f"{self.name} is not open")
        try:
            return self._read(reading)
        except StreamFailed as error:
            raise MicrophoneUnavailable(f"{self.name}: {error}") from error

    def close(self) -> None:
        """Close the device."""
        with self._holding:
            reading, self._reading = self._reading, None
        if reading is None:
            return
        if reading.meter is not None:
            self._last_heard_at = reading.heard_at
        reading.stream.close()

    def _read(self, reading: _Reading) -> Block | None:
        piece, most = (reading.stream.rate * ms // 1000 for ms in (PIECE_MS, MAX_PIECE_MS))
        was_interrupted = self._is_interrupted  # then this read is live as well
        taken = reading.stream.take(piece, most)
        if was_interrupted:
            with self._holding:
                self._is_interrupted = False
                self._send_hold()
        if not taken.data:
            self._check_stall(reading)
            return None
        pcm = choose(taken.data, reading.stream.channels, self._options.channel)
        self.overflows += taken.overflowed
        self._account(reading, pcm, waiting=taken.waiting, overflowed=taken.overflowed)
        self._listen(pcm, reading.stream.device, reading.stream.rate)
        return self._clock.push(pcm)

    def _check_stall(self, reading: _Reading) -> None:
        now = self._monotonic()
        if reading.empty_since is None:
            reading.empty_since = now
        first = reading.meter is None
        limit_ms = self._options.first_block_ms if first else self._options.stall_ms
        if now - reading.empty_since > limit_ms / 1000:
            raise MicrophoneUnavailable(f"{self.name} gave no sound for {limit_ms} ms")

    def _account(
        self, reading: _Reading, pcm: npt.NDArray[np.int16], *, waiting: int, overflowed: bool
    ) -> None:
        now, rate = self._monotonic(), reading.stream.rate
        reading.heard_at, reading.empty_since = now, None
        if reading.meter is None:
            reading.meter = LossMeter(rate, now)
            self._clock.begin(rate, self._away_s(now - len(pcm) / rate))
        reading.arrived += len(pcm)
        lost = reading.meter.lost(now, reading.arrived + waiting, overflowed=overflowed)
        if lost == 0:
            return
        reading.arrived += lost
        self._clock.skip(lost)
        self.gaps += 1
        self.samples_lost += lost
        self._unreported_ms += lost * 1000 // rate
        if self._loss_warnings.allows(now):
            lost_ms, self._unreported_ms = self._unreported_ms, 0
            fields = SOUND_LOST.fields(SOURCE=self.name, LOST_MS=lost_ms)
            _LOGGER.warning("%s lost %d ms of sound", self.name, lost_ms, extra=fields)

    def _away_s(self, began_at: float) -> float:
        if self._last_heard_at is None:
            return 0.0
        return max(MIN_AWAY_S, began_at - self._last_heard_at)

    def _listen(self, pcm: npt.NDArray[np.int16], device: Device, rate: int) -> None:
        """Check samples for silence and clipping before the rate conversion alters them."""
        changed = self._silence.hear(pcm, rate)
        is_dead = self._silence.is_dead
        if changed and (is_dead or self.is_monitor):
            self._look_for_monitor(device)
        self.silence = self._why_silent() if is_dead else ""
        self._clipping.hear(pcm, rate)
        self.clipped = self._clipping.share
        if self._clipping.is_too_much and not is_dead:
            self._warn_of_clipping()

    def _warn_of_clipping(self) -> None:
        if self._clip_warnings.allows(self._monotonic()):
            percent = f"{100 * self.clipped:.2g}"
            fields = SOUND_CLIPPED.fields(SOURCE=self.name, CLIPPED_PERCENT=percent)
            words = "%s is too loud: %s %% of the last minute is clipped; lower its gain: alsamixer"
            _LOGGER.warning(words, self.name, percent, extra=fields)

    def _why_silent(self) -> str:
        why = "a monitor, and no microphone" if self.is_monitor else "muted, or not connected?"
        return f"{self.name} gives only {self._silence.what}: {why}"

    def _look_for_monitor(self, device: Device) -> None:
        """List the devices again: a sound server may switch the source silently."""
        try:
            listed = self._library.devices()
        except DeviceError as error:
            _LOGGER.debug("cannot tell whether %s is a monitor: %s", self.name, error)
            return
        self._warn_of_monitor(next((one for one in listed if one.index == device.index), device))

    def _warn_of_monitor(self, device: Device) -> None:
        """Warn once about a monitor, which a sound server provides if there is no microphone."""
        self.is_monitor = device.monitor
        if not device.monitor:
            self._reported_monitor = ""
        elif device.name != self._reported_monitor:
            fields = MICROPHONE_MONITOR.fields(SOURCE=self.name)
            words = "%s is the monitor of a loudspeaker, not a microphone: see jarvis-ear devices"
            _LOGGER.warning(words, self.name, extra=fields)
            self._reported_monitor = device.name
