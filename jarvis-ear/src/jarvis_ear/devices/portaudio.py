"""PortAudio: the process-wide sound library, its list of devices, and the streams we open on it.

``sounddevice`` is imported when sound is first wanted, never before: it raises OSError where
libportaudio is absent, and files and pipes need neither. What PortAudio calls a frame (one sample
of every channel) is called a sample here.
"""

import functools
import importlib
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol

from jarvis_ear.devices.device import Device, Kind
from jarvis_ear.devices.selection import busy, find
from jarvis_ear.devices.sound_cards import SoundCards
from jarvis_ear.errors import DeviceError, MicrophoneBusy, MicrophoneLost, SpeakerLost

NOT_INSTALLED: Final = "PortAudio is not installed: apt install libportaudio2"
"""What sounddevice's OSError means, in words that help."""

INVALID_RATE: Final = -9997
"""paInvalidSampleRate: the device exists, but not at this rate."""

CLOSE_S: Final = 3.0
"""An orderly abort takes 1 to 50 ms, also on a card that was unplugged; more is a driver's bug."""

ASIDE_S: Final = 1.5
"""A speaker steps aside when what it was given has been heard: 0.2 s, and the device's own."""

LOCK_S: Final = 5.0
"""Opening takes 10 to 100 ms; whoever waits longer is behind somebody who hangs."""


class Stream(Protocol):
    """What we use of a sounddevice stream, besides reading or writing."""

    latency: float

    def start(self) -> None:
        """Let sound flow."""

    def abort(self, ignore_errors: bool = True) -> None:
        """Stop now, dropping what is buffered."""

    def close(self, ignore_errors: bool = True) -> None:
        """Give the device back."""


class InputStream(Stream, Protocol):
    """A microphone that is open."""

    @property
    def read_available(self) -> int:
        """Samples that can be read without waiting."""

    def read(self, frames: int) -> tuple[bytes, bool]:
        """Read samples, and say whether some were lost before them."""


class OutputStream(Stream, Protocol):
    """A speaker that is open."""

    @property
    def write_available(self) -> int:
        """Samples that can be written without waiting."""

    def write(self, data: bytes) -> bool:
        """Write samples, and say whether the speaker had run dry before them."""


