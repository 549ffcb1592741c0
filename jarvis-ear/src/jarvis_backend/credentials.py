"""Credentials: the secrets that the service manager keeps for us, each in a file of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jarvis_backend.errors import ConfigError

CREDENTIALS: Final[Mapping[str, str]] = {
    "jarvis-password": "password",
    "jarvis-jwt-secret": "jwt_secret",
    "jarvis-bus-key": "bus_key",
    "jarvis-queue-password": "queue_password",
}
"""Which option each of them is."""


def read(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the options that are credentials. The manager sees to it that nobody else reads them.

    Raises ``ConfigError`` for one that is there and cannot be used.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return {}
    given = {option: _text(Path(folder, name)) for name, option in CREDENTIALS.items()}
    return {option: text for option, text in given.items() if text is not None}


def _text(path: Path) -> str | None:
    try:
        return path.read_text().rstrip("\r\n")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"credential {path.name}: cannot be read, expected one line") from error
