"""Change: an option that has another value now, and who goes on with it while the ear runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from jarvis_ear.config import Config
from jarvis_ear.options.option import OPTIONS


class Taker(StrEnum):
    """Which part of a running ear goes on with a new value."""

    EAR = "ear"
    MICROPHONE = "microphone"
    SPEAKER = "speaker"
    BACKEND = "backend"
    MUTE = "mute"
    BUS = "bus"
    CONSOLE = "console"
    LOG = "log"
    NOBODY = "nobody"
    """It is used once, at the start: a new value needs a restart."""


TAKERS: Final[Mapping[str, Taker]] = {
    "hearing": Taker.EAR,
    "microphone.device": Taker.MICROPHONE,
    "microphone.channel": Taker.MICROPHONE,
    "microphone.latency_ms": Taker.MICROPHONE,
    "microphone.stall_ms": Taker.MICROPHONE,
    "microphone.first_block_ms": Taker.MICROPHONE,
    "microphone.mute_between": Taker.MUTE,
    "speaker": Taker.SPEAKER,
    "backend": Taker.BACKEND,
    "bus": Taker.BUS,
    "console.transcripts": Taker.CONSOLE,
    "log.level": Taker.LOG,
    "log.transcripts": Taker.LOG,
}
"""For an option or a table with all that is in it; what is not named needs a restart."""


@dataclass(frozen=True, slots=True)
class Change:
    """An option with another value than before. It names no value: one may be a secret."""

    key: str
    """The name of the option."""
    taker: Taker
    """Who goes on with the new value."""


def taker_of(key: str) -> Taker:
    """Return who takes a new value of this option while the ear runs."""
    parts = key.split(".")
    names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((TAKERS[name] for name in names if name in TAKERS), Taker.NOBODY)


def changes(old: Config, new: Config) -> tuple[Change, ...]:
    """List what is different, in the order of the tree."""
    return tuple(
        Change(option.key, taker_of(option.key))
        for option in OPTIONS
        if _value(old, option.key) != _value(new, option.key)
    )


def names(listed: Iterable[Change]) -> str:
    """Write them for people."""
    return ", ".join(change.key for change in listed)


def _value(config: Config, key: str) -> object:
    value: object = config
    for name in key.split("."):
        value = getattr(value, name)
    return value
