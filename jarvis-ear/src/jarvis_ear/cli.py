"""The command line: finds the verb, does it, and tells a person what is wrong.

The console script enters here. Only `run` imports the ear itself; a verb imports what it needs.
"""

import os
import signal

_on_interrupt = signal.getsignal(signal.SIGINT)
if _on_interrupt is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C among the imports is no traceback

import json
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from jarvis_ear import __version__, paths
from jarvis_ear.control.client import ask, describe, require_report
from jarvis_ear.errors import JarvisEarError, RemoteProtocolError
from jarvis_ear.process import forbid_dumps
from jarvis_ear.verbs import EX_USAGE, UsageError, parser, verb_at

if TYPE_CHECKING:
    from jarvis_ear.options import Loaded

if _on_interrupt is signal.default_int_handler:
    signal.signal(signal.SIGINT, _on_interrupt)

Run: TypeAlias = Callable[["Loaded"], int]
"""What `run` does with the options."""

DEAF: Final = 1
"""Exit status of `status`: the ear is muted, or has no microphone."""

NOT_RUNNING: Final = 2
"""Exit status of `status` and of the mute verbs: there is no ear to ask."""

EX_SOFTWARE: Final = 70
"""A bug of ours (sysexits.h)."""

INTERRUPTED: Final = 130
"""What shells say of a program that Ctrl-C ended: 128 and the signal's number."""

READER_GONE: Final = 141
"""What shells say of a program whose reader went away (`jarvis-ear config | head -1`)."""


