"""Option: one value of the configuration, its names and limits, and what a change of it needs."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from jarvis_ear.config import Config

SHOWN: Final = 60
"""Characters of a value that a message repeats: enough to recognise it."""

_LARGE: Final = 64
"""Bits of a number that is worth its digits; Python refuses to write the very large ones."""


_TYPE_NOUNS: Final = {dict: "a table", list: "a list", type(None): "nothing"}


def shown(value: object) -> str:
    """Write ``value`` for people: one line, not too long, every odd character escaped."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > _LARGE:
        return "a very large number"
    if isinstance(value, int | float):
        return str(value)
    return _TYPE_NOUNS.get(type(value)) or quoted(str(value))


def quoted(text: str) -> str:
    """Write ``text`` in quotes, shortened, every odd character escaped."""
    whole = json.dumps(text[:SHOWN], ensure_ascii=not text.isprintable())
    return whole if len(text) <= SHOWN else f"{whole[:-1]}...{whole[-1]}"


def plain(name: str) -> str:
    """Write a name as it is where that is readable, else in quotes."""
    return name if name and len(name) <= SHOWN and name.isprintable() else quoted(name)


def suggestion(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return "; did you mean ...?" for a misspelt name, or nothing if no name is like it.

    The last part of a name counts most: who forgets a section, or names a wrong one, means it.
    A ``prefix`` that all names begin with says nothing about their likeness.
    """
    meant = _meant(name.removeprefix(prefix), [other.removeprefix(prefix) for other in known])
    return f"; did you mean {prefix}{meant}?" if meant else ""


def _meant(name: str, names: list[str]) -> str:
    """Return the name that is most like ``name``, or nothing."""
    if name in names:
        return name
    ends = {_last_part(other): other for other in names}
    if _last_part(name) in ends:
        return ends[_last_part(name)]
    if close := get_close_matches(name, names, n=1, cutoff=0.75):
        return close[0]
    if close := get_close_matches(_last_part(name), ends, n=1, cutoff=0.75):
        return ends[close[0]]
    return ""


def _last_part(name: str) -> str:
    return name.replace("__", ".").rpartition(".")[2].lower().replace("-", "_").strip("_")


ENV_PREFIX: Final = "JARVIS_EAR_"
"""Every name in the environment that begins so must be an option."""

SHORT_FLAGS: Final[Mapping[str, str]] = {
    "microphone.device": "--device",
    "microphone.input": "--input",
    "microphone.fast": "--fast",
    "backend.url": "--backend-url",
    "hearing.wake.model": "--wake-model",
    "hearing.wake.threshold": "--threshold",
    "speaker.output_dir": "--output-dir",
    "log.transcripts": "--log-transcripts",
    "log.format": "--log-format",
    "console.port": "--port",
    "with_backend": "--with-backend",
}
"""The everyday options, in the order in which the help shows them."""

OWNER_VARIABLES: Final[Mapping[str, str]] = {
    "backend.url": "BACKEND_URL",
    "backend.password": "JARVIS_PASSWORD",
    "backend.agent_id": "AGENT_ID",
}
"""The names in the environment that the owner's other programs use too."""

_FILE_TYPES: Final[Mapping[type, tuple[type, ...]]] = {
    bool: (bool,),
    int: (int,),
    float: (int, float),
}
"""What a file, which has types, may give for what; text for everything else."""

_ALSO: Final[Mapping[str, type]] = {
    "microphone.channel": int,
    "microphone.mute_between": list,
    "bus.publish": list,
}
"""What else a file may give for an option that is text on the command line."""

TEXT_PATHS: Final = ("microphone.input", "microphone.fallback")
"""Options that are text and name a file all the same."""

NO_HOME: Final = "expected a path: nobody knows the home that its ~ stands for"
"""What is wrong with ``~name/file`` where there is no such user."""

_NOUNS: Final[Mapping[type, str]] = {int: "a whole number", float: "a number", Path: "a path"}


class UnfitError(ValueError):
    """A value is not one that the option takes. The text says what it takes."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option. A value: anybody may hold it."""

    key: str
    """Its place in the tree and in the file: ``hearing.wake.threshold``."""
    section: type[BaseModel]
    """The section that declares it."""

    @property
    def name(self) -> str:
        """Its name within the section."""
        return self.key.rpartition(".")[2]

    @property
    def table(self) -> str:
        """The table of the file that it stands in; empty for the top."""
        return self.key.rpartition(".")[0]

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return ENV_PREFIX + self.key.upper().replace(".", "__")

    @property
    def flags(self) -> tuple[str, ...]:
        """Its names on the command line, the short one first; a secret has none."""
        if self.kind is SecretStr:
            return ()
        long = "--" + self.key.replace("_", "-")
        short = SHORT_FLAGS.get(self.key, long)
        return (short,) if short == long else (short, long)

    @property
    def kind(self) -> type:
        """The type of its values: bool, int, float, str, Path or SecretStr."""
        annotation = self._field.annotation
        if get_origin(annotation) is Literal:
            return str
        return next((kind for kind in get_args(annotation) if kind is Path), annotation)

    @property
    def choices(self) -> tuple[str, ...]:
        """All values it takes, if they are few."""
        annotation = self._field.annotation
        return get_args(annotation) if get_origin(annotation) is Literal else ()

    @property
    def default(self) -> object:
        """Its value when nobody says anything."""
        return self._field.default

    @property
    def meaning(self) -> str:
        """What it is for, as the tree says it."""
        return self._field.description or ""

    @property
    def is_optional(self) -> bool:
        """Whether nothing is a value too, written as an empty text."""
        return type(None) in get_args(self._field.annotation)

    @property
    def expected(self) -> str:
        """What it takes, as the end of a sentence."""
        if self.kind is bool:
            return "true or false"
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if "min_length" in self._limits and "max_length" in self._limits:
            return "{min_length} to {max_length} characters".format(**self._limits)
        if "min_length" in self._limits:
            return "at least one character"
        return " ".join((_NOUNS.get(self.kind, "text"), *self._range_words()))

    def parse(self, given: object) -> object:
        """Turn text, or what a file gives, into a value; raises ``UnfitError``."""
        if given == "" and self.is_optional:
            return None
        if not isinstance(given, (*_FILE_TYPES.get(self.kind, ()), _ALSO.get(self.key, str), str)):
            raise UnfitError(self.expected)
        if isinstance(given, bool) and self.kind is not bool:
            raise UnfitError(self.expected)
        if isinstance(given, str) and (self.kind is Path or self.key in TEXT_PATHS):
            given = _at_home(given)
        try:
            section = self.section.model_validate({self.name: given})
        except ValidationError as error:
            raise UnfitError(self._explained(error)) from None
        value: object = getattr(section, self.name)
        return value

    def shown(self, given: object) -> str:
        """Write a value for people, on one line, and no secret at all."""
        return "a value that is not shown" if self._must_hide(given) else shown(given)

    def _must_hide(self, given: object) -> bool:
        return self.kind is SecretStr or (self.name == "url" and "@" in str(given))

    def _explained(self, error: ValidationError) -> str:
        """Return the words of a validator of the tree, where one has spoken, else our own."""
        (first, *_) = error.errors(include_input=False, include_url=False)
        return str(first["ctx"]["error"]) if first["type"] == "value_error" else self.expected

    def _range_words(self) -> Iterator[str]:
        limits = self._limits
        if "ge" in limits:
            yield f"from {limits['ge']} to {limits['le']}"
        if "gt" in limits:
            yield f"above {limits['gt']} and below {limits['lt']}"

    @property
    def _limits(self) -> dict[str, Any]:
        names = ("ge", "le", "gt", "lt", "min_length", "max_length")
        rules = self._field.metadata
        return {
            name: getattr(rule, name) for rule in rules for name in names if hasattr(rule, name)
        }

    @property
    def _field(self) -> Any:  # noqa: ANN401 - pydantic's, and we read five attributes of it
        return self.section.model_fields[self.name]


def _at_home(path: str) -> str:
    """Put the home of a user in the place of ``~`` or ``~name`` at the beginning of a path."""
    if not path.startswith("~"):
        return path
    try:
        return str(Path(path).expanduser())
    except RuntimeError:
        raise UnfitError(NO_HOME.removeprefix("expected ")) from None


def _leaves(section: type[BaseModel], path: str = "") -> Iterator[Option]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _leaves(kind, f"{path}{name}.")
        else:
            yield Option(f"{path}{name}", section)


OPTIONS: Final = tuple(_leaves(Config))
"""Every option there is, in the order of the tree."""

BY_KEY: Final[Mapping[str, Option]] = {option.key: option for option in OPTIONS}

BY_FLAG: Final[Mapping[str, Option]] = {flag: option for option in OPTIONS for flag in option.flags}

BY_VARIABLE: Final[Mapping[str, Option]] = {option.variable: option for option in OPTIONS}

TABLES: Final = frozenset(
    option.key[:dot] for option in OPTIONS for dot, mark in enumerate(option.key) if mark == "."
)
"""Every table of the file: what stands before a dot of some option's key."""


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
