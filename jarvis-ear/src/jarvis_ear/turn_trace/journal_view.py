"""TurnLog: the story of every turn, told to the journal."""

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Final, assert_never

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
    UnaskedSpeech,
)
from jarvis_ear.delivery.playback import Playback, Unheard
from jarvis_ear.hearing.events import (
    AbandonTurn,
    Effect,
    Ignored,
    SendUtterance,
    State,
    StateChanged,
    StopSpeaking,
    TurnDropped,
    TurnOpened,
    UtteranceGrew,
)
from jarvis_ear.journal import turns as kinds
from jarvis_ear.journal.kind import Kind
from jarvis_ear.journal.sound import SENTENCES_MISSING, UNASKED_SPEECH
from jarvis_ear.turn_trace import words
from jarvis_ear.turn_trace.trace import Stage, TurnStory, sizes

MAX_TURNS: Final = 32
"""Turns that may be open at once: more than the outbox holds."""

RECENT: Final = 5
"""Turns that are told to whoever asks how things are."""

_IN_TURN: Final = (State.THINKING, State.SPEAKING)


class TurnLog:
    """Writes down what happens, in words and in fields of the journal.

    The ear thread calls ``effect``, the network thread ``delivery``, the speaker thread
    ``reply_started`` and ``reply_ended``, the main thread ``close``. One lock protects the stories
    and keeps the lines in order. At most 32 stories are open; when one more begins, the oldest is
    told as far as it is known (``unfinished``). ``on_heard`` is called with the turn, how much of
    its spoken reply was heard, and why not all (see ``delivery.playback``), by any of these
    threads, under the lock: it must not wait.
    """

    def __init__(
        self,
        logger: logging.Logger,
        *,
        transcripts: bool,
        wake_word: str = "Hey Jarvis",
        on_heard: Callable[[str, str, str], None] = lambda _turn_id, _heard, _why: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_heard = on_heard
        self._logger = logger
        self._transcripts = transcripts
        self._wake_word = wake_word
        self._now = now
        self._lock = threading.Lock()
        self._turns: OrderedDict[str, TurnStory] = OrderedDict()
        self._backend = ""
        self._because = ""
        self._state = State.IDLE
        self._current: dict[str, object] = {}
        self._recent: deque[tuple[float, str, str, str, str]] = deque(maxlen=RECENT)
        self.unfinished = 0
        """Turns whose end did not come while they were remembered."""

    def counters(self) -> Mapping[str, int]:
        """Return how many turns had no end. Any thread may ask."""
        return {"turns_unfinished": self.unfinished}

    def effect(self, effect: Effect) -> None:
        """Note what the ear decided."""
        with self._lock:
            match effect:
                case TurnOpened():
                    self._open(effect)
                case StateChanged():
                    self._change(effect)
                case SendUtterance():
                    self._capture(effect)
                case TurnDropped(turn_id, reason):
                    self._drop(turn_id, reason)
                case AbandonTurn(turn_id, reason):
                    self._stop_waiting(turn_id, words.stopped_by(reason))
                case StopSpeaking(turn_id):
                    self._note(turn_id, "StopSpeaking", "the reply is interrupted")
                case UtteranceGrew():
                    pass  # several times a second
                case Ignored(state, event):
                    self._logger.debug("%s means nothing while %s", type(event).__name__, state)
                case _:
                    assert_never(effect)

    def delivery(  # noqa: C901, PLR0912 - one case for each event
        self, event: DeliveryEvent
    ) -> None:
        """Note what became of an utterance. The supervisor of the link tells of that itself."""
        with self._lock:
            match event:
                case LinkUp(url):
                    self._backend = url
                    self._say(logging.DEBUG, "link up", {"EVENT": "LinkUp", "BACKEND": url})
                case LinkDown(reason):
                    self._say(logging.DEBUG, f"link down: {reason}", {"EVENT": "LinkDown"})
                case Sent():
                    self._send(event)
                case ProcessingStarted(turn_id):
                    self._reach(turn_id, Stage.PROCESSING)
                    self._note(turn_id, "Processing", "the backend works on it")
                case PartlyTranscribed() | Transcribed() | Answered():
                    self._quote(event)
                case ThinkingStarted(turn_id, provider):
                    self._note(turn_id, "Thinking", f"the backend asks {provider}")
                case ReplyAudio(turn_id, index, content_type, audio):
                    fields = f"reply chunk {index}: {content_type}, {words.size(len(audio))}"
                    self._note(turn_id, "ReplyAudio", fields)
                case Refused() | StillWaiting():
                    self._delay(event)
                case SentencesMissing():
                    self._miss(event)
                case Finished():
                    self._finish(event)
                case UnaskedSpeech(chunks):
                    self._tell_unasked(chunks)
                case Kept(turn_id):
                    self._end_early(turn_id, kinds.KEPT, "not sent yet, kept for the next start")
                case _:
                    assert_never(event)

    def reply_started(self, turn_id: str) -> None:
        """Note the first sound of a reply."""
        with self._lock:
            self._reach(turn_id, Stage.FIRST_AUDIO)

    def reply_heard(self, turn_id: str, playback: Playback) -> None:
        """Note what the loudspeaker made of a reply so far."""
        with self._lock:
            if turn_id in self._turns:  # an announcement has no turn
                self._turns[turn_id].playback = playback

    def reply_ended(self, turn_id: str) -> None:
        """Note the last sound of a reply."""
        with self._lock:
            if turn_id in self._turns:
                self._turns[turn_id].end()
                self._end_if_over(self._turns[turn_id])

    def change(self, *, transcripts: bool, wake_word: str) -> None:
        """Go on with other options. Any thread."""
        with self._lock:
            self._transcripts = transcripts
            self._wake_word = wake_word

    def close(self) -> None:
        """Tell what is known of the turns that are still open: nothing more will come."""
        with self._lock:
            for turn in list(self._turns.values()):
                self._tell(turn)

    def recent(self) -> list[dict[str, object]]:
        """Tell of the last turns that are over, the newest first. Any thread. No transcripts."""
        with self._lock:
            now = self._now()
            return [
                {
                    "turn": turn_id,
                    "ended_s_ago": round(now - at, 1),
                    "story": story,
                    "heard": heard,
                    "heard_reason": why,
                }
                for at, turn_id, story, heard, why in reversed(self._recent)
            ]

    def _open(self, opened: TurnOpened) -> None:
        turn = self._turn(opened.turn_id)
        turn.session_id = opened.session_id
        turn.score = opened.score
        turn.wake_at = None if opened.score is None else opened.at
        self._because = words.heard(opened, self._wake_word)
        self._current = turn.fields()
        self._note(opened.turn_id, "TurnOpened", f"turn {opened.turn_id} begins")

    def _change(self, change: StateChanged) -> None:
        """Tell the new state with what led to it, which the effect just before may have said."""
        because, self._because = self._because or words.why(change), ""
        fields = {**self._current, "EVENT": "StateChanged", "CAUSE": change.why}
        fields["STATE"] = str(change.new)
        self._say(_level_of(change), f"{change.old} -> {change.new}: {because}", fields)
        self._state = change.new
        if change.new is State.IDLE:
            self._current = {}
        for turn in list(self._turns.values()):
            self._tell_if_over(turn)

    def _capture(self, effect: SendUtterance) -> None:
        self._turn(effect.turn_id).capture(effect.utterance, self._now())
        self._because = words.captured(effect.utterance)

    def _drop(self, turn_id: str, cause: str) -> None:
        """Tell of a turn without an utterance: perhaps the wake word was none."""
        kind = kinds.NOBODY_SPOKE if cause == words.NOBODY_SPOKE else kinds.DROPPED
        line = f"dropped ({words.reason(cause)}), nothing was sent"
        self._end_early(turn_id, kind, line, CAUSE=cause)

    def _end_early(self, turn_id: str, kind: Kind, line: str, **more: object) -> None:
        turn = self._turns.pop(turn_id, None) or TurnStory(turn_id)
        fields = {**turn.fields(), **kind.fields(**more)}
        self._say(logging.INFO, f"turn {turn_id}: {line}", fields)

    def _send(self, sent: Sent) -> None:
        self._turn(sent.turn_id).sent = sent
        self._reach(sent.turn_id, Stage.SENT)
        self._note(sent.turn_id, "Sent", f"sent: {words.sent(sent)}", logging.INFO, sizes(sent))

    def _quote(self, event: PartlyTranscribed | Transcribed | Answered) -> None:
        """Tell what somebody said, in letters, or how many letters that was."""
        level = logging.DEBUG
        if isinstance(event, Transcribed):
            self._reach(event.turn_id, Stage.TRANSCRIPT)
            level = logging.INFO
        fields = words.quoted(event, transcripts=self._transcripts)
        self._note(event.turn_id, type(event).__name__, fields, level)

    def _miss(self, missing: SentencesMissing) -> None:
        which = words.sentences(missing.indexes)
        fields = SENTENCES_MISSING.fields(TURN_ID=missing.turn_id, REPLY_MISSING=which)
        text = f"turn {missing.turn_id}: sentence {which} of the reply did not come"
        self._note(missing.turn_id, SENTENCES_MISSING.event, text, logging.WARNING, fields)

    def _tell_unasked(self, count: int) -> None:
        reason = f"speech that nobody asked for came, and is not played: {words.chunks(count)}"
        self._say(logging.WARNING, reason, UNASKED_SPEECH.fields(REASON=reason))

    def _finish(self, finished: Finished) -> None:
        turn = self._turn(finished.turn_id)
        turn.finished = finished
        if finished.chunks:
            fields = f"reply: {words.chunks(finished.chunks)}"
            self._note(finished.turn_id, "Finished", fields, logging.INFO)
        self._end_if_over(turn)

    def _stop_waiting(self, turn_id: str, why: Unheard) -> None:
        """Nobody waits for the sound of this reply any more."""
        turn = self._turns.get(turn_id)
        if turn is not None:
            turn.stop(why)
            self._end_if_over(turn)

    def _delay(self, event: Refused | StillWaiting) -> None:
        if isinstance(event, StillWaiting):
            self._wait_on(event.turn_id)
            return
        fields = {"CAUSE": event.code, "RETRY_MS": round(event.retry_s * 1000)}
        self._note(event.turn_id, "Refused", words.refused(event), logging.INFO, fields)

    def _wait_on(self, turn_id: str) -> None:
        """Wait for the reply after all: the sentence goes up before the newer one."""
        turn = self._turns.get(turn_id)
        if turn is not None:
            turn.wait_on()
        self._note(turn_id, "StillWaiting", "it still waits, and is sent first", logging.INFO)

    def _end_if_over(self, turn: TurnStory) -> None:
        if turn.is_over:
            turn.reach(Stage.DONE, self._now())
            self._tell_if_over(turn)

    def _tell_if_over(self, turn: TurnStory) -> None:
        """Tell how a turn went, after the line that the ear has left it."""
        is_current = turn.turn_id == self._current.get("TURN_ID")
        if turn.is_over and not (is_current and self._state in _IN_TURN):
            self._tell(turn)

    def _tell(self, turn: TurnStory) -> None:
        """Write the one line that says what became of a turn, and forget it."""
        self._turns.pop(turn.turn_id, None)
        self.unfinished += turn.finished is None
        level = logging.INFO if words.is_harmless(turn) else logging.WARNING
        kind = kinds.UNFINISHED if turn.finished is None else words.kind(turn.finished)
        fields = {**turn.fields(), **kind.fields()}
        story = words.story(turn)
        heard, why = turn.heard() or ("", "")
        self._recent.append((self._now(), turn.turn_id, story, str(heard), str(why)))
        if turn.finished is not None and turn.finished.chunks:  # else its verdict says it at once
            self._on_heard(turn.turn_id, str(heard), str(why))
        self._say(level, f"turn {turn.turn_id}: {story}", fields)

    def _reach(self, turn_id: str, stage: Stage) -> None:
        turn = self._turns.get(turn_id)
        if turn is not None:
            turn.reach(stage, self._now())

    def _turn(self, turn_id: str) -> TurnStory:
        """Find a story, or begin one; the oldest gives way."""
        if turn_id not in self._turns:
            if len(self._turns) >= MAX_TURNS:
                self._tell(next(iter(self._turns.values())))
            self._turns[turn_id] = TurnStory(turn_id)
        self._turns[turn_id].backend = self._backend
        return self._turns[turn_id]

    def _note(
        self,
        turn_id: str,
        event: str,
        text: str,
        level: int = logging.DEBUG,
        fields: Mapping[str, object] | None = None,
    ) -> None:
        turn = self._turns.get(turn_id) or TurnStory(turn_id)
        self._say(level, text, {**turn.ids(), **(fields or {}), "EVENT": event})

    def _say(self, level: int, text: str, fields: Mapping[str, object]) -> None:
        self._logger.log(level, "%s", text, extra=dict(fields))


def _level_of(change: StateChanged) -> int:
    """Between idle and deaf, whoever reads the microphone tells it better, and not every time."""
    is_told_elsewhere = {change.old, change.new} == {State.IDLE, State.DEAF}
    return logging.DEBUG if is_told_elsewhere else logging.INFO
