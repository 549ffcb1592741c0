"""The verb run of ``jarvis-backend``: listen until a signal."""

import signal

_on_interrupt = signal.getsignal(signal.SIGINT)
if _on_interrupt is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C among the imports is no traceback

import logging
import os
import sys
import threading
from typing import Final

from jarvis_backend import cli
from jarvis_backend.auth import hash_of
from jarvis_backend.config import PASSWORD_CHARACTERS, BackendConfig, forget_secrets, warnings
from jarvis_backend.connections import raise_file_limit
from jarvis_backend.errors import BackendConfigError
from jarvis_backend.process import log_to_stderr
from jarvis_backend.server import Server
from jarvis_backend.workers import Workers

if _on_interrupt is signal.default_int_handler:
    signal.signal(signal.SIGINT, _on_interrupt)

_LOG: Final = logging.getLogger("jarvis_backend")


def run(config: BackendConfig) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status."""
    if config.hash_password:
        _hash_password()
        return 0
    forget_secrets(os.environ)
    log_to_stderr(config.log.level)
    if too_few_files := raise_file_limit(config.limits):
        _LOG.warning("%s", too_few_files)
    for warning in warnings(config):
        _LOG.warning("%s", warning)
    server = Server(config) if config.workers == 1 else Workers(config)
    _serve(server, companion=config.companion)
    return 0


def _serve(server: Server | Workers, *, companion: bool) -> None:
    """Serve until SIGTERM or SIGINT; as a companion also until standard input closes."""
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
            "too short for a backend that other machines reach\n"
        )
    print(hash_of(password))  # noqa: T201 - what was asked for


if __name__ == "__main__":
    cli.program(run)
