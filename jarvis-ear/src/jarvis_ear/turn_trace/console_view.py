"""Console view: the turns of the ear as topics of the feed."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from jarvis_ear import __version__
from jarvis_ear.config import Config
from jarvis_ear.control.feed import Feed
from jarvis_ear.delivery.events import (
    Answered,
    DeliveryEvent,
    Finished,
    Kept,
    LinkDown,
    LinkUp,
    PartlyTranscribed,
    ProcessingStarted,
    Refused,
    ReplyAudio,
    Sent,
    SentencesMissing,
    StillWaiting,
    ThinkingStarted,
    Transcribed,
    TurnEvent,
    UnaskedSpeech,
)
from jarvis_ear.delivery.playback import Playback, Unheard
from jarvis_ear.devices.models import wake_word
from jarvis_ear.hearing.events import (
    AbandonTurn,
    Effect,
    SendUtterance,
    State,
    StateChanged,
    StopSpeaking,
    TurnDropped,
    TurnOpened,
)
from jarvis_ear.hearing.utterance import CapturedUtterance
from jarvis_ear.turn_trace import words
from jarvis_ear.turn_trace.trace import Stage, TurnStory

MAX_QUOTED: Final = 2000
"""Characters of a text from the backend: more than anybody says in half a minute, or reads."""


@dataclass(slots=True)
class TurnNews:
    """What is shown of one turn. Owned by the publisher, under its lock."""

    story: TurnStory
    """When what was reached."""
    began_at: float
    """Seconds since 1970."""
    outcome: str = ""
    """How it ended; empty while it goes on."""
    cause: str = ""
    """Why it ended so, where there is more to say."""
    provider: str = ""
    """Who was asked for the answer."""
    chunks: int = 0
    """Pieces of spoken reply so far."""
    heard: dict[str, object] = field(default_factory=dict)
    """What was said: how long it was, and the words if the owner wants them shown."""

    def capture(self, utterance: CapturedUtterance, now: float) -> None:
        """Note the utterance."""
        self.story.capture(utterance, now)

    def understand_partly(self, text: str, *, words: bool) -> None:
        """Note what was understood so far."""
        self._quote("characters", "partial", text, words=words)

    def understand(self, text: str, now: float, *, words: bool) -> None:
        """Note the transcript."""
        self.story.reach(Stage.TRANSCRIPT, now)
        self.heard.pop("partial", None)
        self._quote("characters", "transcript", text, words=words)

    def answer(self, text: str, *, words: bool) -> None:
        """Note the answer, where the wire says it as text."""
        self._quote("reply_characters", "reply", text, words=words)

    def forget_words(self) -> None:
        """Have known only how long they were."""
        for name in ("partial", "transcript", "reply"):
            self.heard.pop(name, None)

    def finish(self, finished: Finished, now: float) -> None:
        """Note the verdict."""
        self.story.finished = finished
        self.outcome, self.cause = str(finished.verdict), finished.code
        self.end_if_over(now)

    def end_if_over(self, now: float) -> None:
        """Note the moment from which nothing more will happen."""
        if self.story.is_over:
            self.story.reach(Stage.DONE, now)

    def value(self) -> dict[str, Any]:
        """Return all of it, as JSON says it."""
        story = self.story
        heard, why = (story.heard() if story.is_over else None) or ("", "")
        return {
            "id": story.turn_id,
            "began_at": round(self.began_at, 1),
            "score": None if story.score is None else round(story.score, 2),
            "speech_s": None if story.speech_s is None else round(story.speech_s, 2),
            "stages_ms": {stage.name.lower(): ms for stage, ms in story.latencies_ms().items()},
            "outcome": self.outcome,
            "cause": self.cause,
            "provider": self.provider[:MAX_QUOTED],
            "chunks": self.chunks,
            "heard": str(heard),
            "heard_reason": str(why),
            **self.heard,
        }

    def _quote(self, length: str, name: str, text: str, *, words: bool) -> None:
        self.heard[length] = len(text)
        if words:
            self.heard[name] = text[:MAX_QUOTED]


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
                    fields = {"name": str(new), "why": words.why(effect), "at": self._wall()}
                    self._feed.put("state", fields)
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
            case ProcessingStarted():
                turn.story.reach(Stage.PROCESSING, now)
            case PartlyTranscribed(_, text):
                turn.understand_partly(text, words=words_shown)
            case Transcribed(_, text):
                turn.understand(text, now, words=words_shown)
            case ThinkingStarted(_, provider):
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


class ConsoleFeed:
    """The feed, and what takes down turns for it. Owned by the main thread.

    The feed itself is for any thread, and so is the publisher, as it says.
    """

    def __init__(self, options: Config) -> None:
        self.feed = Feed()
        """What every watcher is told."""
        self.publisher = Publisher(self.feed, transcripts=options.console.transcripts)
        """What takes down turns for it."""
        self.show(options)
        self.feed.put("state", {"name": str(State.IDLE), "why": "", "at": time.time()})

    def show(self, options: Config) -> None:
        """Show options that a reload may change, and from now on no more words than they allow."""
        self.publisher.change(transcripts=options.console.transcripts)
        wake = {"word": wake_word(options.hearing), "threshold": options.hearing.wake.threshold}
        self.feed.put("about", {"agent": options.backend.agent_id, "version": __version__})
        self.feed.put("wake", wake)
        self.feed.put("quiet_hours", {"between": options.microphone.mute_between})
        self.feed.put("words", {"shown": options.console.transcripts})
