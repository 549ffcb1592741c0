"""Local ear: hears a microphone or a sound file in this process, for its feed only."""

import logging
from collections.abc import Mapping
from contextlib import ExitStack, closing
from typing import Any, Final, Self

from jarvis_ear import config
from jarvis_ear.control.feed import Feed, FeedSampler
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.models import EarFactory
from jarvis_ear.devices.sources import check_source, make_source
from jarvis_ear.errors import DeviceError, JarvisEarError, MicrophoneBusy
from jarvis_ear.health.liveness import Beat
from jarvis_ear.health.report import Health
from jarvis_ear.hearing.ear_thread import EarThread
from jarvis_ear.hearing.events import Effect, ReplyEnded, SendUtterance, State, TurnDropped
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.journal.kind import advice_for
from jarvis_ear.turn_trace.history import TurnHistory
from jarvis_ear.turn_trace.json_views import ConsoleView
from jarvis_ear.turn_trace.near_miss_view import NearMissView

NOT_SENT: Final = "nothing is sent"
"""Why each turn ends without a reply."""

_LOGGER = logging.getLogger("jarvis_ear")


class LocalEar:
    """An ear without a backend and a loudspeaker, inside a ``with``. Owned by the main thread.

    It hears as the running ear does and ends each turn when an answer would come. It sends and
    stores nothing, and its log lines go nowhere.
    """

    def __init__(self, options: config.Config) -> None:
        """Load the models and try the source; raise ``JarvisEarError``."""
        self.feed = Feed()
        """The topics of this ear, as the running ear has them."""
        self.failure: BaseException | None = None
        """What ended it: an error of the source, or a bug."""
        self.is_over = False
        """Whether the sound and the last turn are over."""
        self._silence_log = logging.NullHandler()  # without it, warnings go to standard error
        self._inbox = Inbox()
        self._sent = ""  # the newest turn with an utterance; set by the ear thread
        self._ended = ""  # the newest turn that was ended here; set by the main thread
        self._near_misses = NearMissView(_LOGGER, self.feed)
        self._turns = TurnHistory(options, ConsoleView(self.feed), self._near_misses)
        models = EarFactory()
        models.load(options.hearing)
        _require_source(options.microphone)
        self._ear = models.make(options.hearing, may_interrupt=False)
        self._thread = EarThread(
            self._ear,
            self._inbox,
            self._take,
            on_finished=self._finish,
            on_failure=self._fail,
        )
        self._capture = Capture(make_source(options.microphone), self._inbox, on_end=self._end)
        self._capture.source.keep_live("monitor", wanted=True)
        self._health = Health(self._thread, Beat(()), details=self._details)
        self._sampler = FeedSampler(
            self.feed, self._thread, health=self._health.report, mute=_NotMuted()
        )
        self._parts = ExitStack()

    def __enter__(self) -> Self:
        _LOGGER.addHandler(self._silence_log)
        self._parts.callback(_LOGGER.removeHandler, self._silence_log)
        self._parts.enter_context(self._thread)
        self._parts.enter_context(self._capture)
        self.feed.put("ear", {"up": True})
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    def look(self) -> None:
        """Update the feed, and end a turn whose answer is due; called a few times a second."""
        turn_id = self._sent
        is_complete = self._capture.is_over or not self._ear.expects_more
        if turn_id != self._ended and self._ear.state is State.THINKING and is_complete:
            self._ended = turn_id
            self._turns.after(TurnDropped(turn_id, NOT_SENT))
            self._inbox.tell(ReplyEnded(turn_id))
        self._health.look()
        self._near_misses.look()
        self._sampler.look()

    def _take(self, effect: Effect) -> None:
        """Note an effect of the ear. Ear thread."""
        if isinstance(effect, SendUtterance):
            self._sent = effect.turn_id
        self._turns.after(effect)

    def _end(self, error: JarvisEarError | None) -> None:
        """Take the end of the sound. Capture thread."""
        if error is None:
            self._thread.sound_ended()
        else:
            self._fail(error)

    def _finish(self) -> None:
        self.is_over = True

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
        self.is_over = True

    def _details(self) -> Mapping[str, Any]:
        """Return what the parts know for the health report."""
        reason, remedy = self._capture.why_deaf
        source, inbox = self._capture.source, self._inbox
        fields: dict[str, Any] = {
            "deaf_reason": reason,
            "deaf_remedy": advice_for(remedy, ""),
            "connected": False,
            "backend_reason": f"this ear is for looking at only, {NOT_SENT}",
            "source": source.name,
            "dropped_samples": inbox.dropped_samples,
            "dropped_events": inbox.dropped_events,
            **self._near_misses.details(),
        }
        if isinstance(source, Microphone):
            fields["samples_lost"] = source.samples_lost
            fields["clipped_percent"] = round(100 * source.clipped, 2)
            fields["hears_own_speaker"] = source.is_monitor
        return fields


class _NotMuted:
    """The mute of an ear that cannot be muted. Immutable."""

    by: tuple[str, ...] = ()
    until = ""


def _require_source(options: config.MicrophoneOptions) -> None:
    """Raise the error of a source that cannot be opened."""
    check_source(options, waits=False)
    if options.input:
        return
    try:
        with closing(make_source(options)) as source:
            source.open()
    except MicrophoneBusy as error:
        advice = "jarvis-ear monitor alone shows the running ear"
        raise DeviceError(f"{error}; {advice}, or stop what holds the microphone") from error
