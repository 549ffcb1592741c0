"""``jarvis-backend``: read the options, listen, and stop when asked to."""

import signal

_on_interrupt = signal.getsignal(signal.SIGINT)
if _on_interrupt is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C among the imports is no traceback

import logging
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NoReturn

from jarvis_backend.auth import hash_of
from jarvis_backend.config import (
    PASSWORD_CHARACTERS,
    BackendConfig,
    forget_secrets,
    is_loopback,
    load,
)
from jarvis_backend.connections import raise_file_limit
from jarvis_backend.errors import BackendConfigError, JarvisBackendError
from jarvis_backend.process import forbid_dumps, log_to_stderr
from jarvis_backend.server import Server
from jarvis_backend.workers import Workers

if _on_interrupt is signal.default_int_handler:
    signal.signal(signal.SIGINT, _on_interrupt)

_LOG: Final = logging.getLogger("jarvis_backend")


def program() -> NoReturn:
    """Run, and end at once: the interpreter would look through the models for most of a second."""
    forbid_dumps()
    status = main()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more, or it is closed
            stream.flush()
    os._exit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program, and return its exit status."""
    try:
        config = load(sys.argv[1:] if arguments is None else arguments)
        if config.hash_password:
            _hash_password()
            return 0
        forget_secrets(os.environ)
        log_to_stderr(config.log.level)
        if too_few_files := raise_file_limit(config.limits):
            _LOG.warning("%s", too_few_files)
        _warn_if_open(config)
        server = Server(config) if config.workers == 1 else Workers(config)
        _serve(server, companion=config.companion)
    except JarvisBackendError as error:
        sys.stderr.write("".join(f"jarvis-backend: {line}\n" for line in str(error).splitlines()))
        return error.exit_status
    return 0


def _serve(server: Server | Workers, *, companion: bool) -> None:
    """Run until SIGTERM or SIGINT, or until whoever started us is gone."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: server.ask_to_stop())
    url = server.start()
    _LOG.info("listening on %s", url)
    if companion:
        print(url, flush=True)  # noqa: T201 - what the option promises
        threading.Thread(target=_stop_at_end_of_input, args=(server,), daemon=True).start()
    server.wait()
    server.stop()
    _LOG.info("stopped")


def _stop_at_end_of_input(server: Server | Workers) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    server.ask_to_stop()


def _hash_password() -> None:
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise BackendConfigError(
            "--hash-password: standard input is empty, expected a password on a line"
        )
    if len(password) < PASSWORD_CHARACTERS:
        sys.stderr.write(
            f"jarvis-backend: the password has under {PASSWORD_CHARACTERS} characters: "
            "not for a backend that other machines reach\n"
        )
    print(hash_of(password))  # noqa: T201 - what was asked for


def _warn_if_open(config: BackendConfig) -> None:
    if is_loopback(config.host):
        return
    _LOG.warning("listening on %s: other machines can reach this backend", config.host)
    if config.insecure_password:
        _LOG.warning("--insecure-password: the password may be one that anybody guesses")


if __name__ == "__main__":
    program()
