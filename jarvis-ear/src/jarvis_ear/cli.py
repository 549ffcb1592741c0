"""The command line: one verb, its options, and what a person is told when something is wrong."""

import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from jarvis_ear import __version__, paths
from jarvis_ear.control.client import ask, describe, require_report
from jarvis_ear.errors import JarvisEarError, RemoteProtocolError
from jarvis_ear.log.setup import last_words
from jarvis_ear.options import Loaded, load
from jarvis_ear.options.option import quoted, suggestion
from jarvis_ear.options.render import effective, everyday, everything, reference

VERBS: Final = {
    "run": "listen until Ctrl-C, or until a sound file is over",
    "status": "say whether the running ear hears (--json for all numbers)",
    "mute": "close the microphone of the running ear until unmute, restarts included",
    "unmute": "open it again",
    "toggle": "mute or unmute, whatever it is not",
    "hush": "stop speaking, and forget the sentence in progress",
    "console": "show the running ear in a browser of this machine (--port N, --open)",
    "service": "install, uninstall or show it as a system service (service --help)",
    "devices": "list microphones and speakers, or say what is missing",
    "check": "say whether the configuration can be used, and what is dangerous in it",
    "config": "print the options in force, and where each value comes from",
    "version": "print the version",
}

DEAF: Final = 1
"""Exit status of `status`: the ear is muted, or has no microphone."""

NOT_RUNNING: Final = 2
"""Exit status of `status` and of the mute verbs: there is no ear to ask."""

EX_USAGE: Final = 64
"""The command line names no verb, or more than one can tell (sysexits.h)."""

EX_SOFTWARE: Final = 70
"""A bug of ours (sysexits.h)."""

INTERRUPTED: Final = 130
"""What shells say of a program that Ctrl-C ended: 128 and the signal's number."""

READER_GONE: Final = 141
"""What shells say of a program whose reader went away (`jarvis-ear config | head -1`)."""


def main(argv: Sequence[str] | None = None, *, run: Callable[[Loaded], int]) -> int:
    """Do what the command line says, and return the exit status. ``run`` is the verb run."""
    try:
        return _obey(list(sys.argv[1:] if argv is None else argv), run)
    except JarvisEarError as error:
        if not last_words(error):
            _complain(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a bug, and this is where it is told: with all there is
        if not last_words(error):
            traceback.print_exc()
        return EX_SOFTWARE


def _obey(argv: list[str], run: Callable[[Loaded], int]) -> int:
    with_options: dict[str, Callable[[list[str]], int]] = {
        "service": _service,
        "console": _console,
        "run": lambda options: run(load(options, os.environ)),
    }
    text = _help_for(argv) or _answer(argv)
    if text is not None:
        return _print(text)
    match argv:
        case ["status"] | ["status", "--json"]:
            return _status(as_json="--json" in argv)
        case ["mute" | "unmute" | "toggle" | "hush" as word]:
            return _order(word)
        case [verb, *options] if verb in with_options:
            return with_options[verb](options)
    return _misunderstand(argv)


def _help_for(argv: list[str]) -> str | None:
    if argv[:1] == ["service"]:
        return None  # it has a help of its own
    if "--help-all" in argv:
        return f"{_help()}\nAll options:\n{everything()}\n"
    asks = argv[:1] == ["help"] or "--help" in argv or "-h" in argv
    return _help() if asks else None


def _answer(argv: list[str]) -> str | None:
    """Return what a verb prints that has nothing else to do."""
    match argv:
        case ["config", "--reference"]:
            return reference()
        case ["config", *options]:
            return effective(load(options, os.environ))
        case ["check", *options]:
            return _check(options)
        case ["devices"]:
            return _devices()
        case ["version" | "--version"]:
            return f"jarvis-ear {__version__}\n"
        case _:
            return None


def _check(argv: list[str]) -> str:
    from jarvis_ear.check import check  # noqa: PLC0415 - loads the network, for this only

    return check(load(argv, os.environ))


def _devices() -> str:
    from jarvis_ear.devices.listing import describe  # noqa: PLC0415 - for this only

    return describe()


def _service(argv: list[str]) -> int:
    from jarvis_ear.service.command import main as service  # noqa: PLC0415 - for this verb only

    return service(argv)


def _status(*, as_json: bool) -> int:
    report = _ask("status")
    if report is None:
        return NOT_RUNNING
    require_report(report)
    _print(json.dumps(report) + "\n" if as_json else describe(report))
    return 0 if report["hearing"] else DEAF


def _console(argv: list[str]) -> int:
    from jarvis_ear.console.command import console  # noqa: PLC0415 - loads a web server, for this only

    options = [word for word in argv if word != "--open"]
    port = load(options, os.environ).config.console.port
    return console(port, is_opened="--open" in argv)


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


def _misunderstand(argv: list[str]) -> int:
    match argv:
        case []:
            sys.stderr.write(_help())
        case [verb, *_] if verb in VERBS:
            _complain(f"{verb} takes no options")
        case [option, *_] if option.startswith("-"):
            _complain(f"say first what to do: one of {', '.join(VERBS)} (see jarvis-ear --help)")
        case [verb, *_]:
            hint = suggestion(verb, VERBS)
            _complain(f"{quoted(verb)}: expected one of {', '.join(VERBS)}{hint}")
    return EX_USAGE


def _help() -> str:
    verbs = "\n".join(f"  {verb:<10} {meaning}" for verb, meaning in VERBS.items())
    return f"""\
usage: jarvis-ear VERB [OPTION ...]

{verbs}

Everyday options of run, check and config:
{everyday()}
  --help-all         All options. They can be set in the environment and in the file as well:
                     see jarvis-ear config --reference.

The password is never an argument: it comes from JARVIS_PASSWORD, from the credential
jarvis-password, or from a file (--backend.password-file).
"""


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
