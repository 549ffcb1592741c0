"""Credentials: the password and the token secret, asked for or generated, encrypted if possible."""

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

SEALER: Final = "systemd-creds"

SEAL_S: Final = 60.0
"""Seconds; a security chip is slow."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One secret, as it is stored. A value."""

    content: bytes = field(repr=False)
    is_sealed: bool
    """Whether it is encrypted, so that only this machine can read it."""


def password_given(path: Path | None, *, backend_needs_one: bool, url: str = "") -> str | None:
    """Return the password from a file, or ask for it without echo; None if there is none.

    The prompt shows ``url``. If our own backend is installed too (``backend_needs_one``) and no
    password is given, one is generated.
    """
    if path is not None:
        return _from_file(path)
    if not sys.stdin.isatty():
        return secrets.token_urlsafe(24) if backend_needs_one else None
    hint = "Enter alone: a new one" if backend_needs_one else "Enter alone: the backend has none"
    typed = getpass.getpass(f"Password of the backend{url and f' at {url}'} ({hint}): ")
    return typed or (secrets.token_urlsafe(24) if backend_needs_one else None)


def seal(texts: Mapping[str, str]) -> dict[str, Credential]:
    """Encrypt secrets for this machine; where that is not possible, leave them as they are."""
    return {name: _seal(name, text.encode()) for name, text in texts.items()}


def unsealed(texts: Mapping[str, str]) -> dict[str, Credential]:
    """Return what ``seal`` would store, without encryption; for a dry run, which makes no key."""
    can_seal = shutil.which(SEALER) is not None
    return {name: Credential(text.encode(), can_seal) for name, text in texts.items()}


def new_jwt_secret() -> str:
    """Generate the secret that signs tokens."""
    return secrets.token_urlsafe(48)


def _from_file(path: Path) -> str:
    try:
        return read_private_secret(path)
    except OSError as error:
        raise ConfigError(f"--password-file: {path} cannot be read: {error.strerror}") from error
    except SecretFileError as error:
        raise ConfigError(f"--password-file: {path} is refused: {error}") from error


def _seal(name: str, secret: bytes) -> Credential:
    if shutil.which(SEALER) is None:
        return Credential(secret, is_sealed=False)
    done = subprocess.run(  # noqa: S603 - the secret is passed by a pipe
        (SEALER, "encrypt", f"--name={name}", "-", "-"),
        input=secret,
        capture_output=True,
        timeout=SEAL_S,
        check=False,
    )
    if done.returncode or not done.stdout:
        return Credential(secret, is_sealed=False)
    return Credential(done.stdout, is_sealed=True)
