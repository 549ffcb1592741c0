"""Several server processes on one port, and their supervision."""

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
"""Maximum seconds from the start of a worker until it accepts connections: on small machines all
of them import their modules at the same time."""

RESTART_DELAY_S: Final = 1.0
"""Seconds before a worker is replaced, so that one that cannot start does not flood the journal."""


@dataclass(frozen=True, slots=True)
class _Worker:
    process: SpawnProcess
    ready: Connection
    """Receives one value when the worker accepts connections, and is closed then."""
    deadline: float
    """Time by which it has to be ready, by the monotonic clock."""


class Workers:
    """Runs ``config.workers`` servers in processes and replaces those that end. For one thread.

    The workers end when this process ends, even if it is killed.
    """

    def __init__(self, config: BackendConfig, now: Callable[[], float] = time.monotonic) -> None:
        """Serve by ``config``; ``now`` is a monotonic clock."""
        self._config = config
        self._now = now
        # Not fork: this process may have threads. The options are passed by a pipe, so that no
        # secret is an argument.
        self._spawn = multiprocessing.get_context("spawn")
        self._listener: socket.socket | None = None
        self._workers: list[_Worker] = []
        self._stop_reader, self._stop_writer = os.pipe()

    def start(self) -> str:
        """Start all workers; return the URL when all are ready, or at once if asked to stop.

        Raises JarvisBackendError if one ends or takes longer than ``WORKER_S``.
        """
        self._listener = listen(self._config.host, self._config.port)
        self._workers = [self._spawn_worker(self._listener) for _ in range(self._config.workers)]
        url = url_of(self._listener)
        for worker in self._workers:
            if not self._becomes_ready(worker):
                self.stop()
                raise JarvisBackendError(
                    f"a worker did not start, expected it within {WORKER_S:g} s"
                )
        return url

    def ask_to_stop(self) -> None:
        """Begin to stop. Returns at once; safe in a signal handler and on any thread."""
        os.write(self._stop_writer, b".")

    def wait(self) -> None:
        """Replace workers that end or do not start in time, until asked to stop."""
        assert self._listener is not None  # noqa: S101 - start() has set it
        while self._stop_reader not in self._wait_for_events():
            self._workers = [
                self._replaced(worker, self._listener) if self._is_lost(worker) else worker
                for worker in self._workers
            ]

    def stop(self) -> None:
        """Stop all workers and release the port."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(2 * STOP_S)
            worker.process.kill()
            worker.process.join()
        self._workers = []
        if self._listener is not None:
            self._listener.close()

    def _becomes_ready(self, worker: _Worker) -> bool:
        """Wait until ``worker`` is ready or a stop is asked for; False if it fails to start."""
        timeout_s = max(0.0, worker.deadline - self._now())
        events = wait([worker.ready, self._stop_reader], timeout_s)
        return self._stop_reader in events or (worker.ready in events and _is_ready(worker))

    def _wait_for_events(self) -> list[object]:
        """Wait for a worker to become ready, to end or to miss its deadline, or for a stop."""
        waited_for: list[object] = [self._stop_reader]
        deadline = None
        for worker in self._workers:
            waited_for.append(worker.process.sentinel)
            if not worker.ready.closed:
                waited_for.append(worker.ready)
                deadline = min(deadline or worker.deadline, worker.deadline)
        timeout_s = None if deadline is None else max(0.0, deadline - self._now())
        return list(wait(waited_for, timeout_s))  # type: ignore[arg-type]  # numbers and connections

    def _is_lost(self, worker: _Worker) -> bool:
        """Return whether ``worker`` has ended; it is killed if it has missed its deadline."""
        if worker.ready.closed or not worker.process.is_alive():
            return not worker.process.is_alive()
        if worker.ready.poll():
            return not _is_ready(worker)
        if self._now() < worker.deadline:
            return False
        _LOG.warning("a worker did not start within %g s", WORKER_S)
        worker.process.kill()
        return True

    def _spawn_worker(self, listener: socket.socket) -> _Worker:
        ready, sender = self._spawn.Pipe(duplex=False)
        process = self._spawn.Process(target=run_worker, args=(self._config, listener, sender))
        process.start()
        sender.close()
        return _Worker(process, ready, self._now() + WORKER_S)

    def _replaced(self, worker: _Worker, listener: socket.socket) -> _Worker:
        worker.process.join()
        worker.ready.close()
        status = worker.process.exitcode
        _LOG.warning("a worker has ended (status %s); another one takes its place", status)
        if self._stop_reader in wait([self._stop_reader], RESTART_DELAY_S):
            return worker
        return self._spawn_worker(listener)


def _is_ready(worker: _Worker) -> bool:
    """Receive the value of a ready worker; False if it has ended without."""
    with worker.ready as ready:
        try:
            return bool(ready.recv())
        except EOFError:
            return False


def run_worker(config: BackendConfig, listener: socket.socket, ready: Connection) -> None:
    """Serve until SIGTERM, or until the parent has ended."""
    forbid_dumps()
    log_to_stderr(config.log.level)
    raise_file_limit(config.limits)  # the parent has logged a warning if it is too low
    server = Server(config, listener=listener)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and sends SIGTERM
    signal.signal(signal.SIGTERM, lambda _number, _frame: server.ask_to_stop())
    threading.Thread(target=_stop_with_parent, args=(server,), daemon=True).start()
    try:
        server.start()
    except JarvisBackendError as error:
        _LOG.error("%s", error)
        sys.exit(error.exit_status)
    ready.send(True)  # noqa: FBT003 - any value
    server.wait()
    server.stop()


def _stop_with_parent(server: Server) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        server.ask_to_stop()
