"""A sound library without a sound system: stands in for the module ``sounddevice``.

The test plays the room: it puts samples into the microphone, takes them from the speaker, and
plugs devices in and out. Time does not pass by itself.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

from jarvis_ear.devices.diagnose import SoundCards
from jarvis_ear.devices.portaudio import PortAudio
from jarvis_ear.devices.quiet_hold import QuietHold
from jarvis_ear.devices.sound_library import Device, Kind, OutputStream


class PortAudioError(Exception):
    """What ``sounddevice`` raises; its arguments are text, code, and the host's own error."""


UNPLUGGED = ("Unanticipated host error", -9999, (0, -19, "No such device"))


@dataclass
class Card:
    name: str
    inputs: int = 1
    outputs: int = 1
    rate: int = 16_000
    rates: tuple[int, ...] = (16_000,)
    """Rates it accepts; the preferred one is not always among them."""
    heard: bytearray = field(default_factory=bytearray)
    """Samples its microphone has ready, interleaved. A new stream starts without any."""
    overflowed: bool = False
    """Whether the next read says that samples were lost."""
    played: bytearray = field(default_factory=bytearray)
    room: int = 1_000_000
    underflowed: bool = False
    """Whether the next write says that sound was missing before it."""
    plugged: bool = True
    unreadable: bool = False
    """Whether nothing can be found out about it."""
    hangs: threading.Event | None = None
    """Closing a stream waits for it."""


class FakeStream:
    """An open stream of a card, either direction."""

    def __init__(
        self, library: "FakeSoundDevice", card: Card, samplerate: int, channels: int
    ) -> None:
        self._library = library
        self._card = card
        self.samplerate = samplerate
        self.channels = channels
        self._bytes = 2 * channels
        self.latency = 0.0
        self.running = False
        self.closed = False
        card.heard.clear()

    def start(self) -> None:
        self._check()
        self.running = True

    def abort(self, *, ignore_errors: bool) -> None:
        assert ignore_errors, "tearing down must not raise"
        if self._card.hangs is not None:
            self._card.hangs.wait()
        self.running = False

    def close(self, *, ignore_errors: bool) -> None:
        assert ignore_errors, "tearing down must not raise"
        self.closed = True
        self._library.open_streams.remove(self)

    @property
    def read_available(self) -> int:
        self._check()
        return len(self._card.heard) // self._bytes

    def read(self, frames: int) -> tuple[bytes, bool]:
        self._check()
        data = bytes(self._card.heard[: self._bytes * frames])
        assert len(data) == self._bytes * frames, "a polled reader reads no more than there is"
        del self._card.heard[: self._bytes * frames]
        overflowed, self._card.overflowed = self._card.overflowed, False
        return data, overflowed

    @property
    def write_available(self) -> int:
        self._check()
        return self._card.room

    def write(self, data: bytes) -> bool:
        self._check()
        assert len(data) // 2 <= self._card.room, "a polled writer writes no more than fits"
        self._card.played += data
        self._card.room -= len(data) // 2
        underflowed, self._card.underflowed = self._card.underflowed, False
        return underflowed

    def _check(self) -> None:
        assert not self.closed, "a closed stream was used: PortAudio would crash"
        if not self._card.plugged:
            raise PortAudioError(*UNPLUGGED)


class Holding:
    """A library whose microphones may keep quiet sound back, as in a sound process.

    ``pause`` stands in for the wait between two looks: the test gives sound or a hold meanwhile.
    """

    def __init__(
        self, library: PortAudio, pause: Callable[[float], bool] = lambda _s: False
    ) -> None:
        self._library = library
        self.pause = pause

    def devices(self) -> tuple[Device, ...]:
        return self._library.devices()

    def default(self, kind: Kind) -> int:
        return self._library.default(kind)

    def open_input(
        self, wanted: str, *, rate: int, latency_s: float, channel: str = "0"
    ) -> QuietHold:
        stream = self._library.open_input(wanted, rate=rate, latency_s=latency_s, channel=channel)
        return QuietHold(stream, lambda seconds: self.pause(seconds))  # noqa: PLW0108 - it changes

    def open_output(self, wanted: str, *, latency_s: float) -> OutputStream:
        return self._library.open_output(wanted, latency_s=latency_s)


class _Default:
    device: list[int]


class FakeSoundDevice:
    """The module: lists the cards as they were when it was initialised, and opens them."""

    PortAudioError = PortAudioError

    def __init__(self, *cards: Card, host_api: str = "ALSA") -> None:
        self.cards = list(cards)
        self._host_api = host_api
        self.open_streams: list[FakeStream] = []
        self.default = _Default()
        self._lib = SimpleNamespace(Pa_GetDeviceCount=lambda: len(self._seen))
        self.refuse: tuple[object, ...] | None = None
        """When set, no stream can be opened, for this reason."""
        self.refuse_start = False
        """When set, streams open but do not start."""
        self._initialize()

    def library(
        self,
        cards: SoundCards | None = None,
        sleep: Callable[[float], None] = lambda _seconds: None,
        source: str = "alsa_input.usb",
    ) -> PortAudio:
        """Return our adapter on top of this module, with the kernel's ``cards`` if it has any.

        ``source`` is the default source of the sound server, if there is one.
        """
        return PortAudio(
            lambda: self,
            cards=cards or SoundCards(Path("/nowhere")),
            sleep=sleep,
            source=lambda: source,
        )

    def _terminate(self) -> None:
        assert not self.open_streams, "PortAudio was pulled from under an open stream"

    def _initialize(self) -> None:
        self._seen = [card for card in self.cards if card.plugged]
        self.default.device = [self._first("inputs"), self._first("outputs")]

    def _first(self, kind: Literal["inputs", "outputs"]) -> int:
        having = [index for index, card in enumerate(self._seen) if getattr(card, kind) > 0]
        return having[0] if having else -1

    def query_hostapis(self) -> list[dict[str, object]]:
        return [{"name": self._host_api}]

    def query_devices(self, index: int) -> dict[str, object]:
        card = self._seen[index]
        if card.unreadable:
            raise PortAudioError(f"Error querying device {index}")
        return {
            "name": card.name,
            "hostapi": 0,
            "max_input_channels": card.inputs,
            "max_output_channels": card.outputs,
            "default_samplerate": float(card.rate),
        }

    def RawInputStream(  # noqa: N802 - sounddevice's name
        self, *, samplerate: int, device: int, channels: int, dtype: str, latency: float
    ) -> FakeStream:
        assert 1 <= channels <= self._seen[device].inputs
        assert dtype == "int16"
        assert latency > 0
        return self._open(device, samplerate, channels)

    def RawOutputStream(  # noqa: N802 - sounddevice's name
        self, *, samplerate: int, device: int, channels: int, dtype: str, latency: float
    ) -> FakeStream:
        assert (channels, dtype) == (1, "int16")
        assert latency > 0
        return self._open(device, samplerate, channels)

    def _open(self, device: int, samplerate: int, channels: int) -> FakeStream:
        card = self._seen[device]
        if not card.plugged:
            raise PortAudioError(*UNPLUGGED)
        if self.refuse is not None:
            raise PortAudioError(*self.refuse)
        if samplerate not in card.rates:
            raise PortAudioError("Error opening stream: Invalid sample rate", -9997)
        stream = FakeStream(self, card, samplerate, channels)
        self.open_streams.append(stream)
        if self.refuse_start:
            stream.start = self._refuse_start  # type: ignore[method-assign]
        return stream

    def _refuse_start(self) -> None:
        raise PortAudioError("Error starting stream", -9999)
