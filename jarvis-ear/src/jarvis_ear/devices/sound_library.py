"""SoundLibrary: protocols of devices and streams."""

from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

from jarvis_ear.errors import MicrophoneUnavailable

Kind: TypeAlias = Literal["input", "output"]


class Device(NamedTuple):
    """One device as PortAudio lists it."""

    index: int  # type: ignore[assignment]  # the method of tuple is not needed
    """Position in the list, which changes whenever a device is plugged in."""
    name: str
    """Name; stable while the device stays in its socket."""
    host_api: str
    """Sound system: ALSA, JACK..."""
    inputs: int
    """Number of channels for recording."""
    outputs: int
    """Number of channels for playback."""
    rate: int
    """Preferred rate, in samples per second."""
    monitor: bool = False
    """Whether it records what a loudspeaker plays instead of the room."""

    def channels(self, kind: Kind) -> int:
        """Return the number of channels in this direction."""
        return self.inputs if kind == "input" else self.outputs


MIX: Final = "mix"
"""The choice that takes the mean of all channels."""

MOST: Final = 8
"""A device with more channels is a sound server, which mixes them when asked for one channel."""


def count_for(choice: str, device: Device) -> int:
    """Return the number of channels to record so that ``choice`` is among them."""
    if choice == MIX:
        return device.inputs if device.inputs <= MOST else 1
    if int(choice) >= device.inputs:
        raise MicrophoneUnavailable(
            f"{device.name}: has {channels_text(device.inputs)}, the first is 0; "
            f"channel {choice} is wanted"
        )
    return int(choice) + 1


def channels_text(count: int) -> str:
    """Return a number of channels in words."""
    return f"{count} channel" if count == 1 else f"{count} channels"


class StreamFailed(Exception):
    """A stream cannot continue. The text is the error of the sound system."""


class Taken(NamedTuple):
    """Samples taken from a microphone's buffer."""

    data: bytes = b""
    """PCM16, all channels; empty if too few samples were available."""
    overflowed: bool = False
    """Whether samples were lost before these."""
    waiting: int = 0
    """Samples still in the buffer."""


class Quiet(NamedTuple):
    """How long sound may be kept back, and what counts as quiet. A value that crosses processes."""

    longest_s: float
    """Seconds of sound that are handed over at once at most; 0: nothing is kept back."""
    aggressiveness: int = 1
    """Mode of webrtcvad, 0 (most sensitive) to 3."""
    gain: float = 1.0
    """Factor of the samples: a faint microphone is amplified before the detector hears it."""


LIVE: Final = Quiet(0.0)
"""Hand over sound as it arrives."""


class Stream(Protocol):
    """An open microphone or speaker. For one thread."""

    device: Device
    rate: int
    """Samples per second."""
    latency: float
    """Seconds that sound spends in the buffer."""

    def close(self) -> None:
        """Discard the buffer and close the device. Idempotent."""


class RawInput(Stream, Protocol):
    """An open microphone that hands over sound as it arrives. Raises StreamFailed."""

    channels: int

    def take(self, least: int, most: int) -> Taken:
        """Take up to ``most`` samples; none if there are fewer than ``least``.

        Waits for missing samples once, for the time they last.
        """


class InputStream(RawInput, Protocol):
    """An open microphone that may keep quiet sound back."""

    def hold(self, quiet: Quiet) -> None:
        """Keep quiet sound back as ``quiet`` says, from now on. Any thread."""


class Fed(NamedTuple):
    """What a speaker did with the samples that it was given."""

    taken: int
    """Samples that it took: the first ones."""
    waiting: int
    """Samples in its buffer after that: written and not yet played."""
    heard_at: float
    """When the first of the samples leaves the buffer, in seconds of CLOCK_BOOTTIME."""
    underran: bool = False
    """Whether its buffer was empty before, although the stream had begun."""


class OutputStream(Stream, Protocol):
    """An open speaker. Raises StreamFailed."""

    def feed(self, data: bytes, most: int) -> Fed:
        """Write samples until ``most`` of them wait in the buffer, or it is full. Never blocks."""


class SoundLibrary(Protocol):
    """Lists devices and opens streams on them. Every method may raise DeviceError."""

    def devices(self) -> tuple[Device, ...]:
        """List all devices, as they are now if no stream is open."""

    def default(self, kind: Kind) -> int:
        """Return the index of the default device, -1 if there is none."""

    def open_input(
        self, wanted: str, *, rate: int, latency_s: float, channel: str = "0"
    ) -> RawInput:
        """Open and start a microphone at ``rate``, else at its preferred rate; PCM16.

        Records as many channels as needed to include ``channel``. May raise MicrophoneUnavailable.
        """

    def open_output(self, wanted: str, *, latency_s: float) -> OutputStream:
        """Open and start a speaker at its preferred rate; mono PCM16. Or raise SpeakerLost."""


class RemoteLibrary(SoundLibrary, Protocol):
    """A library in another process, whose microphones may keep quiet sound back."""

    def open_input(
        self, wanted: str, *, rate: int, latency_s: float, channel: str = "0"
    ) -> InputStream:
        """Open and start a microphone, as in ``SoundLibrary``."""
