"""Workers: several processes that accept from one port, and one that watches over them."""

import logging
import multiprocessing
import os
import signal
import socket
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Final

from jarvis_backend.config import Config
from jarvis_backend.errors import BackendError
from jarvis_backend.logs import log_to_stderr
from jarvis_backend.server import START_S, STOP_S, Server, listen, url_of

_LOG: Final = logging.getLogger("jarvis_backend")

REVIVAL_S: Final = 1.0
"""Before a worker that has ended is replaced: one that cannot start does not fill the journal."""


@dataclass(frozen=True, slots=True)
class _Worker:
    process: SpawnProcess
    ready: Connection
    """Says one word when it accepts."""


class Workers:
    """Runs ``config.workers`` servers, each in a process of its own. For one owner, on its thread.

    A worker that ends is replaced. They end with their parent, whatever becomes of it.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        # A new interpreter for each: ours may have threads already. Options and socket travel
        # through a pipe, so that no secret is an argument.
        self._spawn = multiprocessing.get_context("spawn")
        self._listener: socket.socket | None = None
        self._workers: list[_Worker] = []
        self._woken, self._wake = os.pipe()

    def start(self) -> str:
        """Start all, and return the URL when all accept."""
        self._listener = listen(self._config.host, self._config.port)
        self._workers = [self._begin(self._listener) for _ in range(self._config.workers)]
        for worker in self._workers:
            if not worker.ready.poll(START_S) or not _says_ready(worker):
                self.stop()
                raise BackendError(f"a worker did not start, expected it within {START_S:g} s")
        return url_of(self._listener)

    def ask_to_stop(self) -> None:
        """Begin to stop, and return at once. Safe in a signal handler and on any thread."""
        os.write(self._wake, b".")

    def wait(self) -> None:
        """Replace workers that end, until asked to stop."""
        assert self._listener is not None  # noqa: S101 - start comes first
        while self._woken not in self._next_news():
            self._workers = [
                worker if worker.process.is_alive() else self._replaced(worker, self._listener)
                for worker in self._workers
            ]

    def stop(self) -> None:
        """Stop all, and release the port."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(2 * STOP_S)
            worker.process.kill()
            worker.process.join()
        self._workers = []
        if self._listener is not None:
            self._listener.close()

    def _next_news(self) -> list[object]:
        return list(wait([self._woken, *(worker.process.sentinel for worker in self._workers)]))

    def _begin(self, listener: socket.socket) -> _Worker:
        ready, says_ready = self._spawn.Pipe(duplex=False)
        process = self._spawn.Process(target=run_worker, args=(self._config, listener, says_ready))
        process.start()
        says_ready.close()
        return _Worker(process, ready)

    def _replaced(self, worker: _Worker, listener: socket.socket) -> _Worker:
        status = worker.process.exitcode
        _LOG.warning("a worker has ended (status %s); another one takes its place", status)
        if self._woken in wait([self._woken], REVIVAL_S):
            return worker
        return self._begin(listener)


def _says_ready(worker: _Worker) -> bool:
    try:
        return bool(worker.ready.recv())
    except EOFError:
        return False  # it has ended


def run_worker(config: Config, listener: socket.socket, says_ready: Connection) -> None:
    """Serve until told to, or until the parent is gone."""
    log_to_stderr(config.log.level)
    server = Server(config, listener=listener)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which tells us
    signal.signal(signal.SIGTERM, lambda _number, _frame: server.ask_to_stop())
    threading.Thread(target=_stop_with_parent, args=(server,), daemon=True).start()
    server.start()
    says_ready.send(True)  # noqa: FBT003 - one word
    server.wait()
    server.stop()


def _stop_with_parent(server: Server) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        server.ask_to_stop()
