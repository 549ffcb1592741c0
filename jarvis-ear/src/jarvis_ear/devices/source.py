"""Source: where sound comes from, be it a microphone, a file or a pipe."""

from pathlib import Path
from typing import Protocol

from jarvis_ear import config
from jarvis_ear.audio.block import Block
from jarvis_ear.devices.end_of_sound import EndOfSound
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.stdin import Stdin
from jarvis_ear.devices.wav_file import WavFile

__all__ = ["EndOfSound", "Source", "make_source"]


class Source(Protocol):
    """Sound, read block by block. Owned by the capture thread from ``open`` to ``close``."""

    @property
    def live(self) -> bool:
        """True: sound is lost when nobody reads it in time. False: it waits for its reader."""

    @property
    def name(self) -> str:
        """What a person calls it, for log lines."""

    def open(self) -> None:
        """Get ready, or raise MicrophoneLost (try again later) or InputError (give up)."""

    def read(self) -> Block | None:
        """Return the next block, or None when nothing came within about 100 ms.

        Raises EndOfSound at the end, MicrophoneLost or InputError when there will be nothing.
        """

    def close(self) -> None:
        """Give back what ``open`` took, also after a failure; twice is as good as once."""


def make_source(options: config.Microphone) -> Source:
    """Choose the source that was configured. Nothing is opened yet."""
    if options.input == "-":
        return Stdin()
    if options.input:
        return WavFile(Path(options.input), fast=options.fast)
    return Microphone(options)
