"""Option sources: command line, environment, credentials, configuration file and secret files."""

import os
import re
import stat
import tomllib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from jarvis_ear.options.option import Option, Schema, UnfitError, shown
from jarvis_ear.options.verbs import plain, quoted, suggestion
from jarvis_ear.paths import read_regular

MAX_FILE_BYTES: Final = 1024 * 1024
"""Far more than all options with long comments: another file was named by mistake."""

MAX_SECRET_BYTES: Final = 4096
"""Longer than any password: another file was named by mistake."""


class SecretFileError(Exception):
    """A secret file exists, but its content must not or cannot be used. The text says why."""


@dataclass(slots=True)
class Layer:
    """The valid values of one source, and its mistakes. Filled by one reader, then only read."""

    schema: Schema[Any]
    source: str
    """The place to look at; each problem begins with it."""
    values: dict[str, object] = field(default_factory=dict)
    """Values by the key of their option."""
    origins: dict[str, str] = field(default_factory=dict)
    """For each value, the exact place where it is given."""
    problems: list[str] = field(default_factory=list)
    """One line for each mistake."""
    given: set[str] = field(default_factory=set)
    """Keys of the options that are given, with valid or invalid values."""

    def take(self, option: Option, given: object, name: str) -> None:
        """Add the value given as ``name``, or a mistake. The items of a list accumulate."""
        self.given.add(option.key)
        try:
            value = option.parse(given)
        except UnfitError as unfit:
            self.refuse(name, f"given {option.shown(given)}, expected {unfit}")
            return
        former = self.values.get(option.key)
        self.values[option.key] = (
            former + value if isinstance(former, tuple) and isinstance(value, tuple) else value
        )
        self.origins[option.key] = f"{self.source}: {name}"

    def refuse(self, name: str, why: str) -> None:
        """Add a mistake."""
        self.problems.append(f"{self.source}: {name}: {why}")

    def read_secret_files(self) -> None:
        """Replace each ``password_file`` by its content, which ranks like the file's name."""
        for secret, file_option in self.schema.secret_files.items():
            path = self.values.get(file_option)
            if not isinstance(path, Path):
                continue
            if secret in self.values:
                self.refuse(file_option, f"given together with {secret}, expected one of the two")
                continue
            try:
                self.values[secret] = self.schema.by_key[secret].parse(read_private_secret(path))
            except OSError as error:
                self.refuse(file_option, f"{path} cannot be read: {error.strerror}")
            except SecretFileError as error:
                self.refuse(file_option, f"{path} is refused: {error}")
            except UnfitError as unfit:
                self.refuse(file_option, f"{path} is refused: expected {unfit}")
            else:
                self.origins[secret] = f"file {path}, named by {self.origins[file_option]}"


def read_command_line(schema: Schema[Any], words: Sequence[str]) -> Layer:
    """Read the options, among them ``--config``, which names the file."""
    layer = Layer(schema, "command line")
    rest = deque(words)
    while rest:
        word = rest.popleft()
        if not word.startswith("-"):
            layer.refuse(quoted(word), "expected an option, which begins with --")
            continue
        flag, equals, text = word.partition("=")
        flag = flag.replace("_", "-")
        option, switch = _find(schema, flag, has_value=bool(equals))
        value = text if equals else switch
        if value is None and rest and not rest[0].startswith("--"):
            value = rest.popleft()  # also behind an unknown option: it may be a secret
        if option is None:
            _refuse_unknown(layer, flag)
        elif option.key in layer.given and option.kind is not tuple:
            layer.refuse(flag, "given twice, expected once")
        elif value is None:
            layer.refuse(flag, f"without a value, expected {option.expected}")
        else:
            layer.take(option, value, flag)
    return layer


def _find(schema: Schema[Any], flag: str, *, has_value: bool) -> tuple[Option | None, str | None]:
    """Find an option, and the value of a flag that is a switch."""
    if option := schema.by_flag.get(flag):
        return option, "true" if option.kind is bool else None
    option = schema.by_flag.get("--" + flag.removeprefix("--no-"))
    if flag.startswith("--no-") and option and option.kind is bool and not has_value:
        return option, "false"
    return None, None


def _refuse_unknown(layer: Layer, flag: str) -> None:
    schema = layer.schema
    named = [one for one in schema.secrets if re.search(rf"[-.]{_dashed(one.name)}$", flag)]
    if not named:
        hint = suggestion(flag.lower(), schema.by_flag)
        layer.refuse(plain(flag), f"there is no such option{hint}")
        return
    secret = next((one for one in named if flag == f"--{_dashed(one.key)}"), named[0])
    variable = schema.shared_variables.get(secret.key, secret.variable)
    places = [f"in the environment ({variable})"]
    places += [
        f"as the credential {n}" for n, key in schema.credentials.items() if key == secret.key
    ]
    if file_option := schema.secret_files.get(secret.key):
        places.append(f"in a file (--{_dashed(file_option)})")
    layer.refuse(
        flag,
        "a secret is never an argument, because every user can read it with ps: expected "
        + ", or ".join(places),
    )


