"""Source: where sound comes from, be it a microphone, a file or a pipe."""

import logging
from contextlib import closing
from pathlib import Path
from typing import Protocol

from jarvis_ear import config
from jarvis_ear.audio.block import Block
from jarvis_ear.devices import sound_process
from jarvis_ear.devices.end_of_sound import EndOfSound
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.selection import busy, find
from jarvis_ear.devices.sound_cards import SoundCards
from jarvis_ear.devices.sound_library import SoundLibrary
from jarvis_ear.devices.stdin import Stdin
from jarvis_ear.devices.wav_file import WavFile
from jarvis_ear.errors import DeviceError

__all__ = ["EndOfSound", "Source", "check_source", "make_source", "mistake_in", "why_deaf"]

_LOGGER = logging.getLogger(__name__)


class Source(Protocol):
    """Sound, read block by block. Owned by the capture thread from ``open`` to ``close``."""

    @property
    def live(self) -> bool:
        """True: sound is lost when nobody reads it in time. False: it waits for its reader."""

    @property
    def name(self) -> str:
        """What a person calls it, for log lines."""

    @property
    def silence(self) -> str:
        """Why what it gives is no sound of a room, in words; empty: it is, for all we know."""

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
    if options.fallback and (missing := why_deaf(options.device)):
        _LOGGER.info("%s; hearing %s instead", missing, options.fallback)
        return WavFile(Path(options.fallback), fast=options.fast)
    return Microphone(options)


def check_source(options: config.Microphone, *, waits: bool) -> None:
    """Tell a person's mistake before anything is started; raises DeviceError or InputError.

    Who ``waits`` for a microphone is not told that none has this name; nor is anybody told so while
    the sound system is not there yet, or somebody else uses the microphone: that passes.
    """
    if options.input and not Path(options.input).is_fifo():
        with closing(make_source(options)) as source:
            source.open()
    elif options.device and not waits:
        mistake = mistake_in(options.device)
        if mistake:
            raise DeviceError(mistake)


def mistake_in(
    wanted: str, library: SoundLibrary | None = None, cards: SoundCards | None = None
) -> str:
    """Say that none of the microphones that are there has this name, or nothing.

    While there are none at all, or the sound system does not answer, nobody can know.
    """
    library, cards = library or sound_process.for_input(), cards or SoundCards()
    try:
        devices, default = library.devices(), library.default("input")
    except DeviceError as error:
        _LOGGER.debug("nobody knows whether there is a microphone %r: %s", wanted, error)
        return ""
    if not any(device.inputs for device in devices) or busy(wanted, cards):
        return ""
    try:
        find(devices, wanted, "input", default, cards)
    except DeviceError as error:
        return str(error)
    return ""


def why_deaf(
    wanted: str, library: SoundLibrary | None = None, cards: SoundCards | None = None
) -> str:
    """Say why there is no microphone of this name (or index; empty: any), or nothing."""
    library, cards = library or sound_process.for_input(), cards or SoundCards()
    try:
        find(library.devices(), wanted, "input", library.default("input"), cards)
    except DeviceError as error:
        return "; ".join(filter(None, [str(error), busy(wanted, cards)]))
    return ""
