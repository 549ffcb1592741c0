"""PortAudio behind the SoundLibrary protocol."""

import functools
import importlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from jarvis_ear.devices.alsa import avoid_shared_memory
from jarvis_ear.devices.diagnose import SoundCards, marked, source_of_server
from jarvis_ear.devices.selection import busy, find
from jarvis_ear.devices.sound_library import (
    Device,
    Fed,
    Kind,
    OutputStream,
    RawInput,
    StreamFailed,
    Taken,
    count_for,
)
from jarvis_ear.errors import DeviceError, MicrophoneBusy, MicrophoneUnavailable, SpeakerLost
from jarvis_ear.units import SAMPLE_BYTES

_LOGGER = logging.getLogger(__name__)

SoundDevice: TypeAlias = Any
"""The module sounddevice, or an object of it: they have no types."""

NOT_INSTALLED: Final = "PortAudio is not installed: apt install libportaudio2"
"""Meaning of sounddevice's OSError, with the remedy."""

MIN_SLEEP_S: Final = 0.002
"""Minimum sleep: drivers report samples in periods, so polling more often finds nothing new."""

BUFFER_SHARE: Final = 1 / 5
"""Share of the configured buffer that PortAudio gets for a microphone: 200 ms of 1 s."""

INVALID_RATE: Final = -9997
"""paInvalidSampleRate: the device exists, but not at this rate."""


class PortAudio:
    """Lists devices and opens streams. For one thread, with at most one stream per process.

    PortAudio lists devices as of its initialisation, and a new initialisation invalidates every
    open stream: so the list is refreshed only while none is open. All streams of a process share
    one error variable.
    """

    def __init__(
        self,
        load: Callable[[], SoundDevice] | None = None,
        *,
        cards: SoundCards | None = None,
        sleep: Callable[[float], None] = time.sleep,
        source: Callable[[], str] = source_of_server,
    ) -> None:
        self._load = load or _sounddevice
        self._cards = cards or SoundCards()
        self._sleep = sleep
        self._source = source
        self._open: PortAudioStream | None = None
        self._needs_own_rate: set[str] = set()  # devices that refused our rate: try it only once

    def devices(self) -> tuple[Device, ...]:
        """List all devices, as they are now if no stream is open."""
        return marked(self._devices(self._refreshed()), self._source)

    def default(self, kind: Kind) -> int:
        """Return the index of the default device, -1 if there is none."""
        return _default(self._module(), kind)

    def find_input(self, wanted: str) -> Device:
        """Return the microphone of this name, or raise MicrophoneUnavailable."""
        return self._find(self._refreshed(), wanted, "input")

    def open_input(
        self, wanted: str, *, rate: int, latency_s: float, channel: str = "0"
    ) -> RawInput:
        """Open and start a microphone, as in ``SoundLibrary``.

        The device gets a fifth of ``latency_s``: PortAudio divides its buffer into four periods,
        and sound arrives once in a period.
        """
        latency_s *= BUFFER_SHARE
        sounddevice = self._refreshed()
        device = self._find(sounddevice, wanted, "input")
        count = count_for(channel, device)
        if device.name in self._needs_own_rate:
            rate = device.rate
        try:
            try:
                return self._start(sounddevice.RawInputStream, latency_s, device, rate, count)
            except sounddevice.PortAudioError as error:
                if INVALID_RATE not in error.args or device.rate == rate:
                    raise
            self._needs_own_rate.add(device.name)
            return self._start(sounddevice.RawInputStream, latency_s, device, device.rate, count)
        except sounddevice.PortAudioError as error:
            raise _lost(f"{device.name}: {say(error)}", device.name, self._cards) from error

    def open_output(self, wanted: str, *, latency_s: float) -> OutputStream:
        """Open and start a speaker, as in ``SoundLibrary``."""
        sounddevice = self._refreshed()
        device = self._find(sounddevice, wanted, "output")
        try:
            return self._start(sounddevice.RawOutputStream, latency_s, device, device.rate, 1)
        except sounddevice.PortAudioError as error:
            raise SpeakerLost(f"{device.name}: {say(error)}") from error

    def _module(self) -> SoundDevice:
        try:
            return self._load()
        except OSError as error:
            raise DeviceError(NOT_INSTALLED) from error

    def _refreshed(self) -> SoundDevice:
        sounddevice = self._module()
        if self._open is None or self._open.is_closed:
            sounddevice._terminate()  # noqa: SLF001 - no public way to refresh the devices
            sounddevice._initialize()  # noqa: SLF001 - likewise
        return sounddevice

    def _devices(self, sounddevice: SoundDevice) -> tuple[Device, ...]:
        apis = [api["name"] for api in sounddevice.query_hostapis()]
        return tuple(
            Device(
                index=index,
                name=_printable(one["name"]),
                host_api=apis[one["hostapi"]],
                inputs=one["max_input_channels"],
                outputs=one["max_output_channels"],
                rate=round(one["default_samplerate"]),
            )
            for index, one in _entries(sounddevice)
        )

    def _find(self, sounddevice: SoundDevice, wanted: str, kind: Kind) -> Device:
        devices = self._devices(sounddevice)
        if kind == "input":
            devices = marked(devices, self._source)
        try:
            return find(devices, wanted, kind, _default(sounddevice, kind), self._cards)
        except DeviceError as error:
            if kind == "output":
                raise SpeakerLost(str(error)) from error
            raise _lost(str(error), wanted, self._cards) from error

    def _start(
        self,
        open_stream: SoundDevice,
        latency_s: float,
        device: Device,
        rate: int,
        channels: int,
    ) -> "PortAudioStream":
        form = {"samplerate": rate, "channels": channels, "dtype": "int16"}
        stream = open_stream(device=device.index, latency=latency_s, **form)
        try:
            stream.start()
        except BaseException:
            stream.close(ignore_errors=True)
            raise
        failure = self._module().PortAudioError
        self._open = PortAudioStream(stream, device, rate, failure=failure, sleep=self._sleep)
        return self._open


