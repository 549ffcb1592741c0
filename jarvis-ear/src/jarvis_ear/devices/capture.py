"""Capture: the thread that moves sound from the source to the inbox."""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol, Self

from jarvis_ear.audio.frames import Block
from jarvis_ear.devices.sources import EndOfSound, Source
from jarvis_ear.errors import JarvisEarError, MicrophoneBusy, MicrophoneUnavailable
from jarvis_ear.journal import sound as kinds
from jarvis_ear.log.throttle import Seldom
from jarvis_ear.units import Samples

STOP_S: Final = 2.0
"""A read waits at most 0.1 s; a thread that takes longer to stop hangs in a driver."""

ROOM_S: Final = 0.1
"""Maximum seconds of one wait for room in the inbox, and so until a stop is noticed."""

BACK_OFF_S: Final = (0.5, 1.0, 2.0, 4.0)
"""Seconds between attempts to reopen a lost microphone; the last value repeats. Including the
opening itself, a device that returns is heard within 5 s."""

REPEAT_S: Final = 10.0
"""Seconds until a new reason for the loss is logged; the time doubles with each further one."""

REMIND_S: Final = 600.0
"""Seconds between log lines with the same reason, so that they do not fill a log of a week."""

REST_S: Final = 0.5
"""Seconds between the thread's signs of life while muted."""

_LOGGER = logging.getLogger(__name__)


class BlockSink(Protocol):
    """Receiver of the blocks."""

    @property
    def closed(self) -> bool:
        """Whether blocks are no longer accepted."""

    def put(self, block: Block) -> None:
        """Take ``block`` at once."""

    def put_wait(self, block: Block, timeout_s: float) -> bool:
        """Take ``block`` when there is room; return False if there is none within ``timeout_s``."""


class Losses(Protocol):
    """Record of a loss of sound that outlives the process. The capture thread only."""

    def carried_s(self) -> float:
        """Return the seconds without sound before this process started; 0: there was sound."""

    def lasts(self, gone_s: float) -> None:
        """Note that there has been no sound for ``gone_s`` seconds."""

    def over(self) -> None:
        """Note that there is sound again, or that none is wanted."""


class Forgetful:
    """``Losses`` without a record. The capture thread only."""

    def carried_s(self) -> float:
        """Return 0: nothing is known of an earlier process."""
        return 0.0

    def lasts(self, gone_s: float) -> None:
        """Do nothing."""

    def over(self) -> None:
        """Do nothing."""


