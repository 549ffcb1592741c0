"""Output of ``jarvis-ear devices``: the available devices, or what is missing."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from jarvis_ear.devices import portaudio_process
from jarvis_ear.devices.diagnose import SND, Diagnosis, SoundCards, diagnose
from jarvis_ear.devices.selection import stable_name
from jarvis_ear.devices.sound_library import Device, Kind, SoundLibrary
from jarvis_ear.errors import DeviceError


def describe(
    library: SoundLibrary | None = None,
    *,
    snd: Path = SND,
    cards: SoundCards | None = None,
    accessible: Callable[[Path], bool] = lambda path: os.access(path, os.R_OK | os.W_OK),
) -> str:
    """Return a list of inputs and outputs to choose from, or say what is missing."""
    library = library or portaudio_process.for_input()
    cards = cards or SoundCards()
    try:
        devices = library.devices()
        default = {kind: library.default(kind) for kind in _KINDS}
    except DeviceError as error:
        return f"{error}\n"
    lines = [line for kind in _KINDS for line in _section(devices, kind, default[kind], cards)]
    if not all(_having(devices, kind) for kind in _KINDS):
        lines += _missing(diagnose(cards, snd=snd, accessible=accessible))
    return "\n".join(lines) + "\n"


def _missing(found: Diagnosis) -> list[str]:
    return [f"{found.what[0].upper()}{found.what[1:]}.", found.remedy]


_KINDS: Final[tuple[Kind, Kind]] = ("input", "output")


def _section(devices: Iterable[Device], kind: Kind, default: int, cards: SoundCards) -> list[str]:
    title = "Microphones (inputs)" if kind == "input" else "Speakers (outputs)"
    rows = [_row(device, kind, default, cards) for device in _having(devices, kind)]
    return [title, *(rows or ["  none"]), ""]


def _having(devices: Iterable[Device], kind: Kind) -> Sequence[Device]:
    return [device for device in devices if device.channels(kind) > 0]


def _row(device: Device, kind: Kind, default: int, cards: SoundCards) -> str:
    mark = "*" if device.index == default else " "
    channels = device.channels(kind)
    noun = "channel" if channels == 1 else "channels"
    rate = f"{device.rate} Hz"
    stable = stable_name(device, cards)
    name = f"{device.name}  {stable}" if stable else device.name
    row = f"{mark} {device.index:3}  {name}  ({device.host_api}, {rate}, {channels} {noun})"
    if kind == "input" and device.monitor:
        return f"{row}: the monitor of a loudspeaker, no microphone"
    return row
