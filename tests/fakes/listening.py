"""An ear that listens while something else is tested: nothing of what it hears may be lost.

``with Listening() as listening: ...`` runs the real capture thread, inbox and ear thread of the
daemon on a microphone that keeps to the clock. What is lost shows in ``lost``.
"""

import threading
import time
from collections.abc import Callable
from typing import Final, Self

from fakes.hearing import Kind, ScriptedEar, written
from jarvis_ear.audio.frames import Block
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.sound_library import Quiet
from jarvis_ear.errors import JarvisEarError
from jarvis_ear.hearing.ear_thread import EarThread
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.units import SAMPLE_RATE, Samples

BUFFER_S: Final = 2.0
"""As much as the inbox: a test shares its process with its own servers, and the machine."""

PIECE: Final = 320
"""20 ms, as the microphone reads."""


class ClockedMicrophone:
    """A live ``Source``: has sound as time goes by. For the capture thread.

    Sound that is not fetched is lost. ``watch`` is called with every piece.
    """

    live = True
    silence = ""
    name = "clocked microphone"

    def __init__(self, watch: Callable[[], None]) -> None:
        self._watch = watch
        self._sound = written(Kind.SILENCE, 20)
        self._began = 0.0
        self._next = 0
        self.lost = 0
        """Samples that were not fetched."""

    def open(self) -> None:
        self._began = time.monotonic()

    def read(self) -> Block | None:
        heard = int((time.monotonic() - self._began) * SAMPLE_RATE)
        missing = self._next + PIECE - heard
        if missing > 0:
            threading.Event().wait(missing / SAMPLE_RATE)
        overrun = heard - self._next - int(BUFFER_S * SAMPLE_RATE)
        if overrun > 0:
            self.lost += overrun
            self._next += overrun
        self._watch()
        block = Block(Samples(self._next), self._sound)
        self._next += PIECE
        return block

    def close(self) -> None:
        """Nothing is held."""

    def hold_quiet(self, quiet: Quiet) -> None:
        """Nothing is kept back."""

    def keep_live(self, reason: str, *, wanted: bool) -> None:
        """Nothing is kept back."""

    def interrupt(self) -> None:
        """No read waits long."""


class Listening:
    """Listens inside a ``with``. Its threads are the daemon's.

    ``on_lost`` is called once, in the capture thread, with what was lost, by where.
    """

    def __init__(self, on_lost: Callable[[dict[str, int]], None] = lambda _lost: None) -> None:
        self._on_lost = on_lost
        self._has_told = False
        self._microphone = ClockedMicrophone(self._watch)
        self._inbox = Inbox()
        self._failures: list[BaseException] = []
        self._ear = EarThread(
            ScriptedEar().ear,
            self._inbox,
            lambda _effect: None,
            on_finished=lambda: None,
            on_failure=self._failures.append,
        )
        self._capture = Capture(self._microphone, self._inbox, on_end=self._note_end)

    def __enter__(self) -> Self:
        self._ear.__enter__()
        self._capture.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._capture.stop()
        self._ear.__exit__()
        assert self._failures == []
        if kind is None:
            assert not self.lost, f"samples were lost: {self.lost}"

    @property
    def lost(self) -> dict[str, int]:
        places: dict[str, Callable[[], int]] = {
            "microphone": lambda: self._microphone.lost,
            "inbox": lambda: self._inbox.dropped_samples,
            "events": lambda: self._inbox.dropped_events,
            "ear": lambda: self._ear.samples_lost,
        }
        return {name: count() for name, count in places.items() if count()}

    @property
    def frames(self) -> int:
        return self._ear.frames

    def _watch(self) -> None:
        if self.lost and not self._has_told:
            self._has_told = True
            self._on_lost(self.lost)

    def _note_end(self, error: JarvisEarError | None) -> None:
        self._failures.append(error or RuntimeError("the sound ended"))
