"""Verbs: the command tree of a program, its parsers, its help, and its error messages.

Imports nothing heavy; only verbs that take the options of the configuration load pydantic.
"""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeAlias

if TYPE_CHECKING:
    from jarvis_ear.options.load import Loaded
    from jarvis_ear.options.option import Schema

EX_USAGE: Final = 64
"""Exit status: the command line cannot be understood (sysexits.h)."""

EX_SOFTWARE: Final = 70
"""Exit status: a bug (sysexits.h)."""

INTERRUPTED: Final = 130
"""Exit status that shells show for a program ended by Ctrl-C: 128 and the signal's number."""

READER_GONE: Final = 141
"""Exit status that shells show for a program ended by SIGPIPE (``jarvis-ear config | head -1``)."""

SHOWN: Final = 60
"""Characters of a value that a message repeats: enough to recognise it."""


def quoted(text: str) -> str:
    """Return ``text`` in quotes, shortened, with unprintable characters escaped."""
    whole = json.dumps(text[:SHOWN], ensure_ascii=not text.isprintable())
    return whole if len(text) <= SHOWN else f"{whole[:-1]}...{whole[-1]}"


def plain(name: str) -> str:
    """Return a name as it is if that is readable, else in quotes."""
    return name if name and len(name) <= SHOWN and name.isprintable() else quoted(name)


