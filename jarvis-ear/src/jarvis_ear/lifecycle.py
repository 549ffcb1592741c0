"""StopSignal: why and when the program ends."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Final, Self

from jarvis_ear.delivery.events import DeliveryEvent, Finished, Verdict
from jarvis_ear.delivery.playback import Playback
from jarvis_ear.errors import JarvisEarError, TurnFailed
from jarvis_ear.hearing.events import Effect, SendUtterance

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


_FAILURES: Final = {Verdict.FAILED, Verdict.EXPIRED, Verdict.IN_DOUBT, Verdict.REPLY_LOST}


class LastTurn:
    """Remembers how the newest utterance of this process ended, for the end of a sound file.

    The ear thread calls ``effect`` and ``failure``, the network thread ``delivery``; each stores
    one value. What the person gave up is no failure.
    """

    def __init__(self) -> None:
        self._turn_id = ""
        self._finished: Finished | None = None

    def effect(self, effect: Effect) -> None:
        """Note that an utterance is sent."""
        if isinstance(effect, SendUtterance):
            self._turn_id = effect.turn_id

    def delivery(self, event: DeliveryEvent) -> None:
        """Note how an utterance ended."""
        if isinstance(event, Finished) and event.turn_id == self._turn_id:
            self._finished = event

    def reply_started(self, turn_id: str) -> None:
        """Note nothing: the verdict tells how the turn ended."""

    def reply_ended(self, turn_id: str) -> None:
        """Note nothing, likewise."""

    def reply_heard(self, turn_id: str, playback: Playback) -> None:
        """Note nothing, likewise."""

    def failure(self) -> TurnFailed | None:
        """Return what the program ends with if the newest utterance did not succeed."""
        last = self._finished
        if last is None or last.turn_id != self._turn_id or last.verdict not in _FAILURES:
            return None
        verdict, cause = last.verdict.replace("_", " "), last.code.replace("_", " ")
        return TurnFailed(f"the last command of the input ended as {verdict} ({cause})")


class StopSignal:
    """Waits for whatever ends the program. Made and awaited by the main thread.

    A thread that dies of an exception ends the program too. A first signal ends it in order, a
    second one at once. ``finish`` and ``fail`` may be called by any thread; the first call counts.
    ``on_signal`` is called with the first signal, between any two steps of the main thread.
    """

    def __init__(self, on_signal: Callable[[], None] = lambda: None) -> None:
        self._on_first_signal = on_signal
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._handlers: list[tuple[signal.Signals, object]] = []

    def finish(self, error: JarvisEarError | None = None) -> None:
        """Everything there was to do is done; ``error`` says what of it did not succeed."""
        if error is None:
            self._over.set()
        else:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Something cannot go on."""
        if not self._over.is_set():
            self._error = error
            self._over.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end; False when it has not come in time. Raises what it failed with."""
        if not self._over.wait(timeout_s):
            return False
        if self._error is not None:
            raise self._error
        return True

    def __enter__(self) -> Self:
        self._excepthook = threading.excepthook
        threading.excepthook = self._on_thread_failure
        self._handlers = [(number, signal.signal(number, self._on_signal)) for number in SIGNALS]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        threading.excepthook = self._excepthook
        for number, handler in self._handlers:
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() gave us

    def _on_thread_failure(self, failure: threading.ExceptHookArgs) -> None:
        """End the program with what ended a thread: it must never live on, deaf."""
        self.fail(failure.exc_value or failure.exc_type())

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._over.is_set():
            os._exit(128 + number)
        self._over.set()
        self._on_first_signal()
