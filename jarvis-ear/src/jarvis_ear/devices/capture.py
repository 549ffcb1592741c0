"""Capture: the thread that moves sound from the source to the inbox.

Every change of its state is an entry of ``TRANSITIONS``. The thread does what the state says; log
lines, the back-off and the events for the ear hang on the transitions.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, Self, TypeAlias

from jarvis_ear.audio.frames import Block
from jarvis_ear.devices.sources import EndOfSound, Source
from jarvis_ear.errors import JarvisEarError, MicrophoneBusy, MicrophoneUnavailable
from jarvis_ear.health.deaf_time import LossFile
from jarvis_ear.hearing.events import Event, MicrophoneFound, MicrophoneLost, MicrophoneSilent
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.journal import sound as kinds
from jarvis_ear.journal.kind import Kind
from jarvis_ear.log.throttle import RARE_S, Throttle
from jarvis_ear.process import NamedThread
from jarvis_ear.units import Samples

STOP_S: Final = 2.0
"""A read waits at most 0.1 s; a thread that takes longer to stop hangs in a driver."""

ROOM_S: Final = 0.1
"""Maximum seconds of one wait for room in the inbox, and so until a stop is noticed."""

BACK_OFF_S: Final = (0.5, 1.0, 2.0, 4.0)
"""Seconds between attempts to reopen a lost microphone; the last value repeats. Including the
opening itself, a device that returns is heard within 5 s."""

REST_S: Final = 0.5
"""Seconds between the thread's signs of life while muted."""

_LOGGER = logging.getLogger(__name__)


class CaptureState(StrEnum):
    """State of the source of sound."""

    OPENING = "opening"
    """No sound yet, since the start or since the end of a mute."""
    READING = "reading"
    """Sound arrives."""
    SILENT = "silent"
    """Samples arrive that are not the sound of a room."""
    LOST = "lost"
    """Nothing arrives; the source is opened again and again."""
    MUTED = "muted"
    """A live source is closed, a file is paused."""
    OVER = "over"
    """The sound has ended, or cannot be read."""


class CaptureEvent(StrEnum):
    """What happens to the source."""

    SOUND = "sound"
    SILENCE = "silence"
    FAILURE = "failure"
    MUTE = "mute"
    UNMUTE = "unmute"
    END = "end"


CaptureTransition: TypeAlias = tuple[CaptureState, Event | None]
"""The next state, and the event for the ear."""

_FOUND: Final[CaptureTransition] = (CaptureState.READING, MicrophoneFound())
_FAULTS: Final[Mapping[CaptureEvent, CaptureTransition]] = {
    CaptureEvent.SILENCE: (CaptureState.SILENT, MicrophoneSilent()),
    CaptureEvent.FAILURE: (CaptureState.LOST, MicrophoneLost()),
}
_ALWAYS: Final[Mapping[CaptureEvent, CaptureTransition]] = {
    CaptureEvent.MUTE: (CaptureState.MUTED, None),
    CaptureEvent.END: (CaptureState.OVER, None),
}

TRANSITIONS: Final[Mapping[CaptureState, Mapping[CaptureEvent, CaptureTransition]]] = {
    CaptureState.OPENING: {
        CaptureEvent.SOUND: _FOUND,  # the ear may have heard of a loss during a short mute
        **_FAULTS,
        **_ALWAYS,
    },
    CaptureState.READING: {**_FAULTS, **_ALWAYS},
    CaptureState.SILENT: {
        **_FAULTS,
        CaptureEvent.SILENCE: (CaptureState.SILENT, None),
        CaptureEvent.SOUND: _FOUND,
        **_ALWAYS,
    },
    CaptureState.LOST: {
        CaptureEvent.SOUND: _FOUND,
        CaptureEvent.SILENCE: (CaptureState.SILENT, None),  # the ear is still deaf
        **_ALWAYS,
    },
    CaptureState.MUTED: {CaptureEvent.UNMUTE: (CaptureState.OPENING, None), **_ALWAYS},
    CaptureState.OVER: {},
}


def after(state: CaptureState, event: CaptureEvent) -> CaptureTransition:
    """Return the state after ``event``, and the event for the ear; without an entry: no change."""
    return TRANSITIONS[state].get(event, (state, None))


