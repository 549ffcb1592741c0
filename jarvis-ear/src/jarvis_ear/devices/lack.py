"""Lack: why the sound system shows fewer devices than one expects."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jarvis_ear.devices.sound_cards import SoundCards

SND: Final = Path("/dev/snd")
"""Where the kernel shows its sound cards, one file per direction and card."""


@dataclass(frozen=True, slots=True)
class Lack:
    """What is missing, in words for people."""

    what: str
    """A sentence without its capital and its full stop."""
    remedy: str
    """Whole sentences."""


def lack(
    cards: SoundCards,
    *,
    snd: Path = SND,
    accessible: Callable[[Path], bool] = lambda path: os.access(path, os.R_OK | os.W_OK),
) -> Lack:
    """Look for the first thing that is missing."""
    files = sorted(snd.glob("pcm*")) if snd.is_dir() else []
    if not files:
        return Lack(
            f"the kernel shows no sound card (no pcm devices in {snd})",
            "Plug one in; in a virtual machine or container, pass one through.",
        )
    closed = [file.name for file in files if not accessible(file)]
    if closed:
        return Lack(
            f"this user may not use the sound card ({', '.join(closed)})",
            "Add it to the group audio: usermod -aG audio USER, and log in again.",
        )
    if held := cards.holders():
        return Lack("another program uses it", "\n".join(f"{holder}." for holder in held))
    return Lack(
        "there are sound cards, but PortAudio cannot open them", "Perhaps another program does."
    )
