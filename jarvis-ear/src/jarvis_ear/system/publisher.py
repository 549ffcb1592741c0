"""Publisher: what happens in the ear, written into the feed for a console."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, assert_never

from jarvis_ear.delivery.events import (
    Answered,
    DeliveryEvent,
    Finished,
    Kept,
    LinkDown,
    LinkUp,
    PartlyTranscribed,
    Processing,
    Refused,
    ReplyAudio,
    Sent,
    SentencesMissing,
    StillWaiting,
    Thinking,
    Transcribed,
    TurnEvent,
    UnaskedSpeech,
)
from jarvis_ear.delivery.playback import Playback, Unheard
from jarvis_ear.hearing.events import (
    AbandonTurn,
    Effect,
    SendUtterance,
    StateChanged,
    StopSpeaking,
    TurnDropped,
    TurnOpened,
)
from jarvis_ear.system import turn_words as words
from jarvis_ear.system.feed import Feed
from jarvis_ear.system.turn_news import TurnNews
from jarvis_ear.system.turn_story import Stage, TurnStory

MAX_TURNS: Final = 12
"""As many as a person looks back on; the ledger and the log know the others."""


class Publisher:
    """Keeps the feed's topics of state, link and turns true.

    The ear thread calls ``effect``, the network thread ``delivery``, the speaker thread
    ``reply_started`` and ``reply_ended``. One lock protects the turns. At most ``MAX_TURNS`` are
    kept; the oldest goes first. What was said stays in memory only, and only with ``transcripts``.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        transcripts: bool,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._feed = feed
        self._transcripts = transcripts
        self._now = now
        self._wall = wall
        self._lock = threading.Lock()
        self._turns: OrderedDict[str, TurnNews] = OrderedDict()

    def change(self, *, transcripts: bool) -> None:
        """Note words from now on, or forget those that are shown. Any thread."""
        with self._lock:
            self._transcripts = transcripts
            if transcripts:
                return
            for turn_id, turn in self._turns.items():
                turn.forget_words()
                self._show(turn_id)
            self._feed.make_void()  # of those who have not read yet what was said

    def effect(self, effect: Effect) -> None:
        """Note what the ear decided."""
        with self._lock:
            match effect:
                case StateChanged(_, new):
                    told = {"name": str(new), "why": words.why(effect), "at": self._wall()}
                    self._feed.put("state", told)
                case TurnOpened():
                    self._open(effect)
                case SendUtterance(turn_id, utterance):
                    self._turn(turn_id).capture(utterance, self._now())
                    self._show(turn_id)
                case TurnDropped(turn_id, reason):
                    turn = self._turn(turn_id)
                    turn.outcome, turn.cause = "dropped", words.reason(reason)
                    self._show(turn_id)
                case StopSpeaking(turn_id):
                    self._stop_waiting(turn_id, Unheard.INTERRUPTED)
                case AbandonTurn(turn_id, reason):
                    self._stop_waiting(turn_id, words.stopped_by(reason))
                case _:
                    pass  # not of interest to whoever looks on

    def delivery(self, event: DeliveryEvent) -> None:
        """Note what became of an utterance."""
        with self._lock:
            match event:
                case LinkUp(url):
                    self._feed.put("link", {"up": True, "url": url, "at": self._wall()})
                case LinkDown(reason):
                    self._feed.put("link", {"up": False, "why": reason, "at": self._wall()})
                case UnaskedSpeech():
                    pass  # it belongs to no turn
                case _:
                    self._follow(event)

    def reply_started(self, turn_id: str) -> None:
        """Note the first sound of a reply."""
        with self._lock:
            self._reach(turn_id, Stage.FIRST_AUDIO)

    def reply_heard(self, turn_id: str, playback: Playback) -> None:
        """Note what the loudspeaker made of a reply so far."""
        with self._lock:
            if turn_id in self._turns:
                self._turns[turn_id].story.playback = playback

    def reply_ended(self, turn_id: str) -> None:
        """Note the last sound of a reply."""
        with self._lock:
            if turn_id in self._turns:
                self._turns[turn_id].story.end()
                self._end_if_over(turn_id)

    def _follow(  # noqa: C901, PLR0912 - one case for each event
        self, event: TurnEvent
    ) -> None:
        turn, now, words_shown = self._turn(event.turn_id), self._now(), self._transcripts
        match event:
            case Sent():
                turn.story.reach(Stage.SENT, now)
            case Processing():
                turn.story.reach(Stage.PROCESSING, now)
            case PartlyTranscribed(_, text):
                turn.understand_partly(text, words=words_shown)
            case Transcribed(_, text):
                turn.understand(text, now, words=words_shown)
            case Thinking(_, provider):
                turn.provider = provider
            case Answered(_, text):
                turn.answer(text, words=words_shown)
            case StillWaiting():
                turn.story.wait_on()
            case Refused():
                pass  # the log tells of it
            case ReplyAudio():
                turn.chunks += 1
            case SentencesMissing():
                pass  # what was heard is shown with the verdict
            case Finished():
                turn.finish(event, now)
            case Kept():
                turn.outcome = "kept"
            case _:
                assert_never(event)
        self._show(event.turn_id)

    def _open(self, opened: TurnOpened) -> None:
        story = self._turn(opened.turn_id).story
        story.score = opened.score
        story.wake_at = None if opened.score is None else opened.at
        self._show(opened.turn_id)

    def _reach(self, turn_id: str, stage: Stage) -> None:
        if turn_id in self._turns:  # an announcement has no turn
            self._turns[turn_id].story.reach(stage, self._now())
            self._show(turn_id)

    def _stop_waiting(self, turn_id: str, why: Unheard) -> None:
        if turn_id in self._turns:
            self._turns[turn_id].story.stop(why)
            self._end_if_over(turn_id)

    def _end_if_over(self, turn_id: str) -> None:
        self._turns[turn_id].end_if_over(self._now())
        self._show(turn_id)

    def _turn(self, turn_id: str) -> TurnNews:
        """Find a turn, or begin one; the oldest gives way."""
        if turn_id not in self._turns:
            self._turns[turn_id] = TurnNews(TurnStory(turn_id), self._wall())
            if len(self._turns) > MAX_TURNS:
                oldest, _ = self._turns.popitem(last=False)
                self._feed.put(f"turn:{oldest}", None)
        return self._turns[turn_id]

    def _show(self, turn_id: str) -> None:
        self._feed.put(f"turn:{turn_id}", self._turns[turn_id].value())
