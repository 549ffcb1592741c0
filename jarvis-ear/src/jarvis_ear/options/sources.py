"""Option sources: file, environment, credentials and command line."""

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from jarvis_ear.options.option import (
    BY_FLAG,
    BY_KEY,
    BY_VARIABLE,
    ENV_PREFIX,
    NO_HOME,
    OWNER_VARIABLES,
    TABLES,
    Option,
    UnfitError,
    plain,
    quoted,
    shown,
    suggestion,
)
from jarvis_ear.options.secrets import SecretFileError, read_regular, read_secret, require_private


@dataclass(slots=True)
class Layer:
    """The valid values of one source, and its mistakes. Filled by one reader, then only read."""

    source: str
    """What its problems begin with: where a person has to look."""
    values: dict[str, object] = field(default_factory=dict)
    """Values by the key of their option."""
    origins: dict[str, str] = field(default_factory=dict)
    """For each value, where exactly it stands."""
    problems: list[str] = field(default_factory=list)
    """One line for each mistake."""

    def take(self, option: Option, given: object, name: str) -> None:
        """Note what was given for ``option`` under ``name``, or that it is no value for it."""
        try:
            self.values[option.key] = option.parse(given)
        except UnfitError as unfit:
            self.refuse(name, f"given {option.shown(given)}, expected {unfit}")
        else:
            self.origins[option.key] = f"{self.source}: {name}"

    def refuse(self, name: str, why: str) -> None:
        """Note a mistake."""
        self.problems.append(f"{self.source}: {name}: {why}")

    def nested(self) -> dict[str, Any]:
        """Return the values in the shape of the tree."""
        tree: dict[str, Any] = {}
        for key, value in self.values.items():
            *path, name = key.split(".")
            branch = tree
            for part in path:
                branch = branch.setdefault(part, {})
            branch[name] = value
        return tree


MAX_BYTES: Final = 1024 * 1024
"""Far more than all options with a book of comments: another file was named by mistake."""


def read_file(path: Path, *, required: bool) -> Layer:
    """Read the file; one that is not ``required`` may also not be there."""
    layer = Layer(str(path))
    try:
        table, found = _parse(path)
    except FileNotFoundError:
        if required:
            layer.problems.append(f"{path}: there is no such file")
    except OSError as error:
        layer.problems.append(f"{path}: cannot be read: {error.strerror}")
    except ValueError as error:  # no TOML, no UTF-8, or a number too long to be one
        layer.problems.append(f"{path}: is no valid TOML: {_one_line(error)}")
    except RecursionError:
        layer.problems.append(f"{path}: is no valid TOML: nested too deeply")
    else:
        _take_table(layer, table, "")
        _guard_secrets(layer, found)
    return layer


def _parse(path: Path) -> tuple[dict[str, object], os.stat_result]:
    data, found = read_regular(path, MAX_BYTES)
    text = data.decode("utf-8-sig")  # some editors write a byte order mark
    return tomllib.loads(text), found


def _take_table(layer: Layer, table: dict[str, object], path: str) -> None:
    for name, value in table.items():
        key = f"{path}{name}"
        if key in BY_KEY:
            layer.take(BY_KEY[key], value, key)
        elif key not in TABLES:
            layer.refuse(plain(key), f"there is no such option{suggestion(key, _names(value))}")
        elif isinstance(value, dict):
            _take_table(layer, value, f"{key}.")
        else:
            layer.refuse(key, f"given {shown(value)}, expected a table: [{key}]")


def _names(value: object) -> Iterable[str]:
    return TABLES if isinstance(value, dict) else BY_KEY


def _guard_secrets(layer: Layer, found: os.stat_result) -> None:
    """Refuse a file that holds a password and that others may read."""
    for key in [key for key in layer.values if BY_KEY[key].kind is SecretStr]:
        try:
            require_private(found)
        except SecretFileError as error:
            layer.refuse(key, f"the file holds a secret, and {error}; or use {key}_file")


