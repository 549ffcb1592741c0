"""What ``jarvis-ear devices`` prints: the devices there are, or what is missing."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from jarvis_ear.devices import portaudio
from jarvis_ear.devices.portaudio import Device, Kind, PortAudio
from jarvis_ear.errors import DeviceError

SND: Final = Path("/dev/snd")
"""Where the kernel shows its sound cards, one file per direction and card."""


def describe(
    library: PortAudio | None = None,
    *,
    snd: Path = SND,
    accessible: Callable[[Path], bool] = lambda path: os.access(path, os.R_OK | os.W_OK),
) -> str:
    """List inputs and outputs for a person to read and to choose from, or say what is missing."""
    library = library or portaudio.shared()
    try:
        devices = library.devices()
        default = {kind: library.default(kind) for kind in _KINDS}
    except DeviceError as error:
        return f"{error}\n"
    lines = [line for kind in _KINDS for line in _section(devices, kind, default[kind])]
    if not all(_having(devices, kind) for kind in _KINDS):
        lines += missing(snd, accessible)
    return "\n".join(lines) + "\n"


def missing(snd: Path, accessible: Callable[[Path], bool]) -> list[str]:
    """Say why the sound system shows fewer devices than one expects."""
    cards = sorted(snd.glob("pcm*")) if snd.is_dir() else []
    if not cards:
        return [
            f"The kernel shows no sound card (no pcm devices in {snd}).",
            "Plug one in; in a virtual machine or container, pass one through.",
        ]
    closed = [card.name for card in cards if not accessible(card)]
    if closed:
        return [
            f"This user may not use the sound card ({', '.join(closed)}).",
            "Add it to the group audio: usermod -aG audio USER, and log in again.",
        ]
    return ["There are sound cards, but PortAudio cannot open them: perhaps another program does."]


_KINDS: Final[tuple[Kind, Kind]] = ("input", "output")


def _section(devices: Iterable[Device], kind: Kind, default: int) -> list[str]:
    title = "Microphones (inputs)" if kind == "input" else "Speakers (outputs)"
    rows = [_row(device, kind, default) for device in _having(devices, kind)]
    return [title, *(rows or ["  none"]), ""]


def _having(devices: Iterable[Device], kind: Kind) -> Sequence[Device]:
    return [device for device in devices if device.channels(kind) > 0]


def _row(device: Device, kind: Kind, default: int) -> str:
    mark = "*" if device.index == default else " "
    channels = device.channels(kind)
    noun = "channel" if channels == 1 else "channels"
    rate = f"{device.rate} Hz"
    return f"{mark} {device.index:3}  {device.name}  ({device.host_api}, {rate}, {channels} {noun})"
