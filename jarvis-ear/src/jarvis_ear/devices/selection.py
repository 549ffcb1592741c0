"""Selection: finds the device for a configured name, and lists the names to choose from.

A name is looked up at every opening, because numbers change with every plug and unplug:

- empty: the default device
- ``hw:CARD=Device`` (or ``...,DEV=0``), or ``Device`` alone: the card with this kernel id
- ``hw:1,0``, ``plughw:1,0`` or ``hw:1``, as ALSA writes it: the card with this number; also
  ``hw:Device,0``
- ``/usb.*mic/``: a regular expression, searched in "name, host api" without regard to case
- a name, or part of one
- a number: the index in the list
"""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from jarvis_ear.devices.diagnose import SND, SoundCards, diagnose
from jarvis_ear.devices.sound_library import Device, Kind, SoundLibrary, channels_text
from jarvis_ear.errors import DeviceError

_BY_ID: Final = re.compile(r"(?:\w+:)?CARD=([^,\s]+)(?:,DEV=(\d+))?", re.IGNORECASE)
_BY_PLACE: Final = re.compile(r"(?:plug)?hw:([^,=\s]+)(?:,(\d+)(?:,\d+)?)?", re.IGNORECASE)
_NUMBERS: Final = re.compile(r"\(\w*hw:(\d+),(\d+)\)")


_TITLES: Final[dict[Kind, str]] = {"input": "Microphones (inputs)", "output": "Speakers (outputs)"}


def find(
    devices: Sequence[Device],
    wanted: str,
    kind: Kind,
    default: int,
    cards: SoundCards | None = None,
) -> Device:
    """Return the device that ``wanted`` names; empty: the default.

    Raises DeviceError, with a list of the available devices, unless exactly one matches.
    """
    usable = _with(devices, kind)
    if not usable:
        raise DeviceError(f"no sound {kind} device: {diagnose(cards or SoundCards())[0]}")
    if not wanted:
        return next((device for device in usable if device.index == default), usable[0])
    found = _meant(usable, wanted, cards or SoundCards())
    if len(found) == 1:
        return found[0]
    if found:
        raise DeviceError(
            f"{len(found)} {kind} devices match {wanted!r}, expected one: {_list(found)}"
        )
    raise DeviceError(f"no {kind} device matches {wanted!r}; there are: {_list(usable)}")


def look_up(
    library: SoundLibrary, wanted: str, kind: Kind, cards: SoundCards | None = None
) -> Device:
    """Return the device that ``wanted`` names now, or raise DeviceError."""
    return find(library.devices(), wanted, kind, library.default(kind), cards)


def busy(wanted: str, cards: SoundCards) -> str:
    """Return which programs hold a card that ``wanted`` may name; empty if none does."""
    held = [holder for holder in cards.holders() if _may_mean(wanted, holder.card.number, cards)]
    return "; ".join(str(holder) for holder in held)


def stable_name(device: Device, cards: SoundCards) -> str:
    """Return the name that does not depend on the order of plugging, or an empty string."""
    numbers = _NUMBERS.search(device.name)
    if numbers is None:
        return ""
    ids = [card.id for card in cards.all() if card.number == int(numbers[1])]
    part = "" if numbers[2] == "0" else f",DEV={numbers[2]}"
    return f"hw:CARD={ids[0]}{part}" if ids else ""


def _with(devices: Sequence[Device], kind: Kind) -> list[Device]:
    return [device for device in devices if device.channels(kind) > 0]


def _meant(usable: list[Device], wanted: str, cards: SoundCards) -> list[Device]:
    if wanted.isdecimal():
        return [device for device in usable if device.index == int(wanted)]
    pattern = _expression(wanted)
    if pattern is not None:
        return [device for device in usable if pattern.search(_full_name(device))]
    named = _card_named(wanted)
    if named is not None:
        return _of_card(usable, _number(named[0], cards), named[1])
    return _named(usable, wanted.casefold(), cards)


