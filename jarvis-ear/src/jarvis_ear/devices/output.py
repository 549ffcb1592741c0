"""Outputs of a reply: the loudspeaker, and files."""

import logging
import os
import re
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

LATENCY_S: Final = 0.15
"""Seconds of buffer requested from the device. A full one survives a delay of this length; the
writer decides how much of it to use."""


class Output(Protocol):
    """A speaker. Owned by the speaker thread."""

    waiting: int
    """Samples written and not yet played, as of the last write."""
    heard_at: float
    """When the first sample of the last write leaves the buffer, in seconds of CLOCK_BOOTTIME."""
    underran: bool
    """Whether the device had run out of samples before the last write."""

    def check(self) -> str:
        """Return why no loudspeaker can be opened, without opening it; empty if one can."""

    def open(self) -> int:
        """Open the device and return its sample rate, or raise SpeakerLost."""

    def write(self, pcm: npt.NDArray[np.int16], most: int) -> int:
        """Write as much of ``pcm`` as leaves at most ``most`` samples waiting; return the count.

        Never waits for room. Raises SpeakerLost when the device is gone.
        """

    def rest(self, most: int) -> int:
        """Write silence until ``most`` samples wait, so that the device stays awake.

        Return the count. Raises SpeakerLost when the device is gone.
        """

    def close(self) -> None:
        """Stop playing at once and close the device. Idempotent."""

    def release(self) -> None:
        """Free what a closed output keeps to be opened faster."""


class PortAudioOutput:
    """Plays through PortAudio, in a separate process. Owned by the speaker thread."""

    def __init__(
        self,
        device: str,
        *,
        library: SoundLibrary | None = None,
        release: Callable[[], None] | None = None,
    ) -> None:
        self._wanted = device
        self._library = library or portaudio_process.for_output()
        self._release = release or portaudio_process.for_output().end
        self._list = library or portaudio_process.for_input()  # already running for the microphone
        self._stream: OutputStream | None = None
        self.waiting = 0
        self.heard_at = 0.0
        self.underran = False

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
        """Open the device at the rate it prefers, or raise SpeakerLost.

        Takes 30 ms, and 0.3 s on a desktop if the sound process does not run yet.
        """
        self.waiting = 0
        try:
            stream = self._stream = self._library.open_output(self._wanted, latency_s=LATENCY_S)
        except SpeakerLost:
            raise
        except (DeviceError, StreamFailed) as error:
            raise SpeakerLost(str(error)) from error
        return stream.rate

    def write(self, pcm: npt.NDArray[np.int16], most: int) -> int:
        """Write as much as leaves at most ``most`` samples waiting; return the count."""
        stream = self._stream
        if stream is None:
            raise SpeakerLost(f"speaker {self._wanted or 'default'!r} is not open")
        try:
            fed = stream.feed(pcm.astype("<i2", copy=False).tobytes(), most)
        except StreamFailed as error:
            raise SpeakerLost(f"{stream.device.name}: {error}") from error
        self.waiting, self.heard_at, self.underran = fed.waiting, fed.heard_at, fed.underran
        return fed.taken

    def rest(self, most: int) -> int:
        """Write silence until ``most`` samples wait; return the count."""
        return self.write(np.zeros(most, np.int16), most)

    def close(self) -> None:
        """Discard the buffered sound and close the stream."""
        stream, self._stream = self._stream, None
        self.waiting = 0
        if stream is not None:
            stream.close()

    def release(self) -> None:
        """End the sound process, which takes 30 MiB."""
        self._release()


def make_output(options: config.SpeakerOptions) -> Output | None:
    """Return the configured output, not yet open; None: no speaker is wanted."""
    if options.device == NONE:
        _LOGGER.info("no speaker is configured: replies are not heard")
        return None
    return PortAudioOutput(options.device)


MAX_NAME: Final = 64
"""Characters of a turn id that go into a file name."""


class ReplyFiles:
    """Writes replies as ``<turn>-<index>.<format>``, readable by the owner only.

    For the speaker thread. A failure to write is one warning, and does not affect the reply.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.failures = 0
        """Chunks that could not be written."""

    def save(self, turn_id: str, index: int, audio: bytes, suffix: str = "wav") -> None:
        """Write one chunk; a file of the same name is replaced. ``suffix`` names its format."""
        path = self._folder / file_name(turn_id, index, suffix)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(open_regular(path, os.O_WRONLY | os.O_CREAT), "wb") as file:  # noqa: PTH123 - a descriptor
                file.truncate()
                file.write(audio)
        except OSError as error:
            self.failures += 1
            level = logging.WARNING if self.failures == 1 else logging.DEBUG
            _LOGGER.log(level, "reply not kept in %s: %s", self._folder, error.strerror)


def file_name(turn_id: str, index: int, suffix: str = "wav") -> str:
    """Return the file name of a chunk; text from the backend never becomes a path."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", turn_id)[:MAX_NAME] or "turn"
    return f"{safe}-{index % 1_000_000:03d}.{suffix}"