def suggestion(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return "; did you mean ...?" for a misspelt name, or nothing if no name is similar.

    The last part of a name counts most, because people forget or confuse sections. A ``prefix``
    that all names begin with is not compared.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - for mistakes only

    name, names = name.removeprefix(prefix), [other.removeprefix(prefix) for other in known]
    if name in names:
        return f"; did you mean {prefix}{name}?"
    ends = {_last_part(other): other for other in names}
    end = _last_part(name)
    close = [ends[end]] if end in ends else get_close_matches(name, names, n=1, cutoff=0.75)
    close = close or [ends[one] for one in get_close_matches(end, ends, n=1, cutoff=0.75)]
    return f"; did you mean {prefix}{close[0]}?" if close else ""


def _last_part(name: str) -> str:
    return name.replace("__", ".").rpartition(".")[2].lower().replace("-", "_").strip("_")


class UsageError(Exception):
    """The command line cannot be understood. The text says what was expected."""


class Flag(NamedTuple):
    """An option of one verb. The options of the configuration are not listed in the tree."""

    name: str
    meaning: str
    """Empty: the help does not show it."""
    value: str = ""
    """The name of its value in the help; empty: it is a switch. FILE and DIR are paths."""


class Verb(NamedTuple):
    """One verb of the command line: the source of its help, its parser and its completion."""

    meaning: str
    example: str = ""
    statuses: Mapping[int, str] = {}
    flags: tuple[Flag, ...] = ()
    words: tuple[str, ...] = ()
    """It takes exactly one of these words."""
    needs: tuple[str, ...] = ()
    """The names in the help of the values that it must take, before its word. FILE is a path."""
    value: str = ""
    """The name in the help of a value that it may take; empty: it takes none."""
    values: str = ""
    """The name in the help of values of which it may take any number, if it is configured."""
    verbs: Mapping[str, "Verb"] = {}
    """The verbs below it; it does nothing without one."""
    usual: str = ""
    """The verb below it that is meant if none is named; empty: one must be named."""
    is_configured: bool = False
    """Whether it takes the options of the configuration."""

    @property
    def listed_flags(self) -> tuple[Flag, ...]:
        """Its options, or those of the verb below it that is meant if none is named."""
        return self.verbs[self.usual].flags if self.usual else self.flags


PRINTED: Final = {0: "printed"}
MISTAKES: Final = {78: "the configuration has a mistake; all mistakes are listed"}


def common_verbs(name: str, option: str) -> dict[str, Verb]:
    """Return the verbs that every program has; ``option`` is an example of one."""
    return {
        "check": Verb(
            "report whether the configuration can be used, and what is dangerous in it",
            f"{name} check",
            {0: "the configuration can be used", **MISTAKES},
            is_configured=True,
        ),
        "config": Verb(
            "print the options in force and the origin of each value",
            f"{name} config {option}",
            PRINTED | MISTAKES,
            (Flag("--reference", "print the page about all options instead"),),
            is_configured=True,
        ),
        "completion": Verb(
            "print the completion for a shell",
            f"source <({name} completion bash)",
            PRINTED,
            words=("bash", "zsh", "fish"),
        ),
        "version": Verb("print the version", f"{name} version", PRINTED),
    }


VerbPath: TypeAlias = tuple[str, ...]
"""The path of a verb in the tree: ``("service", "install")``."""


@dataclass(frozen=True)
class CommandLine:
    """The command line of a program: its tree of verbs. Immutable."""

    name: str
    version: str
    root: Verb
    secret_note: str
    """The line of the help that says where the password comes from."""
    schema: Callable[[], "Schema[Any]"]
    """Returns the options of the configuration; loads pydantic."""
    default_verb: str = ""
    """The verb of a command line that begins with an option; empty: a verb is required."""

    def main(
        self,
        argv: Sequence[str],
        do: Callable[[VerbPath, list[str]], int],
        tell_journal: Callable[[Exception], bool] = lambda _error: False,
    ) -> int:
        """Carry out the command line and return the exit status.

        ``do`` carries out a verb with its words. An exception with an ``exit_status`` is reported
        as a message, any other as a bug. ``tell_journal`` returns whether it has reported it.
        """
        try:
            return self._obey(list(argv), do)
        except UsageError as error:
            self.complain(str(error))
            return EX_USAGE
        except KeyboardInterrupt:
            return INTERRUPTED
        except Exception as error:  # noqa: BLE001 - reported here, with a traceback if it is a bug
            status = getattr(error, "exit_status", None)
            if tell_journal(error):
                pass
            elif status is not None:
                self.complain(str(error))
            else:
                traceback.print_exc()
            return EX_SOFTWARE if status is None else int(status)

    def _obey(self, argv: list[str], do: Callable[[VerbPath, list[str]], int]) -> int:
        if not argv and not self.default_verb:
            sys.stderr.write(self.parser(()).format_help())
            return EX_USAGE
        if argv in (["-V"], ["--version"]):
            argv = ["version"]
        asks_help = argv[:1] == ["help"] or not {"-h", "--help", "--help-all"}.isdisjoint(argv)
        names: VerbPath = ()
        words = argv[1:] if argv[:1] == ["help"] else argv
        while words and words[0] in self.verb_at(names).verbs:
            names, words = (*names, words[0]), words[1:]
        is_unknown = bool(words) and not words[0].startswith("-")
        if not names and self.default_verb and not is_unknown and not asks_help:
            names = (self.default_verb,)
        if (usual := self.verb_at(names).usual) and not is_unknown and not asks_help:
            names = (*names, usual)
        if self.verb_at(names).verbs and (is_unknown or not asks_help):
            raise UsageError(self._misunderstood(names, words))
        if asks_help:
            return print_text(self._help(names, all_options="--help-all" in words))
        return self._carry_out(names, words, do)

    def _carry_out(
        self, names: VerbPath, words: list[str], do: Callable[[VerbPath, list[str]], int]
    ) -> int:
        """Carry out a verb that every program has, or one of this program."""
        match names:
            case ("version",):
                self.parse(names, words)
                return print_text(f"{self.name} {self.version}\n")
            case ("completion",):
                from jarvis_ear.options.completion import completion  # noqa: PLC0415 - for this only

                return print_text(completion(self, self.parse(names, words)["word"]))
            case ("config",):
                from jarvis_ear.options import render  # noqa: PLC0415 - loads pydantic

                if words == ["--reference"]:
                    return print_text(render.reference(self.schema()))
                return print_text(render.effective(self.schema(), self.load(words)))
        return do(names, words)

    def load(self, words: Sequence[str]) -> "Loaded[Any]":
        """Read the options of the configuration."""
        from jarvis_ear.options.load import load  # noqa: PLC0415 - loads pydantic

        return load(self.schema(), words, os.environ)

    def own_words(self, names: VerbPath, words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
        """Return what a configured verb takes for itself, by name, and the rest for ``load``.

        Its value, if it takes one, comes before the options of the configuration. If it may take
        any number, they stand anywhere, and are listed as ``values``.
        """
        verb, rest = self.verb_at(names), list(words)
        flags = {flag.name: flag for flag in verb.flags}
        own, others, values = list[str](), list[str](), list[str]()
        while rest:
            word = rest.pop(0)
            name, has_value, _ = word.partition("=")
            flag, is_option = flags.get(name), word.startswith("-")
            if verb.values and not is_option:
                values.append(word)
                continue
            is_own = flag is not None or bool(verb.value and not is_option and not others)
            chosen = own if is_own else others
            chosen.append(word)
            takes_next = bool(flag.value) if flag else self._has_value(verb, name, rest)
            if takes_next and not has_value:
                chosen += rest[:1]
                rest = rest[1:]
        return {**self.parse(names, own), "values": values}, others

    def _has_value(self, verb: Verb, flag: str, rest: Sequence[str]) -> bool:
        """Whether the next word is not one of the verb's values, but that of an option."""
        if not verb.values or not flag.startswith("-") or not rest or rest[0].startswith("--"):
            return False
        option = self.schema().by_flag.get(flag.replace("_", "-"))
        return not flag.startswith("--no-") if option is None else option.kind is not bool

    def verb_at(self, names: Sequence[str]) -> Verb:
        """Return the verb with this path in the tree; an empty path is the program."""
        verb = self.root
        for name in names:
            verb = verb.verbs[name]
        return verb

    def parse(self, names: VerbPath, words: Sequence[str]) -> dict[str, Any]:
        """Return the options and the word given to a verb, by name."""
        asked, rest = self.parser(names).parse_known_args(words)
        name = " ".join(names)
        verb = self.verb_at(names)
        known = [flag.name for flag in verb.flags if flag.meaning]
        if rest and verb.value:
            raise UsageError(f"{name}: {quoted(rest[0])}: expected at most one {verb.value}")
        if rest and verb.needs:
            raise UsageError(f"{name}: {quoted(rest[0])}: expected only {' '.join(verb.needs)}")
        if rest and not known:
            raise UsageError(f"{name} takes no options")
        if rest and rest[0].startswith("-"):
            hint = suggestion(rest[0], known)
            raise UsageError(f"{name}: {plain(rest[0])}: there is no such option{hint}")
        if rest:
            raise UsageError(f"{name}: {quoted(rest[0])}: expected one of {', '.join(known)}")
        given = vars(asked)
        for key, value in given.items():
            if isinstance(value, list) and len(value) > 1:
                flag = f"--{key.replace('_', '-')}"
                raise UsageError(f"{name}: {flag}: given twice, expected once")
        return {key: value[0] if isinstance(value, list) else value for key, value in given.items()}

    def parser(self, names: VerbPath, listing: str = "") -> argparse.ArgumentParser:
        """Make the parser of a verb. ``listing`` describes the options of the configuration."""
        verb = self.verb_at(names)
        prog = " ".join((self.name, *names))
        optional_verb = (self.default_verb and not names) or bool(verb.usual)
        takes = (" [VERB]" if optional_verb else " VERB") if verb.verbs else ""
        takes += " [OPTION ...]" if verb.flags or verb.is_configured or verb.verbs else ""
        takes += "".join(f" {name}" for name in verb.needs)
        takes += f" {'|'.join(verb.words)}" if verb.words else ""
        takes += f" [{verb.value}]" if verb.value else ""
        takes += f" [{verb.values} ...]" if verb.values else ""
        made = _Parser(
            prog=prog,
            usage=prog + takes,
            description=self._description(verb, listing),
            epilog=self._epilog(verb),
            formatter_class=_FORMAT,
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
            add_help=False,
        )
        for flag in verb.listed_flags:
            add = partial(made.add_argument, flag.name, help=flag.meaning or argparse.SUPPRESS)
            if flag.value:
                kind = _path if flag.value in ("FILE", "DIR") else str
                add(metavar=flag.value, type=kind, action="append")
            else:
                add(action="store_true")
        if names:
            made.add_argument("-h", "--help", action="store_true", help="print this")
        for name in verb.needs:
            of_need = _path if name == "FILE" else str
            made.add_argument(name.lower(), metavar=name, type=of_need, help=argparse.SUPPRESS)
        if verb.words:
            words = "|".join(verb.words)
            made.add_argument("word", choices=verb.words, metavar=words, help=argparse.SUPPRESS)
        if verb.value:
            made.add_argument("value", nargs="?", metavar=verb.value, help=argparse.SUPPRESS)
        return made

    def _help(self, names: VerbPath, *, all_options: bool) -> str:
        is_configured = self.verb_at(names).is_configured or (self.default_verb and not names)
        if not (is_configured or (all_options and not names)):
            return self.parser(names).format_help()
        from jarvis_ear.options.render import everyday, everything  # noqa: PLC0415 - loads pydantic

        listing = everything if all_options else everyday
        return self.parser(names, listing(self.schema())).format_help()

    def _description(self, verb: Verb, listing: str) -> str:
        lines = [verb.meaning[:1].upper() + verb.meaning[1:].removesuffix(".") + "."]
        if verb.verbs:
            lines += ["", *(f"  {name:<10} {below.meaning}" for name, below in verb.verbs.items())]
        if verb.usual:
            lines += ["", f"Without a verb, {verb.usual} is meant, with these options:"]
        if listing:
            lines += ["", "options of the configuration:", listing, "", self.secret_note]
        return "\n".join(lines)

    def _epilog(self, verb: Verb) -> str:
        if verb is self.root:
            return _ROOT_NOTES.format(name=self.name)
        if verb.verbs:
            return f"{_BELOW}\nexample:\n  {verb.example}\n"
        statuses = verb.statuses if verb.is_configured else {**verb.statuses, EX_USAGE: _MISUSE}
        rows = [f"  {number:<4} {meaning}" for number, meaning in sorted(statuses.items())]
        return "\n".join(["exit status:", *rows, "", "example:", f"  {verb.example}", ""])

    def _misunderstood(self, names: VerbPath, words: list[str]) -> str:
        """Return why no verb was found where ``words`` begin."""
        known = self.verb_at(names).verbs
        if not words or words[0].startswith("-"):
            where = " ".join((self.name, *names))
            return f"missing command; choose from {', '.join(known)} (see {where} --help)"
        hint = suggestion(words[0], known)
        return f"{quoted(words[0])}: expected one of {', '.join(known)}{hint}"

    def complain(self, text: str) -> None:
        """Write lines to standard error, each with the name of the program."""
        sys.stderr.write("".join(f"{self.name}: {line}\n" for line in text.splitlines()))


def terminal_width() -> int:
    """Return the columns of the terminal at standard output; 0: there is none."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):  # a pipe, or a stream without a file
        return 0


def print_text(text: str) -> int:
    """Write to standard output; return the exit status."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes again
        return READER_GONE
    return 0


def open_missing_streams() -> None:
    """Discard what is printed to a stream that was closed before the start, which Python lacks."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
            setattr(sys, name, stream)


def exit_at_once(status: int) -> NoReturn:
    """End the process without clean-up, which takes a second when models are loaded."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # its reader is gone, or it is closed
            stream.flush()
    os._exit(status)


_FORMAT: Final = partial(argparse.RawDescriptionHelpFormatter, width=88, max_help_position=24)
"""With a fixed width: argparse would import shutil to ask the terminal."""

_ROOT_NOTES: Final = """\
{name} VERB --help shows the options of a verb, its exit status and an example;
{name} run --help-all shows all options of the configuration.
  -V, --version        print the version

exit status of every verb, besides its own:
  64   the command line cannot be understood
  70   a bug; a traceback is printed
  130  interrupted by Ctrl-C
  141  the reader of the output has gone
"""

_BELOW: Final = "VERB --help shows the options of a verb, its exit status and an example.\n"

_MISUSE: Final = "the command line cannot be understood"


class _Parser(argparse.ArgumentParser):
    """A parser that raises ``UsageError``."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise UsageError(f"{message} (see {self.prog} --help)")


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise argparse.ArgumentTypeError("its ~ stands for the home of an unknown user") from None
