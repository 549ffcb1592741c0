"""Option and schema: the values that a program is configured with, their names and ranges."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from jarvis_ear.options.verbs import quoted
from jarvis_ear.paths import expand_home

Tree = TypeVar("Tree", bound=BaseModel)

_LARGE: Final = 64
"""Bits of the largest number that a message repeats; Python refuses to write very large ones."""

_TYPE_NOUNS: Final = {dict: "a table", list: "a list", type(None): "nothing"}

_FILE_TYPES: Final[Mapping[type, tuple[type, ...]]] = {
    bool: (bool,),
    int: (int,),
    float: (int, float),
}
"""The types of a file that fit a number or a switch, besides text. pydantic takes more."""

_NOUNS: Final[Mapping[type, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Path: "a path",
    tuple: "a list, separated by commas",
}


def shown(value: object) -> str:
    """Return ``value`` on one line, shortened, with unprintable characters escaped."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > _LARGE:
        return "a very large number"
    if isinstance(value, int | float):
        return str(value)
    return _TYPE_NOUNS.get(type(value)) or quoted(str(value))


CONFIG: Final = "config"
"""Key of the option that names the configuration file; it is not in the tree."""


class UnfitError(ValueError):
    """A value does not fit its option. The text says what is expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """One option of a schema. Immutable."""

    key: str
    """Its place in the tree and in the file: ``hearing.wake.threshold``."""
    section: type[BaseModel]
    """The section that declares it."""
    field: FieldInfo
    variable: str
    """Its name in the environment."""
    flags: tuple[str, ...]
    """Its names on the command line, the short one first; a secret has none."""
    names_file: bool
    """Whether its value is a path, or text that may be one."""

    @property
    def name(self) -> str:
        """Its name within the section."""
        return self.key.rpartition(".")[2]

    @property
    def table(self) -> str:
        """The table of the file that it belongs to; empty at the top level."""
        return self.key.rpartition(".")[0]

    @property
    def kind(self) -> type:
        """The type of its values: bool, int, float, str, Path, SecretStr or tuple."""
        return _kind(self.field)

    @property
    def choices(self) -> tuple[str, ...]:
        """All values that it takes, if it is an enumeration."""
        annotation = self.field.annotation
        return get_args(annotation) if get_origin(annotation) is Literal else ()

    @property
    def default(self) -> Any:  # noqa: ANN401 - of any kind
        """Its value if it is not configured."""
        return self.field.default

    @property
    def meaning(self) -> str:
        """Its description in the tree, on one line."""
        return " ".join((self.field.description or "").split())

    @property
    def expected(self) -> str:
        """What it takes, for the end of a sentence."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        names = ("ge", "le", "gt", "lt", "min_length", "max_length")
        rules = self.field.metadata
        limits = {n: getattr(rule, n) for rule in rules for n in names if hasattr(rule, n)}
        noun = _NOUNS.get(self.kind, "text")
        match limits:
            case {"min_length": least, "max_length": int(most)}:
                noun = f"{least} to {most} characters"
            case {"min_length": 1}:
                noun = "at least one character"
            case {"min_length": least}:
                noun = f"at least {least} characters"
            case {"max_length": int(most)} if self.kind is tuple:
                noun += f", of at most {most} items"
            case {"ge": least, "le": most}:
                noun += f" from {least} to {most}"
            case {"gt": least, "lt": most}:
                noun += f" above {least} and below {most}"
        return noun

    def parse(self, given: object) -> object:
        """Convert text, or a value of a TOML file; raise ``UnfitError``."""
        if isinstance(given, str):
            if "\0" in given:  # system calls take no such name
                raise UnfitError(self.expected)
            if not given and self.kind is Path and self.key != CONFIG:
                return None
            if self.kind is tuple:
                given = _items(given)
            elif self.names_file:
                given = _expand_home(given)
        elif type(given) not in _FILE_TYPES.get(self.kind, (type(given),)):
            raise UnfitError(self.expected)
        values: Any = Annotated[self.field.annotation, self.key, *self.field.metadata]
        try:
            return TypeAdapter(values).validate_python(given)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            own = first["type"] == "value_error"  # a validator of the tree says it better
            where, reason = first["loc"], str(first["ctx"]["error"]) if own else self.expected
            if self.has_tables and where:
                reason = self._of_item(*where)
            raise UnfitError(reason) from None

    @property
    def has_tables(self) -> bool:
        """Whether it is a list of tables."""
        return self._table_of_items is not None

    @property
    def _table_of_items(self) -> type[BaseModel] | None:
        item = get_args(self.field.annotation)[0] if self.kind is tuple else None
        table = get_args(item)[0] if get_origin(item) is Annotated else item
        return table if isinstance(table, type) and issubclass(table, BaseModel) else None

    def _of_item(self, index: object, name: object = "", *_: object) -> str:
        """Return what is expected of an item, or of the option ``name`` of its table."""
        table = self._table_of_items
        fields = {} if table is None else table.model_fields
        if name not in fields:
            return f"in item {index}: a name, or a table of {', '.join(fields)}"
        key = f"{self.key}.{index}.{name}"
        option = replace(self, key=key, field=fields[str(name)], flags=(), names_file=False)
        return f"in item {index}, {name}: {option.expected}"

    def shown(self, given: object) -> str:
        """Return ``given`` on one line, without any secret in it."""
        may_have_password = isinstance(given, str) and "@" in given
        hides = self.kind is SecretStr or may_have_password
        return "a value that is not shown" if hides else shown(given)


