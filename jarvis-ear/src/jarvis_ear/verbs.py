"""Verbs: the tree of the command line, its help and its parsers. Imports nothing heavy."""

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

PROGRAM: Final = "jarvis-ear"

EX_USAGE: Final = 64
"""Exit status: the command line cannot be understood (sysexits.h)."""


class UsageError(Exception):
    """The command line cannot be understood. The text says what was expected."""


class Flag(NamedTuple):
    """An option of one verb. The options of the configuration are not listed here."""

    name: str
    meaning: str
    value: str = ""
    """What stands for its value in the help; empty: it is a switch. FILE and DIR are paths."""


class Verb(NamedTuple):
    """One verb of the command line: what its help, its parser and the completion are made from."""

    meaning: str
    example: str = ""
    statuses: Mapping[int, str] = {}
    flags: tuple[Flag, ...] = ()
    words: tuple[str, ...] = ()
    """The words of which it takes exactly one."""
    verbs: Mapping[str, "Verb"] = {}
    """The verbs below it; it does nothing without one."""
    is_configured: bool = False
    """Whether it takes the options of the configuration, which ``options`` reads."""


_ASKED: Final = {
    1: "the running ear cannot be asked",
    2: "no ear is running (for this user)",
    76: "what answers is no ear, or an ear of another version",
    77: "a program of another user is in the place of the ear",
}
_DONE: Final = {0: "done", **_ASKED}
_MISTAKE: Final = {78: "the configuration has a mistake; all mistakes are listed"}
_SERVICE: Final = {
    0: "done, or nothing to do",
    71: "this machine does not allow it; the old state is restored",
    77: "only root may do this",
    78: "a file with a password, or the configuration, cannot be used",
}
_DRY_RUN: Final = Flag("--dry-run", "only say what would be done")
_DESTDIR: Final = Flag("--destdir", "a folder that stands for / ; nothing is started", "DIR")
_PASSWORD_FILE: Final = Flag("--password-file", "read the password here instead of asking", "FILE")

_SERVICE_VERBS: Final = {
    "install": Verb(
        "install or upgrade the service, enable and start it",
        "sudo jarvis-ear service install --with-backend",
        _SERVICE,
        (
            _DRY_RUN,
            _DESTDIR,
            Flag("--with-backend", "install the reference backend too"),
            _PASSWORD_FILE,
        ),
    ),
    "uninstall": Verb(
        "stop the service and remove what install made",
        "sudo jarvis-ear service uninstall --dry-run",
        _SERVICE,
        (
            _DRY_RUN,
            _DESTDIR,
            Flag("--purge", "remove options, password, state and user too, without asking"),
        ),
    ),
    "password": Verb(
        "ask for the password of the backend, and store it",
        "sudo jarvis-ear service password",
        _SERVICE,
        (_PASSWORD_FILE,),
    ),
    "status": Verb(
        "show the state of the service on one screen",
        "jarvis-ear service status",
        {
            0: "the ear hears",
            1: "the ear is muted or deaf, or systemd cannot be asked",
            2: "the ear does not run, or does not answer",
        },
    ),
}

VERBS: Final[Mapping[str, Verb]] = {
    "run": Verb(
        "listen until Ctrl-C, or until a sound file is over",
        "jarvis-ear run --device usb --backend-url https://jarvis.local:4000",
        {
            0: "stopped, or the sound file is over",
            66: "the sound file cannot be read",
            69: "the microphone, the sound system or the companion backend cannot be used",
            75: "another ear runs, or the last command of a sound file failed",
            **_MISTAKE,
        },
        is_configured=True,
    ),
    "status": Verb(
        "say whether the running ear hears",
        "jarvis-ear status --json",
        {0: "the ear hears", **_ASKED, 1: "the ear is muted or deaf, or cannot be asked"},
        (Flag("--json", "print all numbers, as one line of JSON"),),
    ),
    "mute": Verb(
        "close the microphone of the running ear until unmute, restarts included",
        "jarvis-ear mute",
        _DONE,
    ),
    "unmute": Verb("open the microphone again", "jarvis-ear unmute", _DONE),
    "toggle": Verb(
        "mute the ear if it is open, unmute it if it is muted", "jarvis-ear toggle", _DONE
    ),
    "hush": Verb("stop speaking, and forget the utterance in progress", "jarvis-ear hush", _DONE),
    "console": Verb(
        "show the running ear in a browser of this machine",
        "jarvis-ear console --open",
        {0: "stopped", 1: "the port is not free", **_MISTAKE},
        (Flag("--open", "open the page in a browser"),),
        is_configured=True,
    ),
    "service": Verb(
        "install, uninstall or show the system service",
        "jarvis-ear service status",
        verbs=_SERVICE_VERBS,
    ),
    "devices": Verb(
        "list microphones and speakers, or say what is missing",
        "jarvis-ear devices",
        {0: "listed, or told what is missing"},
    ),
    "check": Verb(
        "say whether the configuration can be used, and what is dangerous in it",
        "jarvis-ear check --config /etc/jarvis-ear/config.toml",
        {0: "the configuration can be used", **_MISTAKE},
        is_configured=True,
    ),
    "config": Verb(
        "print the options in force, and where each value comes from",
        "jarvis-ear config --threshold 0.4",
        {0: "printed", **_MISTAKE},
        (Flag("--reference", "print the page about all options instead"),),
        is_configured=True,
    ),
    "completion": Verb(
        "print the completion for a shell",
        "source <(jarvis-ear completion bash)",
        {0: "printed"},
        words=("bash", "zsh", "fish"),
    ),
    "version": Verb("print the version", "jarvis-ear version", {0: "printed"}),
}

