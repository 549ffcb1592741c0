"""Options file: changes the file of the options after its owner agreed."""

import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from jarvis_ear.calibration.analysis import Recommendation
from jarvis_ear.errors import ConfigError, InputError
from jarvis_ear.options.edit import NotEditable, Value, edited
from jarvis_ear.paths import read_regular, replacing
from jarvis_ear.replay.recordings import named

MAX_BYTES: Final = 1024 * 1024
"""Far more than all options with long comments, as in ``options.sources``."""


def say(text: str) -> None:
    """Tell the person at the terminal something; the result goes to standard output."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def offer(changes: Sequence[Recommendation], file: Path, *, is_agreed: bool, is_quiet: bool) -> int:
    """Write the changes into the file of the options, if the owner agrees."""
    if not is_agreed:
        if is_quiet or not sys.stdin.isatty():
            if not is_quiet:
                say(f"Nothing was written; --yes writes it into {named(file)}.")
            return 0
        sys.stderr.write(f"Write this into {named(file)}? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            say("Nothing was written.")
            return 0
    write_options(file, {change.key: change.new for change in changes})
    say(f"Written into {named(file)}. A running ear uses it after systemctl reload jarvis-ear.")
    return 0


def write_options(file: Path, values: Mapping[str, Value]) -> None:
    """Recommendation values in a file, atomically; its owner and mode stay."""
    target = file.resolve()
    try:
        data, status = read_regular(target, MAX_BYTES)
    except FileNotFoundError:
        data, status = b"", None
    except OSError as error:
        raise InputError(f"{named(file)} cannot be read: {error.strerror}") from error
    try:
        text = edited(data.decode("utf-8-sig"), values)
    except NotEditable as error:
        raise ConfigError(f"{named(file)}: {error}; write the values yourself") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{named(file)} is not valid TOML: {error}") from error
    try:
        with replacing(target, 0o600 if status is None else status.st_mode & 0o777) as out:
            if status is not None and os.geteuid() == 0:
                os.fchown(out.fileno(), status.st_uid, status.st_gid)
            out.write(text.encode())
    except OSError as error:
        raise InputError(f"{named(file)} cannot be written: {error.strerror}") from error
