"""Workers: several processes that accept from one port, and one that watches over them."""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Final

from jarvis_backend.config import BackendConfig
from jarvis_backend.connections import raise_file_limit
from jarvis_backend.errors import JarvisBackendError
from jarvis_backend.process import forbid_dumps, log_to_stderr
from jarvis_backend.server import STOP_S, Server, listen, url_of

_LOG: Final = logging.getLogger("jarvis_backend")

WORKER_S: Final = 60.0
"""How long a worker may take from its own beginning until it accepts: it is an interpreter that
imports everything anew, and on a small machine all of them do so at once."""

REVIVAL_S: Final = 1.0
"""Before a worker that has ended is replaced: one that cannot start does not fill the journal."""


@dataclass(frozen=True, slots=True)
class _Worker:
    process: SpawnProcess
    ready: Connection
    """Says one word when it accepts, and no more."""
    late_at: float
    """When it has had its time to start, by the monotonic clock."""


class Workers:
    """Runs ``config.workers`` servers, each in a process of its own. For one owner, on its thread.

    A worker that ends is replaced. They end with their parent, whatever becomes of it.
    """

    def __init__(self, config: BackendConfig, now: Callable[[], float] = time.monotonic) -> None:
        """Run what ``config`` says; ``now`` is a monotonic clock."""
        self._config = config
        self._now = now
        # A new interpreter for each: ours may have threads already. Options and socket travel
        # through a pipe, so that no secret is an argument.
        self._spawn = multiprocessing.get_context("spawn")
        self._listener: socket.socket | None = None
        self._workers: list[_Worker] = []
        self._woken, self._wake = os.pipe()

    def start(self) -> str:
        """Start all, and return the URL when all accept, or at once when asked to stop.

        Raises BackendError if one ends, or takes longer than ``WORKER_S``.
        """
        self._listener = listen(self._config.host, self._config.port)
        self._workers = [self._begin(self._listener) for _ in range(self._config.workers)]
        url = url_of(self._listener)
        for worker in self._workers:
            if not self._started(worker):
                self.stop()
                raise JarvisBackendError(
                    f"a worker did not start, expected it within {WORKER_S:g} s"
                )
        return url

    def ask_to_stop(self) -> None:
        """Begin to stop, and return at once. Safe in a signal handler and on any thread."""
        os.write(self._wake, b".")

    def wait(self) -> None:
        """Replace workers that end, or that do not start in time, until asked to stop."""
        assert self._listener is not None  # noqa: S101 - start comes first
        while self._woken not in self._next_news():
            self._workers = [
                self._replaced(worker, self._listener) if self._is_lost(worker) else worker
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

    def _started(self, worker: _Worker) -> bool:
        """Wait until it accepts, or we are asked to stop; False if it does not in its time."""
        left_s = max(0.0, worker.late_at - self._now())
        news = wait([worker.ready, self._woken], left_s)
        return self._woken in news or (worker.ready in news and _says_ready(worker))

    def _next_news(self) -> list[object]:
        """Wait for a worker's end or beginning, for the end of its time, or for a stop."""
        waited_for: list[object] = [self._woken]
        late_at = None
        for worker in self._workers:
            waited_for.append(worker.process.sentinel)
            if not worker.ready.closed:
                waited_for.append(worker.ready)
                late_at = min(late_at or worker.late_at, worker.late_at)
        left_s = None if late_at is None else max(0.0, late_at - self._now())
        return list(wait(waited_for, left_s))  # type: ignore[arg-type]  # numbers and connections

    def _is_lost(self, worker: _Worker) -> bool:
        """Whether it has ended, if need be because its time to start is over."""
        if worker.ready.closed or not worker.process.is_alive():
            return not worker.process.is_alive()
        if worker.ready.poll():
            return not _says_ready(worker)
        if self._now() < worker.late_at:
            return False
        _LOG.warning("a worker did not start within %g s", WORKER_S)
        worker.process.kill()
        return True

    def _begin(self, listener: socket.socket) -> _Worker:
        ready, says_ready = self._spawn.Pipe(duplex=False)
        process = self._spawn.Process(target=run_worker, args=(self._config, listener, says_ready))
        process.start()
        says_ready.close()
        return _Worker(process, ready, self._now() + WORKER_S)

    def _replaced(self, worker: _Worker, listener: socket.socket) -> _Worker:
        worker.process.join()
        worker.ready.close()
        status = worker.process.exitcode
        _LOG.warning("a worker has ended (status %s); another one takes its place", status)
        if self._woken in wait([self._woken], REVIVAL_S):
            return worker
        return self._begin(listener)


def _says_ready(worker: _Worker) -> bool:
    """Take its word, or note that it ends without one."""
    with worker.ready as ready:
        try:
            return bool(ready.recv())
        except EOFError:
            return False


def run_worker(config: BackendConfig, listener: socket.socket, says_ready: Connection) -> None:
    """Serve until told to, or until the parent is gone."""
    forbid_dumps()
    log_to_stderr(config.log.level)
    raise_file_limit(config.limits)  # ours began with the parent's, which has told if it is too low
    server = Server(config, listener=listener)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which tells us
    signal.signal(signal.SIGTERM, lambda _number, _frame: server.ask_to_stop())
    threading.Thread(target=_stop_with_parent, args=(server,), daemon=True).start()
    try:
        server.start()
    except JarvisBackendError as error:
        _LOG.error("%s", error)
        sys.exit(error.exit_status)
    says_ready.send(True)  # noqa: FBT003 - one word
    server.wait()
    server.stop()


def _stop_with_parent(server: Server) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        server.ask_to_stop()