ROOT: Final = Verb("Always-on room microphone for a voice assistant.", verbs=VERBS)

_WIDTH: Final = 88
"""Columns of the help. argparse would import shutil to ask the terminal."""

_FORMAT: Final = partial(argparse.RawDescriptionHelpFormatter, width=_WIDTH, max_help_position=24)

_NEVER_AN_ARGUMENT: Final = """
The password is never an argument: it comes from JARVIS_PASSWORD, from the credential
jarvis-password, or from a file (--backend.password-file)."""

_ROOT_NOTES: Final = """\
jarvis-ear VERB --help shows the options of a verb, its exit status and an example;
jarvis-ear run --help-all shows all options of the configuration.
  -V, --version        print the version

exit status of every verb, besides its own:
  64   the command line cannot be understood
  70   a bug; a traceback is printed
  130  interrupted by Ctrl-C
  141  the reader of the output has gone
"""


class _Once(argparse.Action):
    """Stores a value, and refuses a second one."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Take what the command line gives."""
        given: set[str] = vars(namespace).setdefault("given", set())
        if self.dest in given:
            parser.error(f"{option_string}: given twice, expected once")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """The parser of one verb. A mistake raises ``UsageError``."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise UsageError(f"{message} (see {self.prog} --help)")

    def add_path(self, name: str, value: str, meaning: str) -> None:
        """Add an option that takes a path and can be given once."""
        self.add_argument(name, metavar=value, help=meaning, type=_path, action=_Once)


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise argparse.ArgumentTypeError("nobody knows the home that its ~ stands for") from None


def parser(names: Sequence[str], listing: str = "") -> Parser:
    """Make the parser of the verb with this path in the tree.

    ``listing`` describes the options of the configuration, for the help.
    """
    verb = verb_at(names)
    prog = " ".join((PROGRAM, *names))
    takes = " VERB" if verb.verbs else ""
    takes += " [OPTION ...]" if verb.flags or verb.is_configured or verb.verbs else ""
    takes += f" {'|'.join(verb.words)}" if verb.words else ""
    made = Parser(
        prog=prog,
        usage=prog + takes,
        description=_description(verb, listing),
        epilog=_epilog(verb),
        formatter_class=_FORMAT,
        allow_abbrev=False,
        add_help=False,
    )
    for flag in verb.flags:
        if flag.value:
            made.add_path(flag.name, flag.value, flag.meaning)
        else:
            made.add_argument(flag.name, action="store_true", help=flag.meaning)
    if names:
        made.add_argument("-h", "--help", action="store_true", help="print this")
    if verb.words:
        shown = "|".join(verb.words)
        made.add_argument("word", choices=verb.words, metavar=shown, help=argparse.SUPPRESS)
    return made


def verb_at(names: Sequence[str]) -> Verb:
    """Return the verb with this path in the tree; an empty path is the program."""
    verb = ROOT
    for name in names:
        verb = verb.verbs[name]
    return verb


def _description(verb: Verb, listing: str) -> str:
    lines = [verb.meaning[:1].upper() + verb.meaning[1:].removesuffix(".") + "."]
    if verb.verbs:
        lines += ["", *(f"  {name:<10} {below.meaning}" for name, below in verb.verbs.items())]
    if listing:
        lines += ["", "options of the configuration:", listing, _NEVER_AN_ARGUMENT]
    return "\n".join(lines)


def _epilog(verb: Verb) -> str:
    if verb is ROOT:
        return _ROOT_NOTES
    if verb.verbs:
        return f"{_BELOW}\nexample:\n  {verb.example}\n"
    statuses = verb.statuses if verb.is_configured else {**verb.statuses, EX_USAGE: _MISUSE}
    rows = [f"  {number:<4} {meaning}" for number, meaning in sorted(statuses.items())]
    return "\n".join(["exit status:", *rows, "", "example:", f"  {verb.example}", ""])


_BELOW: Final = "VERB --help shows the options of a verb, its exit status and an example.\n"

_MISUSE: Final = "the command line cannot be understood"
