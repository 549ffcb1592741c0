"""AlsaInput: a microphone read from ALSA itself, without PortAudio in between.

PortAudio ties the length of a period to that of the buffer: a buffer of 1 s, which loses nothing on
a busy machine, would deliver sound in periods of 250 ms. ALSA takes both. A card that cannot be
opened as asked (another sample format, more channels at least) is left to PortAudio.
"""

import ctypes
import errno
import functools
import os
import re
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import suppress
from ctypes import byref, c_char_p, c_int, c_long, c_uint, c_ulong, c_void_p
from itertools import product
from typing import Final

from jarvis_ear.devices.sound_library import Device, StreamFailed, Taken
from jarvis_ear.errors import DeviceError
from jarvis_ear.units import SAMPLE_BYTES

LIBRARY: Final = "libasound.so.2"

CAPTURE: Final = 1
"""SND_PCM_STREAM_CAPTURE of alsa/pcm.h, as all numbers below."""
NONBLOCK: Final = 1
INTERLEAVED: Final = 3
S16_LE: Final = 2

PERIOD_US: Final = 20_000
"""How often the device reports new sound, where it cannot say so at any moment."""

MIN_SLEEP_S: Final = 0.002
"""Minimum sleep: sound arrives in periods, so polling more often finds nothing new."""


class CannotOpen(DeviceError):
    """ALSA cannot open the device as asked. The text is ALSA's own."""