def program(run: Run | None = None) -> NoReturn:
    """Run the command line, and end at once: the interpreter would look through the models first.

    That takes most of a second, after everything has stopped and been told.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before a verb imports onnxruntime
    forbid_dumps()  # password, token and the sound of the room
    status = main(run=run)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more, or it is closed
            stream.flush()
    os._exit(status)


def main(argv: Sequence[str] | None = None, *, run: Run | None = None) -> int:
    """Do what the command line says, and return the exit status.

    ``run`` is the verb run; by default that of the composition root, imported when it is needed.
    """
    try:
        return _obey(list(sys.argv[1:] if argv is None else argv), run)
    except UsageError as error:
        _complain(str(error))
        return EX_USAGE
    except JarvisEarError as error:
        if not _tell_journal(error):
            _complain(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a bug, and this is where it is told: with all there is
        if not _tell_journal(error):
            traceback.print_exc()
        return EX_SOFTWARE


def _tell_journal(error: Exception) -> bool:
    """Tell the journal what ends the program, if standard error may lead there."""
    if "JOURNAL_STREAM" not in os.environ:
        return False
    from jarvis_ear.log.setup import log_final_error  # noqa: PLC0415 - loads pydantic, for a service only

    return log_final_error(error)


def _obey(argv: list[str], run: Run | None) -> int:
    if not argv:
        sys.stderr.write(parser(()).format_help())
        return EX_USAGE
    if argv in (["-V"], ["--version"]):
        argv = ["version"]
    names, words = _find(argv[1:] if argv[0] == "help" else argv)
    is_unknown = bool(words) and not words[0].startswith("-")
    asks_help = argv[0] == "help" or bool(_HELP & {*words})
    if verb_at(names).verbs and (is_unknown or not asks_help):
        raise UsageError(_misunderstood(names, words))
    if asks_help:
        return _print(_help(names, all_options="--help-all" in words))
    return _do(names, words, run)


def _do(names: tuple[str, ...], words: list[str], run: Run | None) -> int:
    if verb_at(names).is_configured:
        return _configured(names[0], words, run)
    if names[0] == "service":
        return _service(names[1], words)
    asked, rest = parser(names).parse_known_args(words)
    _refuse(names, rest)
    match names[0]:
        case "status":
            return _status(as_json=asked.json)
        case "devices":
            text = _devices()
        case "completion":
            text = _completion(asked.word)
        case "version":
            text = f"jarvis-ear {__version__}\n"
        case word:
            return _order(word)
    return _print(text)


_HELP: Final = frozenset({"-h", "--help", "--help-all"})

_HELP_ALL: Final = """\
  --help-all         Show all options. They can be set in the environment and in the
                     file as well: see jarvis-ear config --reference."""


def _find(argv: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """Split the command line into the path of its verb in the tree, and the words after it."""
    names: tuple[str, ...] = ()
    while argv and argv[0] in verb_at(names).verbs:
        names, argv = (*names, argv[0]), argv[1:]
    return names, argv


def _help(names: tuple[str, ...], *, all_options: bool) -> str:
    if not (verb_at(names).is_configured or (all_options and not names)):
        return parser(names).format_help()
    from jarvis_ear.options.render import everyday, everything  # noqa: PLC0415 - loads pydantic

    listing = everything() if all_options else f"{everyday()}\n{_HELP_ALL}"
    return parser(names, listing).format_help()


def _misunderstood(names: tuple[str, ...], words: list[str]) -> str:
    """Say why no verb was found where ``words`` begin."""
    from jarvis_ear.options.option import quoted, suggestion  # noqa: PLC0415 - loads pydantic

    known = verb_at(names).verbs
    if not words or words[0].startswith("-"):
        where = " ".join(("jarvis-ear", *names))
        return f"missing command; choose from {', '.join(known)} (see {where} --help)"
    return f"{quoted(words[0])}: expected one of {', '.join(known)}{suggestion(words[0], known)}"


def _refuse(names: tuple[str, ...], words: list[str]) -> None:
    """Raise ``UsageError`` if words are left over that the verb does not take."""
    if not words:
        return
    from jarvis_ear.options.option import plain, quoted, suggestion  # noqa: PLC0415 - loads pydantic

    name, known = " ".join(names), [flag.name for flag in verb_at(names).flags]
    if not known:
        raise UsageError(f"{name} takes no options")
    word = words[0]
    if word.startswith("-"):
        hint = suggestion(word, known)
        raise UsageError(f"{name}: {plain(word)}: there is no such option{hint}")
    raise UsageError(f"{name}: {quoted(word)}: expected one of {', '.join(known)}")


def _configured(verb: str, words: list[str], run: Run | None) -> int:
    """Do a verb that takes the options of the configuration."""
    from jarvis_ear.options import load  # noqa: PLC0415 - loads pydantic

    if verb == "config" and words == ["--reference"]:
        from jarvis_ear.options.render import reference  # noqa: PLC0415 - for this only

        return _print(reference())
    loaded = load([word for word in words if verb != "console" or word != "--open"], os.environ)
    match verb:
        case "config":
            from jarvis_ear.options.render import effective  # noqa: PLC0415 - for this only

            return _print(effective(loaded))
        case "check":
            from jarvis_ear.check import check  # noqa: PLC0415 - loads the network, for this only

            return _print(check(loaded))
        case "console":
            from jarvis_ear.console.command import console  # noqa: PLC0415 - loads a web server

            return console(loaded.config.console.port, is_opened="--open" in words)
    return (run or _composition_root())(loaded)


def _composition_root() -> Run:
    from jarvis_ear.__main__ import run  # noqa: PLC0415 - loads the ear, for the verb run only

    return run


def _devices() -> str:
    from jarvis_ear.devices.portaudio_process import for_input  # noqa: PLC0415 - for this only
    from jarvis_ear.devices.selection import describe  # noqa: PLC0415 - likewise

    return describe(for_input())


def _completion(shell: str) -> str:
    from jarvis_ear.completion import completion  # noqa: PLC0415 - loads pydantic

    return completion(shell)


def _service(verb: str, words: list[str]) -> int:
    from jarvis_ear.service import command  # noqa: PLC0415 - for this verb only

    asked, rest = command.service_parser(verb).parse_known_args(words)
    _refuse(("service", verb), rest)
    return command.main(asked)


def _status(*, as_json: bool) -> int:
    report = _ask("status")
    if report is None:
        return NOT_RUNNING
    require_report(report)
    _print(json.dumps(report) + "\n" if as_json else describe(report))
    return 0 if report["hearing"] else DEAF


def _order(word: str) -> int:
    answer = _ask(word)
    if answer is None:
        return NOT_RUNNING
    match answer:
        case {"muted_by": list(by), "stored": bool(stored)} if all(
            isinstance(one, str) for one in by
        ):
            return _confirm(word, by, stored=stored)
        case {"error": str(why)}:
            raise RemoteProtocolError(f"the running ear does not {word}: {why}")
    raise RemoteProtocolError(f"the running ear does not say whether it did {word}")


def _confirm(word: str, muted_by: Sequence[str], *, stored: bool) -> int:
    if word == "hush":
        return 0
    if not stored:
        _complain("a restart will not remember this: see the log of the ear")
    by = ", ".join(muted_by)
    return _print(f"muted by the {by}\n" if by else "not muted\n")


def _ask(word: str) -> dict[str, Any] | None:
    """Ask the ear that runs; None, and a word of complaint, if none does."""
    try:
        answer = ask(paths.sockets(os.environ), word)
    except OSError as error:
        raise JarvisEarError(f"the running ear cannot be asked: {error}") from error
    if answer is None:
        _complain("no ear is running (for this user)")
    return answer


def _print(text: str) -> int:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes again
        return READER_GONE
    return 0


def _complain(text: str) -> None:
    for line in text.splitlines():
        sys.stderr.write(f"jarvis-ear: {line}\n")
