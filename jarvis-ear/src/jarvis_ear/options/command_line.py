"""The command line: what was asked for just this once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jarvis_ear.options.layer import Layer
from jarvis_ear.options.option import BY_FLAG, NO_HOME, Option
from jarvis_ear.options.words import plain, quoted, suggestion

SOURCE: Final = "command line"

CONFIG_FLAG: Final = "--config"
"""Names the file of options; the one flag that is no option itself."""

_NO: Final = "--no-"
"""Before the name of a switch, it turns it off."""

_TWICE: Final = "given twice, expected once: nobody could tell which one counts"

_ELSEWHERE: Final = (
    "a password is never an argument, everybody could read it with ps: expected in the environment "
    "(JARVIS_PASSWORD), as the credential jarvis-password, or in a file (--backend.password-file)"
)


@dataclass(frozen=True, slots=True)
class Argument:
    """One ``--flag`` with what belongs to it."""

    flag: str
    """Its name, with dashes only, or a stray word as it is."""
    attached: str | None
    """What stood after the equals sign, if there was one."""
    following: str | None
    """The next word, if it is no flag itself."""


def read(arguments: Sequence[str]) -> tuple[Layer, Path | None]:
    """Read everything, and return it with the file that ``--config`` names."""
    layer, file = Layer(SOURCE), None
    words = _Words(arguments)
    given: set[str] = set()
    for argument in words:
        option, value = _find(argument)
        if _is_repeated(given, argument, option):
            words.skip(argument)
            layer.refuse(argument.flag, _TWICE)
        elif argument.flag == CONFIG_FLAG:
            file = _path(layer, words, argument)
        elif _is_password(argument.flag):
            words.skip(argument)
            layer.refuse(argument.flag, _ELSEWHERE)
        elif option is None:
            words.skip(argument)
            _refuse(layer, argument)
        elif option.kind is bool:
            layer.take(option, value, argument.flag)
        elif (text := words.value(argument)) is None:
            layer.refuse(argument.flag, f"without a value, expected {option.expected}")
        else:
            layer.take(option, text, argument.flag)
    return layer, file


class _Words:
    """Walks over the words of the command line, from flag to flag."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        self._next = 0

    def __iter__(self) -> Iterator[Argument]:
        while self._next < len(self._words):
            word, self._next = self._words[self._next], self._next + 1
            yield self._argument(word)

    def value(self, argument: Argument) -> str | None:
        """Return what was given to ``argument``, and go on behind it."""
        if argument.attached is not None:
            return argument.attached
        self.skip(argument)
        return argument.following

    def skip(self, argument: Argument) -> None:
        """Go on behind what probably belongs to ``argument``: it may be a secret."""
        if argument.flag.startswith("-") and argument.attached is None and argument.following:
            self._next += 1

    def _argument(self, word: str) -> Argument:
        if not word.startswith("-"):
            return Argument(word, None, None)
        flag, equals, attached = word.partition("=")
        following = self._words[self._next] if self._next < len(self._words) else "--"
        return Argument(
            flag.replace("_", "-"),
            attached if equals else None,
            None if following.startswith("--") else following,
        )


def _find(argument: Argument) -> tuple[Option | None, str]:
    """Find the option, and the value that it has as a switch."""
    option = BY_FLAG.get(argument.flag)
    if option is not None:
        return option, "true" if argument.attached is None else argument.attached
    negated = BY_FLAG.get("--" + argument.flag.removeprefix(_NO))
    is_switch = negated is not None and negated.kind is bool and argument.attached is None
    return (negated if argument.flag.startswith(_NO) and is_switch else None), "false"


def _is_repeated(given: set[str], argument: Argument, option: Option | None) -> bool:
    """Say whether the option was given before, under any of its names, and note that it is now."""
    if option is None and argument.flag != CONFIG_FLAG:
        return False  # it is refused anyway
    name = CONFIG_FLAG if option is None else option.key
    is_repeated = name in given
    given.add(name)
    return is_repeated


def _path(layer: Layer, words: _Words, argument: Argument) -> Path | None:
    text = words.value(argument)
    if not text:
        layer.refuse(argument.flag, "without a value, expected the path of a file")
        return None
    try:
        return Path(text).expanduser()
    except RuntimeError:
        layer.refuse(argument.flag, f"given {quoted(text)}, {NO_HOME}")
        return None


def _is_password(flag: str) -> bool:
    return flag.endswith("password")


def _refuse(layer: Layer, argument: Argument) -> None:
    if argument.flag.startswith("-"):
        known = suggestion(argument.flag.lower(), [*BY_FLAG, CONFIG_FLAG])
        layer.refuse(plain(argument.flag), f"there is no such option{known}")
    else:
        layer.refuse(quoted(argument.flag), "expected an option, which begins with --")
