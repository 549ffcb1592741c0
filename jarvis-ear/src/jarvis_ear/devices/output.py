"""Outputs of a reply: the loudspeaker, and files."""

import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from jarvis_ear import config
from jarvis_ear.devices import portaudio_process
from jarvis_ear.devices.selection import look_up
from jarvis_ear.devices.sound_library import OutputStream, SoundLibrary, StreamFailed
from jarvis_ear.errors import DeviceError, SpeakerLost
from jarvis_ear.paths import open_regular

_LOGGER = logging.getLogger(__name__)

NONE: Final = "none"
"""Value of ``speaker.device`` for no speaker."""

LATENCY_S: Final = 0.2
"""Seconds of sound written ahead: a delay of this length causes no crackle."""

POLL_S: Final = 0.02
"""Seconds that one write waits for room; it delays a barge-in by at most this time."""

DRAIN_EXTRA_S: Final = 0.5
"""Seconds, beyond its latency, that a speaker may take to play the last sample."""


class Output(Protocol):
    """A speaker, used for one reply at a time. Owned by the speaker thread."""

    def check(self) -> str:
        """Return why no loudspeaker can be opened, without opening it; empty if one can."""

    def open(self) -> int:
        """Open the device and return its sample rate, or raise SpeakerLost."""

    def write(self, pcm: npt.NDArray[np.int16]) -> int:
        """Write as much of ``pcm`` as there is room for, within a few ms; return the count.

        Raises SpeakerLost when the device is gone.
        """

    def pending(self) -> bool:
        """Return whether written sound has not been played yet."""

    def close(self) -> None:
        """Stop playing at once and close the device. Idempotent."""


class PortAudioOutput:
    """Plays through PortAudio, by polling. Owned by the speaker thread.

    The stream is open only while a reply is played, so that the sound card can sleep in between.
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
        self._list = library or portaudio_process.for_input()  # already running for the microphone
        self._monotonic = monotonic
        self._sleep = sleep
        self._stream: OutputStream | None = None
        self._room = 0  # samples that fit into the empty buffer
        self._heard_by = 0.0  # time by which the last written sample must have been played

    def check(self) -> str:
        """Look up the device: about 10 ms, or a second if the sound process does not run yet.

        The list of devices is as recent as the last opening of the microphone.
        """
        try:
            look_up(self._list, self._wanted, "output")
        except DeviceError as error:
            return str(error)
        return ""

    def open(self) -> int:
        """Open the device at the rate it prefers, or raise SpeakerLost."""
        try:
            stream = self._stream = self._library.open_output(self._wanted, latency_s=LATENCY_S)
            self._room = stream.write_available
        except SpeakerLost:
            raise
        except (DeviceError, StreamFailed) as error:
            raise SpeakerLost(str(error)) from error
        return stream.rate

    def write(self, pcm: npt.NDArray[np.int16]) -> int:
        """Write as much as the device has room for now or within 20 ms; return the count."""
        stream = self._opened()
        try:
            room = stream.write_available
            if room == 0:
                self._sleep(POLL_S)
                room = stream.write_available
            count = min(room, len(pcm))
            if count:
                stream.write(pcm[:count].astype("<i2", copy=False).tobytes())
        except StreamFailed as error:
            raise SpeakerLost(f"{stream.device.name}: {error}") from error
        self._heard_by = self._monotonic() + stream.latency + DRAIN_EXTRA_S
        return count

    def pending(self) -> bool:
        """Return whether the buffer still holds sound, and its time has not passed."""
        stream = self._opened()
        if self._monotonic() > self._heard_by:
            return False
        try:
            return stream.write_available < self._room
        except StreamFailed:
            return False  # the device is gone, with its buffer

    def close(self) -> None:
        """Discard the buffered sound and close the stream."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _opened(self) -> OutputStream:
        if self._stream is None:
            raise SpeakerLost(f"speaker {self._wanted or 'default'!r} is not open")
        return self._stream


def make_output(options: config.SpeakerOptions) -> Output | None:
    """Return the configured output, not yet open; None: no speaker is wanted."""
    if options.device == NONE:
        _LOGGER.info("no speaker is configured: replies are not heard")
        return None
    return PortAudioOutput(options.device)


MAX_NAME: Final = 64
"""Characters of a turn id that go into a file name."""


class ReplyFiles:
    """Writes replies as ``<turn>-<index>.wav``, readable by the owner only. For the speaker thread.

    A failure to write is one warning, and does not affect the reply.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.failures = 0
        """Chunks that could not be written."""

    def save(self, turn_id: str, index: int, audio: bytes) -> None:
        """Write one chunk; a file of the same name is replaced."""
        path = self._folder / file_name(turn_id, index)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(open_regular(path, os.O_WRONLY | os.O_CREAT), "wb") as file:  # noqa: PTH123 - a descriptor
                file.truncate()
                file.write(audio)
        except OSError as error:
            self.failures += 1
            level = logging.WARNING if self.failures == 1 else logging.DEBUG
            _LOGGER.log(level, "reply not kept in %s: %s", self._folder, error.strerror)


def file_name(turn_id: str, index: int) -> str:
    """Return the file name of a chunk; text from the backend never becomes a path."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", turn_id)[:MAX_NAME] or "turn"
    return f"{safe}-{index % 1_000_000:03d}.wav"