class Capture:
    """Owns the source and the thread "capture" that reads it, from ``start`` to ``stop``.

    A lost live source is reopened with back-off; any other loss, and the end of sound, ends the
    thread. The callbacks run in that thread: ``on_block`` with the end of each block as soon as it
    is read, ``on_lost`` once per loss, ``on_silent`` when the source delivers only silence,
    ``on_found`` when sound returns (before its block is put into the inbox), ``on_end`` once, with
    the error or None, unless ``stop`` came first.

    While muted, a live source is closed, so that this program cannot record through it. A file is
    only paused.
    """

    def __init__(
        self,
        source: Source,
        inbox: BlockSink,
        *,
        on_lost: Callable[[str], None],
        on_found: Callable[[], None],
        on_silent: Callable[[str], None] = lambda _reason: None,
        on_end: Callable[[JarvisEarError | None], None],
        on_block: Callable[[Samples], None] = lambda _end: None,
        back_off_s: tuple[float, ...] = BACK_OFF_S,
        muted: bool = False,
        losses: Losses | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = source
        """Source of the sound. Any thread may read its counters."""
        self._inbox = inbox
        self._on_lost = on_lost
        self._on_found = on_found
        self._on_silent = on_silent
        self._on_end = on_end
        self._on_block = on_block
        self._back_off_s = back_off_s
        self._monotonic = monotonic
        self._losses = losses or Forgetful()
        self._carried_s = 0.0  # seconds without sound before this process started
        self._stopping = threading.Event()
        self._muted = muted
        self._told = threading.Condition()  # guards _muted, and wakes the thread
        self._reopening = False
        self._lost_at: float | None = None
        self._reason = ""
        self.lost = ""
        """Why the source delivers nothing; empty if it does. Any thread may read it."""
        self._kind = kinds.MICROPHONE_LOST
        self.silence = ""
        """Why the source delivers only silence; empty if it does not. Any thread may read it."""
        self._forgets = False  # set by mute and unmute: report a loss anew
        self.retry_s = 0.0
        """Seconds until the next attempt to open a lost source. Any thread may read it."""
        self._said_at = 0.0
        self._news_wait_s = REPEAT_S
        self._seldom = Seldom()
        self._is_told = True
        self._waits: Iterator[float] = iter(())
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self.heard = threading.Event()
        """Set with the first block, which shows that the source works."""
        self.is_over = False
        """Whether the source has ended, so that ``turns`` stands still. Any thread may read it."""
        self.iterations = 0
        """Reads, attempts to open and checks for the end of a mute: it grows while the thread is
        alive."""

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def stop(self) -> bool:
        """Stop reading; False if the thread did not end within 2 s."""
        self._stopping.set()
        with self._told:
            self._told.notify_all()
        if self._thread.ident is None:
            return True
        self._thread.join(STOP_S)
        if self._thread.is_alive():
            _LOGGER.warning("%s did not stop within %g s", self.source.name, STOP_S)
        return not self._thread.is_alive()

    def mute(self) -> None:
        """Request that the source is closed, which takes at most 0.2 s. Never blocks."""
        self._set_muted(muted=True)

    def unmute(self) -> None:
        """Request that the source is opened again. Never blocks."""
        self._set_muted(muted=False)

    def reopen(self) -> None:
        """Request that the source is closed and opened again, with new options. Never blocks."""
        with self._told:
            self._reopening = True
            self._told.notify_all()

    @property
    def is_muted(self) -> bool:
        """Whether the capture is muted."""
        return self._muted

    @property
    def why_deaf(self) -> tuple[str, str]:
        """Why there is no sound, and the remedy; both empty if there is sound. Any thread."""
        if lost := self.lost:
            return lost, self._kind.advice
        silence = self.silence
        return silence, kinds.MICROPHONE_SILENT.advice if silence else ""

    def _set_muted(self, *, muted: bool) -> None:
        with self._told:
            self._muted = muted
            self._forgets = True
            self._told.notify_all()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            self._read_on()
        except JarvisEarError as error:
            self._end(error)
        except EndOfSound:
            self._end(None)

    def _end(self, error: JarvisEarError | None) -> None:
        self.is_over = True
        if not self._stopping.is_set():
            self._on_end(error)

    def _read_on(self) -> None:
        if self.source.live:
            self._carried_s = self._losses.carried_s()
        while not self._stopped():
            try:
                self._rest_while_muted()
                self._read_until_stopped()
            except MicrophoneUnavailable as error:
                if not self.source.live:
                    raise
                self._lose(error)
                self.retry_s = next(self._waits)
                self._pause(self.retry_s)

    def _rest_while_muted(self) -> None:
        if self._muted:
            self._loss_is_over()  # no sound is wanted while muted
        while self._muted and not self._stopped():
            self._reopening = False  # it is closed, and will be opened with the current options
            self._forget_what_was_told()
            self._pause(REST_S)

    def _forget_what_was_told(self) -> None:
        """After a mute, however short, forget a loss, so that it is reported again."""
        if self._forgets:
            self._forgets = False
            self._lost_at = None
            self.lost = self.silence = ""

    def _pause(self, seconds: float) -> None:
        """Wait up to ``seconds``, or until a stop, a mute, an unmute or a change."""
        self.iterations += 1
        with self._told:
            was = self._muted
            self._told.wait_for(
                lambda: self._stopped() or self._reopening or self._muted is not was, seconds
            )

    def _read_until_stopped(self) -> None:
        try:
            self._reopening = False
            if not self._stopped():
                self.source.open()
            while not self._stopped() and not self._must_close():
                self.iterations += 1
                block = None if self._muted else self.source.read()
                if block is not None:
                    self._on_block(block.end)
                    self._hand_over(block)
                elif self._muted:
                    self._pause(REST_S)
        finally:
            self.source.close()

    def _must_close(self) -> bool:
        return self._reopening or (self._muted and self.source.live)

    def _hand_over(self, block: Block) -> None:
        self._forget_what_was_told()
        if self._carried_s and self._lost_at is None:  # lost before this process started
            self._lost_at = self._monotonic() - self._carried_s
        if self._lost_at is not None:
            self._find()
        self._notice_silence()
        if not self.heard.is_set():
            opened = kinds.MICROPHONE_OPENED.fields(SOURCE=self.source.name)
            _LOGGER.info("hearing %s", self.source.name, extra=opened)
            self.heard.set()
        if self.source.live:
            self._inbox.put(block)
            return
        while not self._stopped() and not self._inbox.put_wait(block, ROOM_S):
            self.iterations += 1

    def _notice_silence(self) -> None:
        was, self.silence = self.silence, self.source.silence
        if self.silence and not was:
            self._on_silent(self.silence)
        elif was and not self.silence:
            self._on_found()

    def _lose(self, error: MicrophoneUnavailable) -> None:
        self._forget_what_was_told()
        now = self._monotonic()
        self.lost = str(error)
        self._kind = (
            kinds.MICROPHONE_BUSY if isinstance(error, MicrophoneBusy) else kinds.MICROPHONE_LOST
        )
        if self._lost_at is not None:
            self._remind(str(error), now)
            self._losses.lasts(now - self._lost_at)
            return
        self._lost_at, self._said_at = now - self._carried_s, now
        self._losses.lasts(self._carried_s)
        self._reason = str(error)
        self._news_wait_s = REPEAT_S
        self._waits = itertools.chain(self._back_off_s, itertools.repeat(self._back_off_s[-1]))
        fields = self._kind.fields(SOURCE=self.source.name, REASON=error)
        self._is_told = self._seldom.now(now)
        level = logging.WARNING if self._is_told else logging.DEBUG
        _LOGGER.log(level, "microphone lost, looking for it from now on: %s", error, extra=fields)
        self._on_lost(str(error))

    def _remind(self, reason: str, now: float) -> None:
        """Log that the source is still lost: rarely, and sooner if the reason is new."""
        silence_s = self._news_wait_s if reason != self._reason else REMIND_S
        if now - self._said_at < silence_s:
            return
        self._reason, self._said_at, self._is_told = reason, now, True
        self._news_wait_s = min(2 * self._news_wait_s, REMIND_S)
        gone_s = now - (self._lost_at or now)
        fields = kinds.MICROPHONE_STILL_LOST.fields(
            SOURCE=self.source.name, REASON=reason, DEAF_MS=round(gone_s * 1000)
        )
        _LOGGER.info("still no microphone after %.0f s: %s", gone_s, reason, extra=fields)

    def _loss_is_over(self) -> None:
        self._carried_s = 0.0
        self._losses.over()

    def _find(self) -> None:
        gone_s = self._monotonic() - (self._lost_at or 0.0)
        self._lost_at = None
        self.lost = ""
        self.silence = self.source.silence  # the source may be as silent as before
        fields = kinds.MICROPHONE_FOUND.fields(
            SOURCE=self.source.name, DEAF_MS=round(gone_s * 1000)
        )
        self._loss_is_over()
        level = logging.INFO if self._is_told else logging.DEBUG
        _LOGGER.log(level, "%s is back after %.1f s", self.source.name, gone_s, extra=fields)
        if not self.silence:
            self._on_found()

    def _stopped(self) -> bool:
        return self._stopping.is_set() or self._inbox.closed