class Capture:
    """Owns the source and the thread "capture" that reads it, from ``start`` to ``stop``.

    A lost live source is reopened with back-off; any other loss, and the end of sound, ends the
    thread. While muted, a live source is closed, so that this program cannot record through it; a
    file is only paused. The inbox gets the blocks, and each loss, silence and return before the
    block that follows.

    The callbacks run in the thread: ``on_block`` with the end of each block as soon as it is read,
    ``on_end`` once, with the error or None, unless ``stop`` came first.
    """

    def __init__(
        self,
        source: Source,
        inbox: Inbox,
        *,
        on_end: Callable[[JarvisEarError | None], None],
        on_block: Callable[[Samples], None] = lambda _end: None,
        back_off_s: tuple[float, ...] = BACK_OFF_S,
        muted: bool = False,
        losses: LossFile | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = source
        """Source of the sound. Any thread may read its counters, and call ``hold_quiet`` and
        ``keep_live``."""
        self._inbox = inbox
        self._on_end = on_end
        self._on_block = on_block
        self._back_off_s = back_off_s
        self._losses = losses or LossFile(None)
        self._monotonic = monotonic
        self._thread = NamedThread(target=self._run, name="capture", daemon=True)
        self._stopping = threading.Event()
        self._requested = threading.Condition()  # protects the next three; wakes the thread
        self._muted = muted
        self._mute_changed = False
        self._reopening = False
        self._state = CaptureState.MUTED if muted else CaptureState.OPENING
        self._failure: MicrophoneUnavailable | None = None  # the newest
        self._reason = ""  # in the last log line about the loss
        self._lost_at: float | None = None
        self._silent_at: float | None = None
        self._attempts = 0  # since the loss
        self._loss_throttle, self._silence_throttle = Throttle(), Throttle()
        self._reminders = Throttle()  # of the current loss
        self._is_loss_logged = True
        self._is_opened = False
        self.retry_s = 0.0
        """Seconds until the next attempt to open a lost source. Any thread may read it."""
        self.iterations = 0
        """Reads, attempts to open and checks for the end of a mute: it grows while the thread is
        alive."""

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def stop(self) -> bool:
        """Stop reading; False if the thread did not end within 2 s."""
        self._stopping.set()
        self._wake()
        has_ended = self._thread.end(STOP_S)
        if not has_ended:
            _LOGGER.warning("%s did not stop within %g s", self.source.name, STOP_S)
        return has_ended

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def mute(self) -> None:
        """Request that the source is closed, which takes at most 0.2 s. Never blocks."""
        self._set_muted(muted=True)

    def unmute(self) -> None:
        """Request that the source is opened again. Never blocks."""
        self._set_muted(muted=False)

    def reopen(self) -> None:
        """Request that the source is closed and opened again, with new options. Never blocks."""
        with self._requested:
            self._reopening = True
        self._wake()

    @property
    def is_muted(self) -> bool:
        """Whether a mute was requested."""
        return self._muted

    @property
    def is_over(self) -> bool:
        """Whether the source has ended, so that ``iterations`` stands still. Any thread."""
        return self._state is CaptureState.OVER

    @property
    def lost(self) -> str:
        """Why the source delivers nothing; empty if it does. Any thread may read it."""
        return str(self._failure) if self._state is CaptureState.LOST else ""

    @property
    def silence(self) -> str:
        """Why the source delivers only silence; empty if it does not. Any thread may read it."""
        return self.source.silence if self._state is CaptureState.SILENT else ""

    @property
    def why_deaf(self) -> tuple[str, str]:
        """Why there is no sound, and the remedy; both empty if there is sound. Any thread."""
        if lost := self.lost:
            return lost, self._kind_of_loss.advice
        silence = self.silence
        return silence, kinds.MICROPHONE_SILENT.advice if silence else ""

    def _set_muted(self, *, muted: bool) -> None:
        with self._requested:
            self._muted = muted
            self._mute_changed = True
        self._wake()

    def _wake(self) -> None:
        """Wake the thread: it waits for a request, or in a read."""
        with self._requested:
            self._requested.notify_all()
        self.source.interrupt()

    def _run(self) -> None:
        try:
            self._continue_loss()
            while not self._stopped():
                self._take_requests()
                if self._state is CaptureState.MUTED:
                    self._wait(REST_S)
                else:
                    self._read_or_wait()
        except JarvisEarError as error:
            self._end(error)
        except EndOfSound:
            self._end(None)

    def _end(self, error: JarvisEarError | None) -> None:
        self._advance(CaptureEvent.END)
        if not self._stopping.is_set():
            self._on_end(error)

    def _read_or_wait(self) -> None:
        try:
            self._read()
        except MicrophoneUnavailable as error:
            if not self.source.live:
                raise
            reopening = self._take_requests()  # a mute before the failure hides an older loss
            self._fail(error)
            if not reopening:
                self._wait(self.retry_s)

    def _read(self) -> None:
        """Open the source and read it until it has to be closed."""
        try:
            self.source.open()
            while not self._stopped():
                self.iterations += 1
                if self._take_requests() or (self._muted and self.source.live):
                    return
                if self._state is CaptureState.MUTED:
                    self._wait(REST_S)
                elif block := self.source.read():
                    self._on_block(block.end)
                    self._hand_over(block)
        finally:
            self.source.close()

    def _hand_over(self, block: Block) -> None:
        self._advance(CaptureEvent.SILENCE if self.source.silence else CaptureEvent.SOUND)
        if not self._is_opened:
            self._is_opened = True
            opened = kinds.MICROPHONE_OPENED.fields(SOURCE=self.source.name)
            _LOGGER.info("hearing %s", self.source.name, extra=opened)
        if self.source.live:
            self._inbox.put(block)
            return
        while not self._stopped() and not self._inbox.put_wait(block, ROOM_S):
            self.iterations += 1

    def _take_requests(self) -> bool:
        """Apply a mute or its end, even of a mute that is over; return whether to reopen."""
        with self._requested:
            mute_changed, muted, reopening = self._mute_changed, self._muted, self._reopening
            self._mute_changed = self._reopening = False
        if mute_changed:
            self._advance(CaptureEvent.MUTE)
        if mute_changed and not muted:
            self._advance(CaptureEvent.UNMUTE)
        return reopening

    def _wait(self, seconds: float) -> None:
        """Wait up to ``seconds``, or until a stop or a request."""
        self.iterations += 1
        with self._requested:
            self._requested.wait_for(
                lambda: self._stopped() or self._reopening or self._mute_changed, seconds
            )

    def _stopped(self) -> bool:
        return self._stopping.is_set() or self._inbox.closed

    def _fail(self, failure: MicrophoneUnavailable) -> None:
        self._failure = failure
        self._advance(CaptureEvent.FAILURE)
        self.retry_s = self._back_off_s[min(self._attempts, len(self._back_off_s) - 1)]
        self._attempts += 1

    def _advance(self, event: CaptureEvent) -> None:
        old = self._state
        self._state, told = after(old, event)
        match old, self._state:
            case CaptureState.LOST, CaptureState.LOST:
                self._remind()
            case _, CaptureState.LOST:
                self._report_loss()
            case _, CaptureState.MUTED:
                self._forget_loss()
            case _, CaptureState.SILENT:
                self._report_return()
                self._report_silence()
            case _, CaptureState.READING if old is not CaptureState.READING:
                self._report_return()
                self._report_sound()
        if told is not None:
            self._inbox.tell(told)

    def _continue_loss(self) -> None:
        """Continue a loss that began before this process; a mute ends it."""
        if self._state is CaptureState.MUTED:
            self._forget_loss()
        elif self.source.live and (carried_s := self._losses.carried_s()):
            self._lost_at = self._monotonic() - carried_s

    def _forget_loss(self) -> None:
        self._lost_at = None
        self._losses.over()

    @property
    def _kind_of_loss(self) -> Kind:
        is_busy = isinstance(self._failure, MicrophoneBusy)
        return kinds.MICROPHONE_BUSY if is_busy else kinds.MICROPHONE_LOST

    def _report_loss(self) -> None:
        now, self._attempts, self._reason = self._monotonic(), 0, self.lost
        self._lost_at = now if self._lost_at is None else self._lost_at
        self._losses.lasts(now - self._lost_at)
        self._reminders = Throttle()
        self._reminders.allows(now)
        self._is_loss_logged = self._loss_throttle.allows(now)
        level = logging.WARNING if self._is_loss_logged else logging.DEBUG
        fields = self._kind_of_loss.fields(SOURCE=self.source.name, REASON=self._reason)
        words = "microphone lost, looking for it from now on: %s"
        _LOGGER.log(level, words, self._reason, extra=fields)

    def _remind(self) -> None:
        """Log that the source is still lost: rarely, and sooner if the reason is new."""
        now, name, reason = self._monotonic(), self.source.name, self.lost
        gone_s = now - (self._lost_at or now)
        self._losses.lasts(gone_s)
        if self._reminders.allows(now, least_s=RARE_S if reason == self._reason else 0):
            self._reason, self._is_loss_logged = reason, True
            fields = kinds.MICROPHONE_STILL_LOST.fields(
                SOURCE=name, REASON=reason, DEAF_MS=_ms(gone_s)
            )
            _LOGGER.info("still no microphone after %.0f s: %s", gone_s, reason, extra=fields)

    def _report_return(self) -> None:
        """Report the end of a loss, if there was one."""
        if self._lost_at is not None:
            name = self.source.name
            gone_s = self._monotonic() - self._lost_at
            self._forget_loss()
            level = logging.INFO if self._is_loss_logged else logging.DEBUG
            fields = kinds.MICROPHONE_FOUND.fields(SOURCE=name, DEAF_MS=_ms(gone_s))
            _LOGGER.log(level, "%s is back after %.1f s", name, gone_s, extra=fields)

    def _report_silence(self) -> None:
        """Warn of silence; rarely, as a microphone with a noise gate is silent after every word."""
        if self._silent_at is None:
            self._silent_at = now = self._monotonic()
            level = logging.WARNING if self._silence_throttle.allows(now) else logging.DEBUG
            fields = kinds.MICROPHONE_SILENT.fields(SOURCE=self.source.name)
            _LOGGER.log(level, "%s", self.source.silence, extra=fields)

    def _report_sound(self) -> None:
        """Report the end of silence, if there was one."""
        if self._silent_at is not None:
            silent_s, self._silent_at = self._monotonic() - self._silent_at, None
            name = self.source.name
            level = logging.INFO if self._silence_throttle.allowed else logging.DEBUG
            fields = kinds.MICROPHONE_HEARD_AGAIN.fields(SOURCE=name, DEAF_MS=_ms(silent_s))
            _LOGGER.log(level, "%s gives sound again", name, extra=fields)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