def _kind(field: FieldInfo) -> type:
    annotation: Any = field.annotation
    if get_origin(annotation) in (Literal, tuple):
        return str if get_origin(annotation) is Literal else tuple
    kinds = (kind for kind in get_args(annotation) if kind is not type(None))
    kind: type = next(kinds, annotation)
    return kind


def _expand_home(path: str) -> str:
    try:
        return expand_home(path)
    except ValueError as unknown:
        raise UnfitError(str(unknown)) from None


def _items(text: str) -> object:
    """Split a list: a JSON array, or items with commas between them."""
    if not text.startswith("["):
        return [item for item in text.split(",") if item]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


@dataclass(frozen=True, kw_only=True)
class Schema(Generic[Tree]):
    """The options of a program, and the names under which its sources know them. Immutable."""

    tree: type[Tree]
    """All options: a frozen model of models."""
    env_prefix: str
    """Every variable of the environment with this prefix must be an option."""
    error: type[Exception]
    """Raised for mistakes, with one line for each."""
    introduction: str
    """The beginning of the reference page."""
    short_flags: Mapping[str, str]
    """Flags of the everyday options, in the order of the help."""
    file: Path | None = None
    """The default configuration file; None: the program reads no file."""
    written_file: Callable[[Mapping[str, str]], Path] | None = None
    """Returns the file of options that the program itself writes, which overrides the other file,
    for an environment; None: it writes none."""
    user_file: Callable[[Mapping[str, str]], Path | None] = lambda _environ: None
    """Returns the file of this user, by the environment, which is read instead; None: no such."""
    user_file_text: str = ""
    """Where that file is, for people."""
    shared_variables: Mapping[str, str]
    """Variables without the prefix, by option; they are weaker than those with it."""
    empty_is_unset: bool = True
    """Whether an empty shared variable counts as not set."""
    credentials: Mapping[str, str]
    """The option that a credential of the service manager holds, by the credential's name."""
    secret_files: Mapping[str, str]
    """The option that names a file with a secret, by the secret."""
    file_names: tuple[str, ...] = ()
    """Options that are text and may be a path."""
    placeholders: Mapping[str, str]
    """What stands for the value in the help, where the option's name is not clear."""
    mistakes: Callable[[Tree], Iterable[str]] = lambda _config: ()
    """Returns a line for each mistake between options; each option by itself is valid."""
    needs_restart: Callable[[str], bool] = lambda _key: True
    """Whether a running program can use a new value of an option only after a restart."""

    @cached_property
    def options(self) -> tuple[Option, ...]:
        """All options, in the order of the tree."""
        return tuple(self._leaves(self.tree, ""))

    @property
    def config_option(self) -> tuple[Option, ...]:
        """The option of the command line that names the file, if the program reads one."""
        own = f"{self.user_file_text} or " if self.user_file_text else ""
        about = f"Read this file instead of {own}{self.file}."
        field = FieldInfo(annotation=Path, description=about)
        option = Option(CONFIG, self.tree, field, "", (f"--{CONFIG}",), names_file=True)
        return (option,) if self.file else ()

    @cached_property
    def by_key(self) -> Mapping[str, Option]:
        """All options by key."""
        return {option.key: option for option in self.options}

    @cached_property
    def by_flag(self) -> Mapping[str, Option]:
        """All options by flag, and the flag that names the file."""
        options = [*self.options, *self.config_option]
        return {flag: option for option in options for flag in option.flags}

    @cached_property
    def by_variable(self) -> Mapping[str, Option]:
        """All options by environment variable."""
        return {option.variable: option for option in self.options}

    @cached_property
    def tables(self) -> frozenset[str]:
        """All tables of the file: ``hearing`` and ``hearing.wake``."""
        return frozenset(
            option.key[:at]
            for option in self.options
            for at, c in enumerate(option.key)
            if c == "."
        )

    @cached_property
    def secrets(self) -> tuple[Option, ...]:
        """All secret options."""
        return tuple(option for option in self.options if option.kind is SecretStr)

    def _leaves(self, section: type[BaseModel], path: str) -> Iterator[Option]:
        for name, field in section.model_fields.items():
            kind, key = field.annotation, f"{path}{name}"
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from self._leaves(kind, f"{key}.")
                continue
            long = "--" + key.replace("_", "-")
            flags = dict.fromkeys((self.short_flags.get(key, long), long))
            yield Option(
                key,
                section,
                field,
                self.env_prefix + key.upper().replace(".", "__"),
                () if _kind(field) is SecretStr else tuple(flags),
                _kind(field) is Path or key in self.file_names,
            )


def value_of(config: BaseModel, key: str) -> object:
    """Return the value of an option in a tree."""
    value: object = config
    for name in key.split("."):
        value = getattr(value, name)
    return value
