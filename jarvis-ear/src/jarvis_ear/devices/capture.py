"""Capture: the thread that carries sound from the source to the inbox."""

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
"""A read waits for 0.1 s at most; a thread that takes longer to stop hangs in a driver."""

ROOM_S: Final = 0.1
"""How long one wait for room in the inbox may take: a stop is noticed so soon."""

BACK_OFF_S: Final = (0.5, 1.0, 2.0, 4.0)
"""Waits between two attempts to find a lost microphone; the last one repeats: with the opening
itself, a device that is back is heard within 5 s."""

REPEAT_S: Final = 10.0
"""While the microphone is gone, a new reason is told after this time; each further one after twice
the time of the one before."""

REMIND_S: Final = 600.0
"""And the same old reason this often: a log of a week shall not be full of it."""

REST_S: Final = 0.5
"""While muted the thread shows so often that it is alive."""

_LOGGER = logging.getLogger(__name__)


class BlockSink(Protocol):
    """Where the blocks go."""

    @property
    def closed(self) -> bool:
        """Nothing is accepted any more."""

    def put(self, block: Block) -> None:
        """Take ``block`` at once."""

    def put_wait(self, block: Block, timeout_s: float) -> bool:
        """Take ``block`` when there is room, or return False."""


class Losses(Protocol):
    """What remembers a loss beyond the end of this ear. The capture thread only."""

    def carried_s(self) -> float:
        """Return for how many seconds there was no sound when this ear began; 0: there was."""

    def lasts(self, gone_s: float) -> None:
        """Note that there has been no sound for ``gone_s`` seconds."""

    def over(self) -> None:
        """Note that there is sound, or that nobody misses it."""


class Forgetful:
    """Remembers no loss. The capture thread only."""

    def carried_s(self) -> float:
        """Return 0: nothing is known of an earlier ear."""
        return 0.0

    def lasts(self, gone_s: float) -> None:
        """Do nothing."""

    def over(self) -> None:
        """Do nothing."""