class PortAudioStream:
    """An input or output stream of sounddevice. For one thread."""

    def __init__(
        self,
        stream: SoundDevice,
        device: Device,
        rate: int,
        *,
        failure: type[Exception],
        sleep: Callable[[float], None],
    ) -> None:
        self._stream = stream
        self._failure = failure
        self._sleep = sleep
        self.device = device
        self.rate = rate
        self.channels: int = stream.channels
        self.latency: float = stream.latency
        self._capacity = 0  # of the buffer of a speaker: all of it is room when the stream begins
        self.is_closed = False
        """Whether the device was closed."""

    def take(self, least: int, most: int) -> Taken:
        """Take up to ``most`` samples; none if ``least`` do not arrive in the time they last."""
        with self._failing():
            available = int(self._stream.read_available)
            if available < least:
                self._sleep(max(MIN_SLEEP_S, (least - available) / self.rate))
                available = int(self._stream.read_available)
            if available < least:
                return Taken()
            count = min(available, most)
            data, overflowed = self._stream.read(count)
        return Taken(bytes(data), bool(overflowed), available - count)

    def feed(self, data: bytes, most: int) -> Fed:
        """Write samples until ``most`` of them wait in the buffer, or it is full."""
        with self._failing():
            room = int(self._stream.write_available)
            heard_at = time.clock_gettime(time.CLOCK_BOOTTIME)
            self._capacity = max(self._capacity, room)
            waiting = self._capacity - room
            count = max(0, min(room, most - waiting, len(data) // SAMPLE_BYTES))
            underran = bool(count and self._stream.write(data[: count * SAMPLE_BYTES]))
        return Fed(count, waiting + count, heard_at + waiting / self.rate, underran)

    def close(self) -> None:
        """Discard the buffer and close the device.

        ``stop()`` is not used: it waits for sound that may never come (42 s were measured).
        """
        if not self.is_closed:
            self._stream.abort(ignore_errors=True)
            self._stream.close(ignore_errors=True)
            self.is_closed = True

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except self._failure as error:
            raise StreamFailed(say(error)) from error


@functools.cache
def _sounddevice() -> SoundDevice:
    avoid_shared_memory(os.environ)
    sounddevice: SoundDevice = importlib.import_module("sounddevice")
    sounddevice._ffi = _TolerantStrings(sounddevice._ffi)  # noqa: SLF001 - it decodes every string strictly
    return sounddevice


class _TolerantStrings:
    """Replacement for the ``_ffi`` of ``sounddevice``; its C strings are always valid UTF-8.

    Device names come from configuration files in any encoding: with one byte that is not UTF-8 the
    whole list, and every opening of that device, would fail. For one thread.
    """

    def __init__(self, ffi: SoundDevice) -> None:
        self._ffi = ffi

    def __getattr__(self, name: str) -> SoundDevice:
        return getattr(self._ffi, name)

    def string(self, text: object) -> bytes:
        """Return a C string, with U+FFFD for bytes that are not UTF-8."""
        found: bytes = self._ffi.string(text)
        return found.decode("utf-8", "replace").encode()


def _entries(sounddevice: SoundDevice) -> Iterator[tuple[int, SoundDevice]]:
    """Yield the readable devices: an unreadable entry does not hide the others."""
    for index in range(sounddevice._lib.Pa_GetDeviceCount()):  # noqa: SLF001 - not public
        try:
            yield index, sounddevice.query_devices(index)
        except (sounddevice.PortAudioError, UnicodeError) as error:
            _LOGGER.debug("device %d cannot be described: %s", index, error)


def _printable(name: str) -> str:
    """Return ``name`` in a form that a terminal and a log can show."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in name)


def say(error: Exception) -> str:
    """Return PortAudio's error text, with that of the sound system if there is one."""
    text = str(error.args[0]) if error.args else type(error).__name__
    match error.args:
        case (_, _, (_, _, str() as host_text)) if host_text:
            return f"{text} ({host_text})"
    return text


def _lost(reason: str, wanted: str, cards: SoundCards) -> MicrophoneUnavailable:
    """Add which program holds the microphone: PortAudio does not list a device in use."""
    held = busy(wanted, cards)
    return MicrophoneBusy(f"{reason}; {held}") if held else MicrophoneUnavailable(reason)


def _default(sounddevice: SoundDevice, kind: Kind) -> int:
    return int(sounddevice.default.device[0 if kind == "input" else 1])
