"""Loading: reads all sources of options, and ranks them or reports every mistake in them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Generic

from pydantic import ValidationError

from jarvis_ear.options import sources
from jarvis_ear.options.option import CONFIG, Schema, Tree

DEFAULT: Final = "default"
"""The origin of a value that is not configured."""


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Tree]):
    """The options in force. Immutable: any thread may read it."""

    config: Tree
    """The tree, complete and valid."""
    origins: Mapping[str, str]
    """The origin of each option's value."""
    read_again: Callable[[], "Loaded[Tree]"] = field(repr=False, compare=False)
    """Reads the same sources again; raises the error of the schema."""


def load(
    schema: Schema[Tree],
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    default_file: Path | None = None,
) -> Loaded[Tree]:
    """Read the command line, the environment, credentials and the file, strongest first.

    Raises ``schema.error`` with one line for every mistake in any source, including values that a
    stronger source overrides.
    """
    arguments = sources.read_command_line(schema, argv)
    named_file = arguments.values.pop(CONFIG, None)
    layers = [
        arguments,
        sources.read_environment(schema, environ),
        sources.read_shared_variables(schema, environ),
        sources.read_credentials(schema, environ),
    ]
    if schema.written_file is not None:
        layers.append(sources.read_file(schema, schema.written_file(environ), required=False))
    if isinstance(named_file, Path):
        layers.append(sources.read_file(schema, named_file, required=True))
    elif file := default_file or schema.user_file(environ) or schema.file:
        layers.append(sources.read_file(schema, file, required=False))
    for layer in layers:
        layer.read_secret_files()
    if problems := [problem for layer in layers for problem in layer.problems]:
        raise schema.error("\n".join(problems))
    values: dict[str, object] = {}
    origins = {option.key: DEFAULT for option in schema.options}
    for layer in reversed(layers):
        values |= layer.values
        origins |= layer.origins
    origins.pop(CONFIG, None)
    config = _valid(schema, values)
    return Loaded(config, origins, partial(load, schema, argv, environ, default_file=default_file))


def _valid(schema: Schema[Tree], values: Mapping[str, object]) -> Tree:
    """Build the tree; each value is valid, but two of them may contradict each other."""
    try:
        config = schema.tree.model_validate(_nested(values))
    except ValidationError as error:
        lines = [_line(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors()]
        raise schema.error("\n".join(lines)) from error
    if mistakes := list(schema.mistakes(config)):
        raise schema.error("\n".join(mistakes))
    return config


def _line(section: str, message: str) -> str:
    """Write a mistake with the section that it is in; empty: between sections."""
    return f"{section and f'{section}: '}{message.removeprefix('Value error, ')}"


def _nested(values: Mapping[str, object]) -> dict[str, Any]:
    """Return values by key in the shape of the tree."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *path, name = key.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[name] = value
    return tree
