"""SoundLibrary: devices and streams, as the rest of the ear uses them."""

from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from jarvis_ear.errors import MicrophoneUnavailable

Kind: TypeAlias = Literal["input", "output"]


@dataclass(frozen=True, slots=True)
class Device:
    """One device as PortAudio lists it."""

    index: int
    """Its place in the list, which changes whenever something is plugged in."""
    name: str
    """Its name, stable as long as it stays in its socket."""
    host_api: str
    """The sound system behind it: ALSA, JACK..."""
    inputs: int
    """Channels it can record."""
    outputs: int
    """Channels it can play."""
    rate: int
    """Samples per second it prefers."""
    monitor: bool = False
    """Whether it gives what a loudspeaker plays, and hears no room."""

    def channels(self, kind: Kind) -> int:
        """Channels it has in this direction."""
        return self.inputs if kind == "input" else self.outputs


MIX: Final = "mix"
"""The choice that takes the mean of all channels."""

MOST: Final = 8
"""A device that claims more is a sound server; it mixes by itself when asked for one channel."""


def count_for(choice: str, device: Device) -> int:
    """Return how many channels to record so that ``choice`` is among them."""
    if choice == MIX:
        return device.inputs if device.inputs <= MOST else 1
    if int(choice) >= device.inputs:
        noun = "channel" if device.inputs == 1 else "channels"
        raise MicrophoneUnavailable(
            f"{device.name}: has {device.inputs} {noun}, the first is 0; channel {choice} is wanted"
        )
    return int(choice) + 1


class StreamFailed(Exception):
    """A stream cannot go on. Its text is what the sound system complains about."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken out of a microphone's buffer."""

    data: bytes = b""
    """PCM16, all channels; empty if not enough had come."""
    overflowed: bool = False
    """Whether samples were lost before these."""
    waiting: int = 0
    """Samples that have come too, and were left for the next time."""


class Stream(Protocol):
    """A microphone or a speaker that is open. For one thread."""

    latency: float

    def close(self) -> None:
        """Drop what is buffered, and give the device back. Twice is as good as once."""


class InputStream(Stream, Protocol):
    """A microphone that is open. Raises StreamFailed."""

    def take(self, least: int, most: int) -> Taken:
        """Take up to ``most`` samples; nothing if there are fewer than ``least``.

        Waits for those once, for as long as they take to be spoken.
        """


class OutputStream(Stream, Protocol):
    """A speaker that is open. Raises StreamFailed."""

    @property
    def write_available(self) -> int:
        """Samples that can be written without waiting."""

    def write(self, data: bytes) -> None:
        """Write samples."""


class SoundLibrary(Protocol):
    """Lists devices and opens streams on them. Everything may raise DeviceError."""

    def devices(self) -> tuple[Device, ...]:
        """List all devices, as they are now if no stream is open."""

    def default(self, kind: Kind) -> int:
        """Index of the default device, -1 if there is none."""

    def open_input(
        self, wanted: str, *, rate: int, latency_s: float, channel: str = "0"
    ) -> tuple[InputStream, Device, int]:
        """Open and start a microphone at ``rate``, else at the rate it prefers; PCM16.

        As many channels are recorded as it takes for ``channel`` to be among them.
        Returns the stream, its device and its rate, or raises MicrophoneLost.
        """

    def open_output(self, wanted: str, *, latency_s: float) -> tuple[OutputStream, Device, int]:
        """Open and start a speaker at the rate it prefers; mono PCM16. Or raise SpeakerLost."""
