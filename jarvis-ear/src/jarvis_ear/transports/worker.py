"""A thread for work that blocks."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_thread(name: str, work: Callable[[], T]) -> "Future[T]":
    """Run ``work`` in a daemon thread of its own, and return its outcome to come.

    Not an executor, whose threads are waited for when the process ends: a resolver of names that
    hangs must not keep it from ending.
    """
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits, whatever it is
            outcome.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return outcome
