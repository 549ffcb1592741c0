"""The environment: what the service, the container or the shell says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jarvis_ear.options.layer import Layer
from jarvis_ear.options.option import BY_KEY, BY_VARIABLE, ENV_PREFIX, OWNER_VARIABLES
from jarvis_ear.options.secret_file import SecretFileError, read_secret
from jarvis_ear.options.words import plain, suggestion

SOURCE: Final = "environment"

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


def read(environ: Mapping[str, str]) -> Layer:
    """Read our own names. One that begins like ours and is none is a mistake."""
    layer = Layer(SOURCE)
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
    layer = Layer(SOURCE)
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
