"""PortAudio: the process-wide sound library, its list of devices, and the streams we open on it.

``sounddevice`` is imported when sound is first wanted, never before: it raises OSError where
libportaudio is absent, and files and pipes need neither. What PortAudio calls a frame (one sample
of every channel) is called a sample here.
"""

import functools
import importlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeAlias

from jarvis_ear.errors import DeviceError, MicrophoneLost, SpeakerLost

Kind: TypeAlias = Literal["input", "output"]

NOT_INSTALLED: Final = "PortAudio is not installed: apt install libportaudio2"
"""What sounddevice's OSError means, in words that help."""

INVALID_RATE: Final = -9997
"""paInvalidSampleRate: the device exists, but not at this rate."""

CLOSE_S: Final = 3.0
"""An orderly abort takes 1 to 50 ms, also on a card that was unplugged; more is a driver's bug."""

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

    def channels(self, kind: Kind) -> int:
        """Channels it has in this direction."""
        return self.inputs if kind == "input" else self.outputs


class PortAudio:
    """Lists devices and opens streams, one caller at a time. Any thread may call it.

    PortAudio sees devices as they were when it was initialised, and initialising it anew pulls the
    ground from under every open stream: therefore this object knows the open streams, and looks at
    the devices afresh only while there is none.
    """

    def __init__(self, load: Callable[[], Any] | None = None) -> None:
        self._load = load or functools.partial(importlib.import_module, "sounddevice")
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

    def open_input(
        self, wanted: str, *, rate: int, latency_s: float
    ) -> tuple[InputStream, Device, int]:
        """Open and start a microphone at ``rate``, else at the rate it prefers; mono PCM16.

        Returns the stream, its device and its rate, or raises MicrophoneLost.
        """
        with _Held(self._lock):
            sounddevice = self._refreshed()
            device = self._find(sounddevice, wanted, "input")
            if device.name in self._needs_own_rate:
                rate = device.rate
            try:
                return self._start(sounddevice.RawInputStream, latency_s, device, rate)
            except sounddevice.PortAudioError as error:
                if INVALID_RATE not in error.args or device.rate == rate:
                    raise MicrophoneLost(f"{device.name}: {say(error)}") from error
            self._needs_own_rate.add(device.name)
            try:
                return self._start(sounddevice.RawInputStream, latency_s, device, device.rate)
            except sounddevice.PortAudioError as error:
                raise MicrophoneLost(f"{device.name}: {say(error)}") from error

    def open_output(self, wanted: str, *, latency_s: float) -> tuple[OutputStream, Device, int]:
        """Open and start a speaker at the rate it prefers; mono PCM16. Or raise SpeakerLost."""
        with _Held(self._lock):
            sounddevice = self._refreshed()
            device = self._find(sounddevice, wanted, "output")
            try:
                return self._start(sounddevice.RawOutputStream, latency_s, device, device.rate)
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
            return find(self._devices(sounddevice), wanted, kind, _default(sounddevice, kind))
        except DeviceError as error:
            lost = MicrophoneLost if kind == "input" else SpeakerLost
            raise lost(str(error)) from error

    def _start(
        self,
        open_stream: Any,  # noqa: ANN401 - sounddevice has no types
        latency_s: float,
        device: Device,
        rate: int,
    ) -> tuple[Any, Device, int]:
        stream = open_stream(
            samplerate=rate,
            device=device.index,
            channels=1,
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


def find(devices: Sequence[Device], wanted: str, kind: Kind, default: int) -> Device:
    """Find the device with this index, exact name, or part of a name; empty: the default.

    Raises DeviceError that lists what there is instead.
    """
    usable = [device for device in devices if device.channels(kind) > 0]
    if not usable:
        raise DeviceError(f"no sound {kind} device: see `jarvis-ear devices` for what is missing")
    if not wanted:
        return next((device for device in usable if device.index == default), usable[0])
    if wanted.isdecimal():
        found = [device for device in usable if device.index == int(wanted)]
    else:
        found = _named(usable, wanted.casefold())
    if len(found) == 1:
        return found[0]
    if found:
        raise DeviceError(
            f"{len(found)} {kind} devices match {wanted!r}, expected one: {_list(found)}"
        )
    raise DeviceError(f"no {kind} device matches {wanted!r}; there are: {_list(usable)}")


def say(error: Exception) -> str:
    """Say what PortAudio complains about, with the sound system's own words if it has some."""
    text = str(error.args[0]) if error.args else type(error).__name__
    match error.args:
        case (_, _, (_, _, str() as host_text)) if host_text:
            return f"{text} ({host_text})"
    return text


def _named(devices: Sequence[Device], wanted: str) -> list[Device]:
    exact = [device for device in devices if device.name.casefold() == wanted]
    return exact or [
        device for device in devices if wanted in f"{device.name}, {device.host_api}".casefold()
    ]


def _list(devices: Sequence[Device]) -> str:
    return ", ".join(f"{device.index} {device.name!r}" for device in devices)


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
