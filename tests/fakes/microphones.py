"""A sound library with one microphone, whose sound takes no time. It counts how often it opens."""

from typing import Self

import numpy as np
import numpy.typing as npt

from jarvis_ear.devices.sound_library import Device, Fed, Kind, Quiet, Taken


class OneMicrophone:
    """Plays ``sound``, shape (samples, channels), to whom opens it; then silence or nothing."""

    def __init__(self, sound: npt.NDArray[np.float64], *, dies_after: int = 10**9) -> None:
        self.device = Device(0, "USB Mic", "ALSA", sound.shape[1], 0, 16_000)
        self.sound = sound
        self.channels = sound.shape[1]
        self.rate = 16_000
        self.latency = 0.0
        self.opened: list[str] = []
        """The channels that were asked for, at each opening."""
        self.is_closed = False
        self._at = 0
        self._dies_after = dies_after

    def start(self) -> None:
        """It runs."""

    def devices(self) -> tuple[Device, ...]:
        return (self.device,)

    def default(self, _kind: Kind) -> int:
        return 0

    def open_input(self, _wanted: str, *, rate: int, latency_s: float, channel: str = "0") -> Self:
        assert (rate, latency_s) == (16_000, 1.0)
        self.opened.append(channel)
        return self

    def open_output(self, wanted: str, *, latency_s: float) -> Self:
        raise AssertionError(f"nobody plays to {wanted} within {latency_s} s")

    def feed(self, data: bytes, most: int) -> Fed:
        raise AssertionError(f"nobody plays {len(data)} of {most}")

    def hold(self, quiet: Quiet) -> None:
        assert quiet.longest_s == 0.0

    def take(self, least: int, _most: int) -> Taken:
        piece = self.sound[self._at : self._at + least].astype("<i2").tobytes()
        self._at += least
        return Taken(piece if self._at <= self._dies_after else b"")

    def close(self) -> None:
        self.is_closed = True