def names_a_number(wanted: str) -> bool:
    """Whether ``wanted`` names a card by its number, which changes when cards come and go."""
    named = _card_named(wanted)
    return named is not None and named[0].isdecimal()


def _card_named(wanted: str) -> tuple[str, str | None] | None:
    """Return the card's id or number in an ALSA name, and the device on it, if any."""
    by_id = _BY_ID.fullmatch(wanted) or _BY_PLACE.fullmatch(wanted)
    return None if by_id is None else (by_id[1], by_id[2])


def _number(card: str, cards: SoundCards) -> int | None:
    return int(card) if card.isdecimal() else cards.numbered(card)


def _expression(wanted: str) -> re.Pattern[str] | None:
    """Return the regular expression in ``/slashes/``; None without slashes. Raises re.error."""
    slashed = re.fullmatch("/(.+)/", wanted)
    return re.compile(slashed[1], re.IGNORECASE) if slashed else None


def _of_card(usable: list[Device], number: int | None, part: str | None) -> list[Device]:
    """Return the device ``part`` of a card; without ``part``, its first device."""
    if number is None:
        return []
    prefix = f"hw:{number},{int(part)})" if part else f"hw:{number},"
    found = [device for device in usable if prefix in device.name]
    return found if part else found[:1]


def _named(usable: list[Device], wanted: str, cards: SoundCards) -> list[Device]:
    exact = [device for device in usable if device.name.casefold() == wanted]
    return (
        exact
        or _of_card(usable, cards.numbered(wanted), None)
        or [device for device in usable if wanted in _full_name(device).casefold()]
    )


def _may_mean(wanted: str, number: int, cards: SoundCards) -> bool:
    """Whether ``wanted``, as configured or a device's name, may mean the card of this number."""
    if not wanted or wanted.isdecimal():
        return True
    named = _card_named(wanted)
    if named is not None:
        return _number(named[0], cards) == number
    stands_in = [
        Device(number, f"{card.id}: {card.name} (hw:{number},0)", "ALSA", 1, 1, 0)
        for card in cards.all()
        if card.number == number
    ]
    return bool(_meant(stands_in, wanted, cards)) or f"hw:{number}," in wanted


def _full_name(device: Device) -> str:
    return f"{device.name}, {device.host_api}"


def _list(devices: Sequence[Device]) -> str:
    return ", ".join(f"{device.index} {device.name!r}" for device in devices)


def describe(
    library: SoundLibrary,
    *,
    snd: Path = SND,
    cards: SoundCards | None = None,
    accessible: Callable[[Path], bool] = lambda path: os.access(path, os.R_OK | os.W_OK),
) -> str:
    """Return the output of ``jarvis-ear devices``: all devices by name, or what is missing."""
    cards = cards or SoundCards()
    try:
        devices = library.devices()
        default = {kind: library.default(kind) for kind in _TITLES}
    except DeviceError as error:
        return f"{error}\n"
    lines: list[str] = []
    for kind, title in _TITLES.items():
        rows = [_row(device, kind, default[kind], cards) for device in _with(devices, kind)]
        lines += [title, *(rows or ["  none"]), ""]
    if not all(_with(devices, kind) for kind in _TITLES):
        missing, remedy = diagnose(cards, snd=snd, accessible=accessible)
        lines += [f"{missing[0].upper()}{missing[1:]}.", remedy]
    return "\n".join(lines) + "\n"


def _row(device: Device, kind: Kind, default: int, cards: SoundCards) -> str:
    mark = "*" if device.index == default else " "
    names = f"{device.name}  {stable_name(device, cards)}".rstrip()
    channels = channels_text(device.channels(kind))
    row = f"{mark} {device.index:3}  {names}  ({device.host_api}, {device.rate} Hz, {channels})"
    is_monitor = kind == "input" and device.monitor
    return f"{row}: the monitor of a loudspeaker, no microphone" if is_monitor else row