class AlsaInput:
    """An open microphone: a ``RawInput``. For one thread.

    ``device`` is one of ALSA that PortAudio lists. Sound is PCM16, ``channels`` interleaved, at
    ``rate`` samples per second; the device buffers ``latency_s`` of it. Raises CannotOpen.
    """

    def __init__(
        self,
        device: Device,
        *,
        rate: int,
        channels: int,
        latency_s: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.device = device
        self.rate = rate
        self.channels = channels
        self._frame_bytes = channels * SAMPLE_BYTES
        self._sleep = sleep
        self._alsa = _library()
        self._pcm = c_void_p()
        name = pcm_name(device).encode()
        opened = self._alsa.snd_pcm_open(byref(self._pcm), name, CAPTURE, NONBLOCK)
        self._asked("open", opened)
        self.is_closed = False
        """Whether the device was closed."""
        try:
            self._most = self._set_up(round(1e6 * latency_s))
            self._asked("start", self._alsa.snd_pcm_start(self._pcm))
        except BaseException:
            self.close()
            raise
        self.latency: float = self._most / rate
        self._buffer = ctypes.create_string_buffer(self._most * self._frame_bytes)

    def take(self, least: int, most: int) -> Taken:
        """Take up to ``most`` samples; none if ``least`` do not arrive in the time they last."""
        available, overflowed = self._available()
        if available < least:
            self._sleep(max(MIN_SLEEP_S, (least - available) / self.rate))
            available, overrun = self._available()
            overflowed = overflowed or overrun
        if available < least:
            return Taken(overflowed=overflowed)
        count = min(available, most, self._most)
        read = int(self._alsa.snd_pcm_readi(self._pcm, self._buffer, c_ulong(count)))
        if read < 0:
            return Taken(overflowed=self._recover(read) or overflowed)
        return Taken(self._buffer.raw[: read * self._frame_bytes], overflowed, available - read)

    def close(self) -> None:
        """Discard the buffer and close the device. Idempotent."""
        if not self.is_closed:
            self.is_closed = True
            self._alsa.snd_pcm_drop(self._pcm)
            self._alsa.snd_pcm_close(self._pcm)

    def _available(self) -> tuple[int, bool]:
        """Return the samples in the buffer, and whether others were lost before them."""
        available = int(self._alsa.snd_pcm_avail(self._pcm))
        if available < 0:
            return 0, self._recover(available)
        return available, False

    def _recover(self, error: int) -> bool:
        """Start again after an overrun or a suspended system; raise StreamFailed otherwise."""
        if -error == errno.EAGAIN:
            return False
        if -error not in (errno.EPIPE, errno.ESTRPIPE):
            raise StreamFailed(self._text(error))
        for call in (self._alsa.snd_pcm_prepare, self._alsa.snd_pcm_start):
            status = int(call(self._pcm))
            if status < 0:
                raise StreamFailed(self._text(status))
        return True

    def _set_up(self, buffer_us: int) -> int:
        """Set format, channels, rate, buffer and period; return the samples in the buffer."""
        alsa, pcm = self._alsa, self._pcm
        settings = c_void_p()
        self._asked("set up", alsa.snd_pcm_hw_params_malloc(byref(settings)))
        try:
            self._asked("set up", alsa.snd_pcm_hw_params_any(pcm, settings))
            alsa.snd_pcm_hw_params_set_rate_resample(pcm, settings, c_uint(0))
            for setting, value in (
                ("access", c_int(INTERLEAVED)),
                ("format", c_int(S16_LE)),
                ("channels", c_uint(self.channels)),
            ):
                set_one = getattr(alsa, f"snd_pcm_hw_params_set_{setting}")
                self._asked(setting, set_one(pcm, settings, value))
            rate = c_uint(self.rate)
            set_rate = alsa.snd_pcm_hw_params_set_rate
            self._asked("rate", set_rate(pcm, settings, rate, c_int(0)))
            period, length, direction = c_uint(PERIOD_US), c_uint(buffer_us), c_int(0)
            alsa.snd_pcm_hw_params_set_period_time_near(
                pcm, settings, byref(period), byref(direction)
            )
            alsa.snd_pcm_hw_params_set_buffer_time_near(
                pcm, settings, byref(length), byref(direction)
            )
            self._asked("set up", alsa.snd_pcm_hw_params(pcm, settings))
            samples = c_ulong()
            self._asked("buffer", alsa.snd_pcm_hw_params_get_buffer_size(settings, byref(samples)))
            return int(samples.value)
        finally:
            alsa.snd_pcm_hw_params_free(settings)

    def _asked(self, what: str, status: int) -> None:
        if status < 0:
            raise CannotOpen(f"{what}: {self._text(status)}")

    def _text(self, error: int) -> str:
        text: bytes = self._alsa.snd_strerror(error)
        return text.decode("utf-8", "replace")


def open_alsa(device: Device, *, rate: int, count: int, latency_s: float) -> AlsaInput:
    """Open and start a device of ALSA that PortAudio lists.

    Tries ``rate`` and ``count`` channels first, then the rate and the channels of the device.
    Raises CannotOpen.
    """
    attempts = product(dict.fromkeys((rate, device.rate)), dict.fromkeys((count, device.inputs)))
    failure = CannotOpen("no attempt")
    for each_rate, channels in attempts:
        try:
            return AlsaInput(device, rate=each_rate, channels=channels, latency_s=latency_s)
        except CannotOpen as error:
            failure = error
    raise failure


def pcm_name(device: Device) -> str:
    """Return ALSA's name of a device: PortAudio puts that of a card in parentheses at the end."""
    found = re.search(r"\((hw:[^()]+)\)$", device.name)
    return found[1] if found else device.name


@functools.cache
def _library() -> ctypes.CDLL:
    avoid_shared_memory(os.environ)
    try:
        alsa = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise CannotOpen(str(error)) from error
    alsa.snd_strerror.restype = c_char_p
    alsa.snd_pcm_open.argtypes = (c_void_p, c_char_p, c_int, c_int)
    alsa.snd_pcm_avail.restype = alsa.snd_pcm_readi.restype = c_long
    return alsa


VARIABLE: Final = "PULSE_CLIENTCONFIG"
"""Variable with the one file that the library reads instead of the user's and the system's."""

SYSTEM: Final = "/etc/pulse/client.conf"


def avoid_shared_memory(environ: MutableMapping[str, str], system: str = SYSTEM) -> None:
    """Make the library read one line in addition to its usual files. Once per process.

    Call it before the library is loaded. The file exists in memory only and ends with the process.
    """
    lines = [f".include {path}" for path in _files(environ, system)]
    handle = os.memfd_create("pulse-client.conf")
    os.write(handle, "\n".join([*lines, "enable-shm = no", ""]).encode())
    environ[VARIABLE] = f"/proc/self/fd/{handle}"


def _files(environ: MutableMapping[str, str], system: str) -> Iterator[str]:
    """Yield the files that the library would have read, in its order."""
    main = next((path for path in _candidates(environ, system) if os.path.isfile(path)), None)  # noqa: PTH113 - pathlib is 1 MiB of the sound process
    if main is not None:
        yield main
        with suppress(OSError):  # there need not be such a folder
            names = sorted(os.listdir(f"{main}.d"))  # noqa: PTH208 - likewise
            yield from (f"{main}.d/{name}" for name in names if name.endswith(".conf"))


def _candidates(environ: MutableMapping[str, str], system: str) -> Iterator[str]:
    if given := environ.get(VARIABLE, ""):
        yield given
        return
    home = environ.get("HOME") or "/nonexistent"
    yield f"{home}/.pulse/client.conf"
    yield f"{environ.get('XDG_CONFIG_HOME') or f'{home}/.config'}/pulse/client.conf"
    yield system