class Capture:
    """Owns the source and the thread "capture" that reads it, from ``start`` to ``stop``.

    A live source that is lost is looked for until it is found; any other loss, and the end of
    sound, ends the thread. The callbacks run in that thread: ``on_block`` with the end of each
    block as soon as it is read, ``on_lost`` once per loss,
    ``on_silent`` when there is no sound in what it gives, ``on_found`` when sound comes again
    (before the block with it is put into the inbox), ``on_end`` once, with the error or None,
    unless ``stop`` came first.

    While muted, a live source is closed: no program can hear through it, least of all this one. A
    file only waits.
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
        """Where the sound comes from. Its counters may be read by any thread."""
        self._inbox = inbox
        self._on_lost = on_lost
        self._on_found = on_found
        self._on_silent = on_silent
        self._on_end = on_end
        self._on_block = on_block
        self._back_off_s = back_off_s
        self._monotonic = monotonic
        self._losses = losses or Forgetful()
        self._carried_s = 0.0  # so long there was no sound when this ear began
        self._stopping = threading.Event()
        self._muted = muted
        self._told = threading.Condition()  # guards _muted, and wakes the thread
        self._reopening = False
        self._lost_at: float | None = None
        self._reason = ""
        self.lost = ""
        """Why there is no sound from the source; empty: there is. Any thread may ask."""
        self._kind = kinds.MICROPHONE_LOST
        self.silence = ""
        """Why there is no sound in what the source gives; empty: there is. Any thread may ask."""
        self._forgets = False  # muted or unmuted: nobody knows any more what was told
        self.retry_s = 0.0
        """How long the thread waits until it looks for a lost source again. Any thread may ask."""
        self._said_at = 0.0
        self._news_wait_s = REPEAT_S
        self._seldom = Seldom()
        self._is_told = True
        self._waits: Iterator[float] = iter(())
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self.heard = threading.Event()
        """Set with the first block: the source works."""
        self.is_over = False
        """Whether the source has no more sound: nothing will move any more. Any thread may ask."""
        self.turns = 0
        """Reads, attempts to open, and looks whether it is still muted: it moves while the thread
        does."""

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
        """Have the source closed within 0.2 s. Never waits."""
        self._set_muted(muted=True)

    def unmute(self) -> None:
        """Have the source opened again. Never waits."""
        self._set_muted(muted=False)

    def reopen(self) -> None:
        """Have the source closed and opened again: it has other options now. Never waits."""
        with self._told:
            self._reopening = True
            self._told.notify_all()

    @property
    def is_muted(self) -> bool:
        """Whether the source is to be closed."""
        return self._muted

    @property
    def why_deaf(self) -> tuple[str, str]:
        """Why there is no sound, and what to do about it; both empty: there is. Any thread."""
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
            self._loss_is_over()  # nobody misses it now
        while self._muted and not self._stopped():
            self._reopening = False  # it is closed, and will be opened with the newest options
            self._forget_what_was_told()
            self._pause(REST_S)

    def _forget_what_was_told(self) -> None:
        """After a mute, however short, nobody knows of a loss: it will be told again."""
        if self._forgets:
            self._forgets = False
            self._lost_at = None
            self.lost = self.silence = ""

    def _pause(self, seconds: float) -> None:
        """Wait, unless there is a stop, a mute, an unmute or a change."""
        self.turns += 1
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
                self.turns += 1
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
        if self._carried_s and self._lost_at is None:  # it went before this ear began
            self._lost_at = self._monotonic() - self._carried_s
        if self._lost_at is not None:
            self._find()
        self._notice_silence()
        if not self.heard.is_set():
            opened = kinds.MICROPHONE_OPENED.told(SOURCE=self.source.name)
            _LOGGER.info("hearing %s", self.source.name, extra=opened)
            self.heard.set()
        if self.source.live:
            self._inbox.put(block)
            return
        while not self._stopped() and not self._inbox.put_wait(block, ROOM_S):
            self.turns += 1

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
        told = self._kind.told(SOURCE=self.source.name, REASON=error)
        self._is_told = self._seldom.now(now)
        level = logging.WARNING if self._is_told else logging.DEBUG
        _LOGGER.log(level, "microphone lost, looking for it from now on: %s", error, extra=told)
        self._on_lost(str(error))

    def _remind(self, reason: str, now: float) -> None:
        """Say that it is still gone: seldom, and sooner if there is another reason."""
        silence_s = self._news_wait_s if reason != self._reason else REMIND_S
        if now - self._said_at < silence_s:
            return
        self._reason, self._said_at, self._is_told = reason, now, True
        self._news_wait_s = min(2 * self._news_wait_s, REMIND_S)
        gone_s = now - (self._lost_at or now)
        told = kinds.MICROPHONE_STILL_LOST.told(
            SOURCE=self.source.name, REASON=reason, DEAF_MS=round(gone_s * 1000)
        )
        _LOGGER.info("still no microphone after %.0f s: %s", gone_s, reason, extra=told)

    def _loss_is_over(self) -> None:
        self._carried_s = 0.0
        self._losses.over()

    def _find(self) -> None:
        gone_s = self._monotonic() - (self._lost_at or 0.0)
        self._lost_at = None
        self.lost = ""
        self.silence = self.source.silence  # it may be as silent as before
        told = kinds.MICROPHONE_FOUND.told(SOURCE=self.source.name, DEAF_MS=round(gone_s * 1000))
        self._loss_is_over()
        level = logging.INFO if self._is_told else logging.DEBUG
        _LOGGER.log(level, "%s is back after %.1f s", self.source.name, gone_s, extra=told)
        if not self.silence:
            self._on_found()

    def _stopped(self) -> bool:
        return self._stopping.is_set() or self._inbox.closed
