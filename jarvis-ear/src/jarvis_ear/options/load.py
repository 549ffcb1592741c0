"""Loading: all sources, ranked, or a list of everything that is wrong with them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from jarvis_ear.config import CONFIG_FILE, Config
from jarvis_ear.errors import ConfigError
from jarvis_ear.options import sources
from jarvis_ear.options.option import BY_KEY, OPTIONS
from jarvis_ear.options.secrets import SecretFileError, read_private_secret
from jarvis_ear.options.sources import Layer

DEFAULT: Final = "default"
"""Where a value comes from that nobody configured."""

_SECRETS: Final[Mapping[str, str]] = {
    "backend.password": "backend.password_file",
    "backend.token": "backend.token_file",
    "bus.key": "bus.key_file",
}
"""What may stand in a file of its own, and the option that names the file."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The options in force. A value: any thread may read it."""

    config: Config
    """The tree, whole and valid."""
    origins: Mapping[str, str]
    """For every option, where its value comes from."""
    read_again: Callable[[], "Loaded"] = field(repr=False, compare=False)
    """Reads the same sources once more, as they are then; raises ``ConfigError``."""


def load(
    argv: Sequence[str], environ: Mapping[str, str], *, default_file: Path = CONFIG_FILE
) -> Loaded:
    """Read command line, environment and file, the stronger first.

    Raises ``ConfigError`` with one line for every mistake in any of them, those included that a
    stronger source would have hidden.
    """
    arguments, named_file = sources.read_command_line(argv)
    layers = (
        arguments,
        sources.read_environment(environ),
        sources.read_owners(environ),
        sources.read_credential(environ),
        sources.read_file(named_file or default_file, required=named_file is not None),
    )
    for layer in layers:
        for secret, file_option in _SECRETS.items():
            _fetch_secret(layer, secret, file_option)
    if problems := [problem for layer in layers for problem in layer.problems]:
        raise ConfigError("\n".join(problems))
    again = partial(load, argv, environ, default_file=default_file)
    return Loaded(_rank(layers), _origins(layers), again)


class _Ranked(BaseSettings, Config):
    """The tree, filled from layers of which an earlier one wins."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # the other sources are not used
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        **_others: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        layers = init_settings()["layers"]
        return tuple(InitSettingsSource(settings_cls, layer.nested()) for layer in layers)


def _rank(layers: Iterable[Layer]) -> Config:
    fill: Callable[..., Config] = _Ranked
    try:
        ranked = fill(layers=list(layers))
    except ValidationError as error:  # each value is fine: two of them do not go together
        lines = [
            ": ".join(filter(None, (_place(one["loc"]), one["msg"]))) for one in error.errors()
        ]
        raise ConfigError("\n".join(line.replace("Value error, ", "") for line in lines)) from error
    return Config(**{name: getattr(ranked, name) for name in Config.model_fields})


def _place(location: tuple[int | str, ...]) -> str:
    """Return the section that a mistake is in, or nothing where it is between two of them."""
    return ".".join(map(str, location))


def _origins(layers: Sequence[Layer]) -> dict[str, str]:
    origins = {option.key: DEFAULT for option in OPTIONS}
    for layer in reversed(layers):
        origins.update(layer.origins)
    return origins


def _fetch_secret(layer: Layer, secret: str, file_option: str) -> None:
    """Follow a ``password_file``: it is as strong as the source that names it."""
    path = layer.values.get(file_option)
    if not isinstance(path, Path):
        return
    if secret in layer.values:
        layer.refuse(file_option, f"given together with {secret}, expected one of the two")
        return
    try:
        layer.values[secret] = BY_KEY[secret].parse(read_private_secret(path))
    except OSError as error:
        layer.refuse(file_option, f"{path} cannot be read: {error.strerror}")
    except SecretFileError as error:
        layer.refuse(file_option, f"{path} is refused: {error}")
    else:
        layer.origins[secret] = f"file {path}, named by {layer.origins[file_option]}"
