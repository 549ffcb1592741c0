"""Credentials: read from a file, asked for or generated, and encrypted if possible."""

import getpass
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from jarvis_ear.errors import ConfigError
from jarvis_ear.options.sources import SecretFileError, read_private_secret

ENCRYPT: Final = "systemd-creds"

ENCRYPT_S: Final = 60.0
"""Seconds; a security chip is slow."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One secret, as it is stored. A value."""

    content: bytes = field(repr=False)
    is_encrypted: bool
    """Whether only this machine can read it."""


def read_password(path: Path | None, *, backend_needs_one: bool, url: str = "") -> str | None:
    """Return the password from a file, or ask for it without echo; None if there is none.

    The prompt shows ``url``. If our own backend is installed too (``backend_needs_one``) and no
    password is given, one is generated.
    """
    if path is not None:
        return _read_file(path)
    typed = ""
    if sys.stdin.isatty():
        hint = "a new one" if backend_needs_one else "the backend has none"
        typed = getpass.getpass(
            f"Password of the backend{url and f' at {url}'} (Enter alone: {hint}): "
        )
    return typed or (secrets.token_urlsafe(24) if backend_needs_one else None)


def _read_file(path: Path) -> str:
    try:
        return read_private_secret(path)
    except OSError as error:
        raise ConfigError(f"--password-file: {path} cannot be read: {error.strerror}") from error
    except SecretFileError as error:
        raise ConfigError(f"--password-file: {path} is refused: {error}") from error


def encrypt(
    texts: Mapping[str, str], *, dry_run: bool = False, is_possible: bool = True
) -> dict[str, Credential]:
    """Encrypt secrets for this machine; where that is not possible, leave them as they are.

    A dry run makes no key: it returns the secrets themselves in place of the encrypted ones.
    """
    if not is_possible or shutil.which(ENCRYPT) is None:
        return {name: Credential(text.encode(), is_encrypted=False) for name, text in texts.items()}
    if dry_run:
        return {name: Credential(text.encode(), is_encrypted=True) for name, text in texts.items()}
    return {name: _encrypt(name, text.encode()) for name, text in texts.items()}


def _encrypt(name: str, secret: bytes) -> Credential:
    done = subprocess.run(  # noqa: S603 - the secret is passed by a pipe
        (ENCRYPT, "encrypt", f"--name={name}", "-", "-"),
        input=secret,
        capture_output=True,
        timeout=ENCRYPT_S,
        check=False,
    )
    if done.returncode or not done.stdout:
        return Credential(secret, is_encrypted=False)
    return Credential(done.stdout, is_encrypted=True)