class PortAudio:
    """Lists devices and opens streams, one caller at a time. Any thread may call it.

    PortAudio sees devices as they were when it was initialised, and initialising it anew pulls the
    ground from under every open stream: therefore this object knows the open streams, and looks at
    the devices afresh only while there is none. A microphone that came back under another number
    while a reply is played needs that look: then the speaker is asked to step aside for a moment.
    """

    def __init__(
        self, load: Callable[[], Any] | None = None, *, cards: SoundCards | None = None
    ) -> None:
        self._load = load or functools.partial(importlib.import_module, "sounddevice")
        self._cards = cards or SoundCards()
        self._listed = ""  # the kernel's cards, when PortAudio last looked
        self._aside = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._open_streams: set[Stream] = set()
        self._needs_own_rate: set[str] = set()  # devices that said no to ours: ask only once

    def devices(self) -> tuple[Device, ...]:
        """List all devices, as they are now if no stream is open."""
        with _Held(self._lock):
            return self._devices(self._refreshed())

    def default(self, kind: Kind) -> int:
        """Index of the default device, -1 if there is none."""
        with _Held(self._lock):
            return _default(self._module(), kind)

    @property
    def wants_quiet(self) -> bool:
        """Whether who plays should close its stream and open it again, as soon as it can."""
        return self._aside.is_set()

    def open_input(
        self,
        wanted: str,
        *,
        rate: int,
        latency_s: float,
        channels: Callable[[Device], int] = lambda _device: 1,
    ) -> tuple[InputStream, Device, int]:
        """Open and start a microphone at ``rate``, else at the rate it prefers; PCM16.

        ``channels`` says how many channels to record of the device that was found.
        Returns the stream, its device and its rate, or raises MicrophoneLost.
        """
        try:
            return self._open_input(wanted, rate, latency_s, channels)
        except MicrophoneLost:
            if not self._is_outdated():
                raise
        self._await_quiet()
        return self._open_input(wanted, rate, latency_s, channels)

    def _is_outdated(self) -> bool:
        return bool(self._open_streams) and self._cards.listing() != self._listed

    def _await_quiet(self) -> None:
        self._closed.clear()
        self._aside.set()
        self._closed.wait(ASIDE_S)
        self._aside.clear()

    def _open_input(
        self, wanted: str, rate: int, latency_s: float, channels: Callable[[Device], int]
    ) -> tuple[InputStream, Device, int]:
        with _Held(self._lock):
            sounddevice = self._refreshed()
            device = self._find(sounddevice, wanted, "input")
            count = channels(device)
            if device.name in self._needs_own_rate:
                rate = device.rate
            open_stream = sounddevice.RawInputStream
            try:
                return self._start(open_stream, latency_s, device, rate, count)
            except sounddevice.PortAudioError as error:
                if INVALID_RATE not in error.args or device.rate == rate:
                    raise self._not_opened(device, error) from error
            self._needs_own_rate.add(device.name)
            try:
                return self._start(open_stream, latency_s, device, device.rate, count)
            except sounddevice.PortAudioError as error:
                raise self._not_opened(device, error) from error

    def _not_opened(self, device: Device, error: Exception) -> MicrophoneLost:
        return _lost(f"{device.name}: {say(error)}", device.name, self._cards)

    def open_output(self, wanted: str, *, latency_s: float) -> tuple[OutputStream, Device, int]:
        """Open and start a speaker at the rate it prefers; mono PCM16. Or raise SpeakerLost."""
        with _Held(self._lock):
            sounddevice = self._refreshed()
            device = self._find(sounddevice, wanted, "output")
            try:
                return self._start(sounddevice.RawOutputStream, latency_s, device, device.rate, 1)
            except sounddevice.PortAudioError as error:
                raise SpeakerLost(f"{device.name}: {say(error)}") from error

    def close(self, stream: Stream) -> bool:
        """Silence and close ``stream``; False if that hangs, and then it stays open for ever.

        Never by ``stop()``: that one waits for sound that may never come (42 s were measured).
        """
        closer = threading.Thread(
            target=_abort_and_close, args=(stream,), name="close", daemon=True
        )
        closer.start()
        closer.join(CLOSE_S)
        if closer.is_alive():
            return False
        self._open_streams.discard(stream)  # needs no lock: one less stream never hurts anybody
        self._closed.set()
        return True

    def errors(self) -> tuple[type[Exception], ...]:
        """Name what a stream raises when its device fails."""
        return (self._module().PortAudioError,)

    def _module(self) -> Any:  # noqa: ANN401 - sounddevice has no types
        try:
            return self._load()
        except OSError as error:
            raise DeviceError(NOT_INSTALLED) from error

    def _refreshed(self) -> Any:  # noqa: ANN401 - sounddevice has no types
        sounddevice = self._module()
        if not self._open_streams:
            self._listed = self._cards.listing()
            sounddevice._terminate()  # noqa: SLF001 - there is no public way to see a new device
            sounddevice._initialize()  # noqa: SLF001 - likewise
        return sounddevice

    def _devices(self, sounddevice: Any) -> tuple[Device, ...]:  # noqa: ANN401 - no types
        apis = [api["name"] for api in sounddevice.query_hostapis()]
        return tuple(
            Device(
                index=index,
                name=one["name"],
                host_api=apis[one["hostapi"]],
                inputs=one["max_input_channels"],
                outputs=one["max_output_channels"],
                rate=round(one["default_samplerate"]),
            )
            for index, one in enumerate(sounddevice.query_devices())
        )

    def _find(self, sounddevice: Any, wanted: str, kind: Kind) -> Device:  # noqa: ANN401 - no types
        try:
            return find(
                self._devices(sounddevice), wanted, kind, _default(sounddevice, kind), self._cards
            )
        except DeviceError as error:
            if kind == "output":
                raise SpeakerLost(str(error)) from error
            raise _lost(str(error), wanted, self._cards) from error

    def _start(
        self,
        open_stream: Any,  # noqa: ANN401 - sounddevice has no types
        latency_s: float,
        device: Device,
        rate: int,
        channels: int,
    ) -> tuple[Any, Device, int]:
        stream = open_stream(
            samplerate=rate,
            device=device.index,
            channels=channels,
            dtype="int16",
            latency=latency_s,
        )
        try:
            stream.start()
        except BaseException:
            stream.close(ignore_errors=True)
            raise
        self._open_streams.add(stream)
        return stream, device, rate


@functools.cache
def shared() -> PortAudio:
    """Return the one PortAudio of this process: the library's own state is process-wide too."""
    return PortAudio()


def say(error: Exception) -> str:
    """Say what PortAudio complains about, with the sound system's own words if it has some."""
    text = str(error.args[0]) if error.args else type(error).__name__
    match error.args:
        case (_, _, (_, _, str() as host_text)) if host_text:
            return f"{text} ({host_text})"
    return text


def _lost(reason: str, wanted: str, cards: SoundCards) -> MicrophoneLost:
    """Add who holds the microphone: PortAudio does not list what another program uses."""
    held = busy(wanted, cards)
    return MicrophoneBusy(f"{reason}; {held}") if held else MicrophoneLost(reason)


def _default(sounddevice: Any, kind: Kind) -> int:  # noqa: ANN401 - sounddevice has no types
    return int(sounddevice.default.device[0 if kind == "input" else 1])


def _abort_and_close(stream: Stream) -> None:
    stream.abort(ignore_errors=True)
    stream.close(ignore_errors=True)


class _Held:
    """A lock that is waited for, but not for ever."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=LOCK_S):
            raise DeviceError(f"the sound system did not answer within {LOCK_S:g} s")

    def __exit__(self, *_: object) -> None:
        self._lock.release()
