"""Tuning: options that the owner sets from the console, in a file of the ear's own."""

import re
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from jarvis_ear.errors import ConfigError
from jarvis_ear.options.option import UnfitError
from jarvis_ear.options.verbs import quoted
from jarvis_ear.paths import read_regular, write_whole
from jarvis_ear.schema import SCHEMA, TUNED_FILE, Loaded

TUNABLE: Final[Mapping[str, str]] = {
    "threshold": "hearing.wake.threshold",
    "hangover_ms": "hearing.endpointing.hangover_ms",
}
"""What may be tuned: a short name, and the option that it sets."""

MAX_BYTES: Final = 4096
"""Ten times the size of what is written."""

_NUMBER: Final = re.compile(r"[0-9]{1,5}(\.[0-9]{1,4})?")


class Tuning:
    """Stores tuned options, and has them used. Used by one thread, "control".

    The file ranks between the environment and the configuration file. ``read`` reads all sources
    again, with the file in place; ``on_change`` asks for a reload.
    """

    def __init__(
        self, folder: Path, read: Callable[[], Loaded], on_change: Callable[[], None]
    ) -> None:
        self._path = folder / TUNED_FILE
        self._read = read
        self._on_change = on_change

    def set(self, given: Mapping[str, str]) -> Mapping[str, float]:
        """Store these values by short name, beside those before; return all that are stored.

        The same checks apply as for a configuration file. After a mistake nothing is changed, and
        ``ConfigError`` names it. Raises ``OSError`` if the file cannot be written.
        """
        values = self._stored() | {name: _checked(name, text) for name, text in given.items()}
        old = self._text()
        write_whole(self._path, _toml(values))
        try:
            self._require_effect(given)
        except ConfigError:
            self._restore(old)
            raise
        self._on_change()
        return values

    def forget(self) -> None:
        """Use the configured values again. Raises ``OSError``."""
        self._path.unlink(missing_ok=True)
        self._on_change()

    def _require_effect(self, given: Mapping[str, str]) -> None:
        """Read all sources again, and refuse values that a stronger source overrides."""
        origins = self._read().origins
        for key in (TUNABLE[name] for name in given):
            if not origins[key].startswith(f"{self._path}:"):
                raise ConfigError(f"{key} is set in another place, which counts: {origins[key]}")

    def _text(self) -> str:
        with suppress(OSError, UnicodeDecodeError):
            return read_regular(self._path, MAX_BYTES)[0].decode()
        return ""

    def _restore(self, old: str) -> None:
        if old:
            write_whole(self._path, old)
        else:
            self._path.unlink(missing_ok=True)

    def _stored(self) -> dict[str, float]:
        """Return what is stored, by short name; nothing if the file cannot be read."""
        try:
            table: Any = tomllib.loads(self._text())
        except tomllib.TOMLDecodeError:
            return {}
        found = {}
        for name, key in TUNABLE.items():
            value = table
            for part in key.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if isinstance(value, int | float):
                found[name] = value
        return found


def _checked(name: str, text: str) -> float:
    """Return a number for an option in its range, or raise ``ConfigError``."""
    if name not in TUNABLE:
        raise ConfigError(f"{quoted(name)} cannot be tuned; expected {', '.join(TUNABLE)}")
    if not _NUMBER.fullmatch(text):
        raise ConfigError(f"{name}: given {quoted(text)}, expected a number")
    try:
        SCHEMA.by_key[TUNABLE[name]].parse(text)
    except UnfitError as unfit:
        raise ConfigError(f"{TUNABLE[name]}: given {text}, expected {unfit}") from None
    return float(text) if "." in text else int(text)


def _toml(values: Mapping[str, float]) -> str:
    lines = ["# Written by the ear for the console: jarvis-ear config shows what counts."]
    for name, value in values.items():
        table, _, option = TUNABLE[name].rpartition(".")
        lines += ["", f"[{table}]", f"{option} = {value}"]
    return "\n".join(lines) + "\n"
