"""Credentials: the secrets that the service manager keeps for us, each in a file of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jarvis_backend.errors import ConfigError

CREDENTIALS: Final[Mapping[str, str]] = {
    "jarvis-password": "password",
    "jarvis-password-hash": "password_hash",
    "jarvis-jwt-secret": "jwt_secret",
    "jarvis-bus-key": "bus_key",
    "jarvis-queue-password": "queue_password",
    "jarvis-stt-api-key": "stt.api_key",
    "jarvis-brain-api-key": "brain.api_key",
    "jarvis-tts-api-key": "tts.api_key",
}
"""Which option each of them is; those of a section after its name and a dot."""


def read(environ: Mapping[str, str]) -> dict[str, object]:
    """Return the options that are credentials. The manager sees to it that nobody else reads them.

    Those of a section stand in a dictionary of their own.

    Raises ``ConfigError`` for one that is there and cannot be used.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return {}
    given: dict[str, object] = {}
    for name, option in CREDENTIALS.items():
        if (text := _text(Path(folder, name))) is not None:
            section, _, key = option.rpartition(".")
            given |= {section: {key: text}} if section else {key: text}
    return given


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8-sig").rstrip("\r\n")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"credential {path.name}: cannot be read, expected one line") from error