def _dashed(key: str) -> str:
    return key.replace("_", "-")


def read_environment(schema: Schema[Any], environ: Mapping[str, str]) -> Layer:
    """Read the variables with the prefix of the program; an unknown one is a mistake."""
    layer = Layer(schema, "environment")
    for name, text in environ.items():
        if option := schema.by_variable.get(name):
            layer.take(option, text, name)
        elif name.upper().startswith(schema.env_prefix):
            hint = suggestion(name, schema.by_variable, schema.env_prefix)
            layer.refuse(plain(name), f"there is no such option{hint}")
    return layer


def read_shared_variables(schema: Schema[Any], environ: Mapping[str, str]) -> Layer:
    """Read the variables that other programs use too."""
    layer = Layer(schema, "environment")
    for key, name in schema.shared_variables.items():
        text = environ.get(name)
        if text or (text is not None and not schema.empty_is_unset):
            layer.take(schema.by_key[key], text, name)
    return layer


def read_credentials(schema: Schema[Any], environ: Mapping[str, str]) -> Layer:
    """Read the credentials of the service manager, which keeps other users from reading them."""
    layer = Layer(schema, "credential")
    folder = environ.get("CREDENTIALS_DIRECTORY")
    for name, key in schema.credentials.items() if folder else ():
        try:
            layer.take(schema.by_key[key], read_secret(Path(folder or "", name)), name)
        except FileNotFoundError:
            continue
        except (OSError, SecretFileError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            layer.refuse(name, f"cannot be used: {reason}")
    return layer


def read_file(schema: Schema[Any], path: Path, *, required: bool) -> Layer:
    """Read a TOML file; a file that is not ``required`` may be missing."""
    layer = Layer(schema, str(path))
    try:
        data, status = read_regular(path, MAX_FILE_BYTES, follow=True)
        table = tomllib.loads(data.decode("utf-8-sig"))  # some editors write a byte order mark
    except FileNotFoundError:
        if required:
            layer.problems.append(f"{path}: there is no such file")
    except OSError as error:
        layer.problems.append(f"{path}: cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        layer.problems.append(f"{path}: is not valid TOML: byte {error.start + 1} is not UTF-8")
    except ValueError as error:  # no TOML, or a number too long for Python
        reason = plain(str(error).partition(";")[0])
        layer.problems.append(f"{path}: is not valid TOML: {reason}")
    except RecursionError:
        layer.problems.append(f"{path}: is not valid TOML: nested too deeply")
    else:
        _take_table(layer, table, "")
        _require_private_secrets(layer, status)
    return layer


def _take_table(layer: Layer, table: Mapping[str, object], path: str) -> None:
    schema = layer.schema
    for name, value in table.items():
        key = f"{path}{name}"
        if key in schema.by_key:
            layer.take(schema.by_key[key], value, key)
        elif key not in schema.tables:
            known = schema.tables if isinstance(value, dict) else schema.by_key
            layer.refuse(plain(key), f"there is no such option{suggestion(key, known)}")
        elif isinstance(value, dict):
            _take_table(layer, value, f"{key}.")
        else:
            layer.refuse(key, f"given {shown(value)}, expected a table: [{key}]")


def _require_private_secrets(layer: Layer, status: os.stat_result) -> None:
    """Refuse a file that holds a secret and that other users may access."""
    for key in [key for key in layer.values if layer.schema.by_key[key].kind is SecretStr]:
        try:
            require_private(status)
        except SecretFileError as error:
            layer.refuse(key, f"the file holds a secret, and {error}; or use {key}_file")


def read_secret(path: Path) -> str:
    """Return the text of ``path`` without its line end. Raises ``OSError``, ``SecretFileError``."""
    return _text(read_regular(path, MAX_SECRET_BYTES, follow=True)[0])


def read_private_secret(path: Path) -> str:
    """Like ``read_secret``, but refuse a file that users other than us and root may access."""
    data, status = read_regular(path, MAX_SECRET_BYTES, follow=True)
    require_private(status)
    return _text(data)


def require_private(status: os.stat_result) -> None:
    """Raise ``SecretFileError`` unless only we and root can access the file."""
    mode = stat.S_IMODE(status.st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SecretFileError(f"others may read it (mode {mode:04o}), expected 0600: use chmod 600")
    if status.st_uid not in {os.geteuid(), 0}:
        raise SecretFileError(f"it belongs to user {status.st_uid}, expected us or root: use chown")


def _text(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretFileError("it is not text (UTF-8)") from None
    if not text:
        raise SecretFileError("it is empty, expected a password")
    return text