def _one_line(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is no UTF-8"
    return plain(str(error).partition(";")[0])


ENVIRONMENT: Final = "environment"

CREDENTIAL: Final = "jarvis-password"
"""The credential of the service manager that holds the password."""

TOKEN_CREDENTIAL: Final = "jarvis-backend-token"  # noqa: S105 - the name of the credential
"""The credential that holds the token for a backend without our login."""

BUS_CREDENTIAL: Final = "jarvis-bus-key"
"""The credential that holds the key of the event bus."""

_CREDENTIALS: Final[Mapping[str, str]] = {
    CREDENTIAL: "backend.password",
    TOKEN_CREDENTIAL: "backend.token",
    BUS_CREDENTIAL: "bus.key",
}


def read_environment(environ: Mapping[str, str]) -> Layer:
    """Read our own names. One that begins like ours and is none is a mistake."""
    layer = Layer(ENVIRONMENT)
    for name, text in environ.items():
        if name in BY_VARIABLE:
            layer.take(BY_VARIABLE[name], text, name)
        elif name.startswith(ENV_PREFIX):
            layer.refuse(
                plain(name), f"there is no such option{suggestion(name, BY_VARIABLE, ENV_PREFIX)}"
            )
    return layer


def read_owners(environ: Mapping[str, str]) -> Layer:
    """Read the names that the owner's other programs use too; there, empty means not set."""
    layer = Layer(ENVIRONMENT)
    for key, name in OWNER_VARIABLES.items():
        if text := environ.get(name):
            layer.take(BY_KEY[key], text, name)
    return layer


def read_credential(environ: Mapping[str, str]) -> Layer:
    """Read what the service manager keeps for us. It sees to it that nobody else can."""
    layer = Layer("credential")
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return layer
    for name, key in _CREDENTIALS.items():
        _take_credential(layer, Path(folder, name), key)
    return layer


def _take_credential(layer: Layer, path: Path, key: str) -> None:
    try:
        layer.take(BY_KEY[key], read_secret(path), path.name)
    except FileNotFoundError:
        return  # other credentials than this one
    except (OSError, SecretFileError) as error:
        layer.refuse(path.name, f"cannot be used: {_said(error)}")


def _said(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


COMMAND_LINE: Final = "command line"

CONFIG_FLAG: Final = "--config"
"""Names the file of options; the one flag that is no option itself."""

_NO: Final = "--no-"
"""Before the name of a switch, it turns it off."""

_TWICE: Final = "given twice, expected once: nobody could tell which one counts"

_ELSEWHERE: Final = (
    "a password is never an argument, everybody could read it with ps: expected in the environment "
    "(JARVIS_PASSWORD), as the credential jarvis-password, or in a file (--backend.password-file)"
)


@dataclass(frozen=True, slots=True)
class Argument:
    """One ``--flag`` with what belongs to it."""

    flag: str
    """Its name, with dashes only, or a stray word as it is."""
    attached: str | None
    """What stood after the equals sign, if there was one."""
    following: str | None
    """The next word, if it is no flag itself."""


def read_command_line(arguments: Sequence[str]) -> tuple[Layer, Path | None]:
    """Read everything, and return it with the file that ``--config`` names."""
    layer, file = Layer(COMMAND_LINE), None
    words = _Words(arguments)
    given: set[str] = set()
    for argument in words:
        option, value = _find(argument)
        if _is_repeated(given, argument, option):
            words.skip(argument)
            layer.refuse(argument.flag, _TWICE)
        elif argument.flag == CONFIG_FLAG:
            file = _path(layer, words, argument)
        elif _is_password(argument.flag):
            words.skip(argument)
            layer.refuse(argument.flag, _ELSEWHERE)
        elif option is None:
            words.skip(argument)
            _refuse(layer, argument)
        elif option.kind is bool:
            layer.take(option, value, argument.flag)
        elif (text := words.value(argument)) is None:
            layer.refuse(argument.flag, f"without a value, expected {option.expected}")
        else:
            layer.take(option, text, argument.flag)
    return layer, file


class _Words:
    """Walks over the words of the command line, from flag to flag."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        self._next = 0

    def __iter__(self) -> Iterator[Argument]:
        while self._next < len(self._words):
            word, self._next = self._words[self._next], self._next + 1
            yield self._argument(word)

    def value(self, argument: Argument) -> str | None:
        """Return what was given to ``argument``, and go on behind it."""
        if argument.attached is not None:
            return argument.attached
        self.skip(argument)
        return argument.following

    def skip(self, argument: Argument) -> None:
        """Go on behind what probably belongs to ``argument``: it may be a secret."""
        if argument.flag.startswith("-") and argument.attached is None and argument.following:
            self._next += 1

    def _argument(self, word: str) -> Argument:
        if not word.startswith("-"):
            return Argument(word, None, None)
        flag, equals, attached = word.partition("=")
        following = self._words[self._next] if self._next < len(self._words) else "--"
        return Argument(
            flag.replace("_", "-"),
            attached if equals else None,
            None if following.startswith("--") else following,
        )


def _find(argument: Argument) -> tuple[Option | None, str]:
    """Find the option, and the value that it has as a switch."""
    option = BY_FLAG.get(argument.flag)
    if option is not None:
        return option, "true" if argument.attached is None else argument.attached
    negated = BY_FLAG.get("--" + argument.flag.removeprefix(_NO))
    is_switch = negated is not None and negated.kind is bool and argument.attached is None
    return (negated if argument.flag.startswith(_NO) and is_switch else None), "false"


def _is_repeated(given: set[str], argument: Argument, option: Option | None) -> bool:
    """Say whether the option was given before, under any of its names, and note that it is now."""
    if option is None and argument.flag != CONFIG_FLAG:
        return False  # it is refused anyway
    name = CONFIG_FLAG if option is None else option.key
    is_repeated = name in given
    given.add(name)
    return is_repeated


def _path(layer: Layer, words: _Words, argument: Argument) -> Path | None:
    text = words.value(argument)
    if not text:
        layer.refuse(argument.flag, "without a value, expected the path of a file")
        return None
    try:
        return Path(text).expanduser()
    except RuntimeError:
        layer.refuse(argument.flag, f"given {quoted(text)}, {NO_HOME}")
        return None


def _is_password(flag: str) -> bool:
    return flag.endswith("password")


def _refuse(layer: Layer, argument: Argument) -> None:
    if argument.flag.startswith("-"):
        known = suggestion(argument.flag.lower(), [*BY_FLAG, CONFIG_FLAG])
        layer.refuse(plain(argument.flag), f"there is no such option{known}")
    else:
        layer.refuse(quoted(argument.flag), "expected an option, which begins with --")
