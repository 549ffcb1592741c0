"""Output: where a reply is made audible, or is not."""

import time
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from jarvis_ear.devices import portaudio_process
from jarvis_ear.devices.selection import find
from jarvis_ear.devices.sound_library import Device, OutputStream, SoundLibrary, StreamFailed
from jarvis_ear.errors import DeviceError, SpeakerLost
from jarvis_ear.units import SAMPLE_RATE

LATENCY_S: Final = 0.2
"""Sound written ahead: what a busy machine may sleep through without a crackle."""

POLL_S: Final = 0.02
"""How long one write waits for room: a barge-in is heard at most so much later."""

DRAIN_EXTRA_S: Final = 0.5
"""On top of its latency, what a speaker may take until the last sample was heard."""


class Output(Protocol):
    """A speaker, used for one reply at a time. Owned by the speaker thread."""

    def lack(self) -> str:
        """Say why there is no loudspeaker to open, without opening it; empty: there is one."""

    def open(self) -> int:
        """Get ready, and return the samples per second it wants; or raise SpeakerLost."""

    def write(self, pcm: npt.NDArray[np.int16]) -> int:
        """Take as much of ``pcm`` as there is room for, waiting some ms at most; return how much.

        Raises SpeakerLost when the device is gone.
        """

    def pending(self) -> bool:
        """Say whether some of what was written has not been heard yet."""

    def close(self) -> None:
        """Be silent at once, and give the device back. Twice is as good as once."""


class NoOutput:
    """Takes a reply without a sound, for an ear without a speaker. For one thread."""

    def lack(self) -> str:
        """Nothing is missing: nothing is wanted."""
        return ""

    def open(self) -> int:
        """Want what everything else here has."""
        return SAMPLE_RATE

    def write(self, pcm: npt.NDArray[np.int16]) -> int:
        """Take everything at once."""
        return len(pcm)

    def pending(self) -> bool:
        """Nothing was ever played."""
        return False

    def close(self) -> None:
        """Nothing is open."""


class PortAudioOutput:
    """Plays through PortAudio, by polling. Owned by the speaker thread.

    The stream is open only while a reply is played: that lets the sound card sleep in between.
    """

    def __init__(
        self,
        device: str,
        *,
        library: SoundLibrary | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._wanted = device
        self._library = library or portaudio_process.for_output()
        self._list = library or portaudio_process.for_input()  # it runs anyway, for the microphone
        self._monotonic = monotonic
        self._sleep = sleep
        self._stream: OutputStream | None = None
        self._device: Device | None = None
        self._rate = 0  # samples per second of the open stream
        self._room = 0  # samples the empty buffer has room for
        self._heard_by = 0.0  # when the last sample written must have been heard

    def lack(self) -> str:
        """Look the device up in the list of devices: some 10 ms, or a second if nothing runs yet.

        The list is as fresh as the last opening of the microphone.
        """
        try:
            find(self._list.devices(), self._wanted, "output", self._list.default("output"))
        except DeviceError as error:
            return str(error)
        return ""

    def open(self) -> int:
        """Open the device at the rate it prefers, or raise SpeakerLost."""
        try:
            self._stream, self._device, self._rate = self._library.open_output(
                self._wanted, latency_s=LATENCY_S
            )
            self._room = self._stream.write_available
        except SpeakerLost:
            raise
        except (DeviceError, StreamFailed) as error:
            raise SpeakerLost(str(error)) from error
        return self._rate

    def write(self, pcm: npt.NDArray[np.int16]) -> int:
        """Take as much as the device has room for now, or within 20 ms."""
        stream, device = self._opened()
        try:
            room = stream.write_available
            if room == 0:
                self._sleep(POLL_S)
                room = stream.write_available
            count = min(room, len(pcm))
            if count:
                stream.write(pcm[:count].astype("<i2", copy=False).tobytes())
        except StreamFailed as error:
            raise SpeakerLost(f"{device.name}: {error}") from error
        self._heard_by = self._monotonic() + stream.latency + DRAIN_EXTRA_S
        return count

    def pending(self) -> bool:
        """Say whether the buffer still holds sound, and could still be heard."""
        stream, _ = self._opened()
        if self._monotonic() > self._heard_by:
            return False
        try:
            return stream.write_available < self._room
        except StreamFailed:
            return False  # gone, and its buffer with it

    def close(self) -> None:
        """Abort what is buffered and close the stream."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _opened(self) -> tuple[OutputStream, Device]:
        if self._stream is None or self._device is None:
            raise SpeakerLost(f"speaker {self._wanted or 'default'!r} is not open")
        return self._stream, self._device
