"""The command line of the backend: the tree of verbs, and what each verb does.

The console script enters here. Only `run` imports the server; a verb imports what it needs.
"""

import signal

_on_interrupt = signal.getsignal(signal.SIGINT)
if _on_interrupt is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C among the imports is no traceback

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from jarvis_backend.process import forbid_dumps
from jarvis_ear import __version__
from jarvis_ear.options.verbs import (
    MISTAKES,
    CommandLine,
    Verb,
    VerbPath,
    check_report,
    common_verbs,
    exit_at_once,
    print_text,
)

if TYPE_CHECKING:
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
    forbid_dumps()
    exit_at_once(main(run=run))


def main(argv: Sequence[str] | None = None, *, run: Run | None = None) -> int:
    """Carry out the command line and return the exit status.

    ``run`` is the verb run; by default that of ``__main__``, imported when it is needed.
    """
    return COMMAND_LINE.main(sys.argv[1:] if argv is None else argv, partial(_do, run=run))


def _do(names: VerbPath, words: list[str], *, run: Run | None) -> int:
    config: BackendConfig = COMMAND_LINE.load(words).config
    if names == ("check",):
        from jarvis_backend.config import warnings  # noqa: PLC0415 - loads pydantic

        return print_text(check_report(warnings(config)))
    if not config.message_queue:  # python-socketio would load Redis: 6 MiB
        sys.modules.setdefault("redis", None)  # type: ignore[arg-type]  # None forbids the import
    return (run or _server())(config)


def _server() -> Run:
    with _backend_packages():
        from jarvis_backend.__main__ import run  # noqa: PLC0415 - loads the server, for this only

    return run
