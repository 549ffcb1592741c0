"""Outbox: the utterances that have no verdict yet, oldest first."""

import math
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Final

from jarvis_ear.delivery.events import (
    Cause,
    Finished,
    Kept,
    PartlyTranscribed,
    StillWaiting,
    UnaskedSpeech,
    Verdict,
)
from jarvis_ear.delivery.recovery import dropped_for_newer
from jarvis_ear.delivery.reply import Unasked
from jarvis_ear.delivery.timeouts import Timeouts
from jarvis_ear.delivery.transitions import (
    AT_MOST_ONCE,
    UNCOMMITTED,
    DeliveryStage,
    Effect,
    Replace,
    Send,
    Signal,
    Tell,
    TransitionTable,
    UploadMode,
)
from jarvis_ear.delivery.turn import DeliveryTurn
from jarvis_ear.delivery.utterance import Draft, Utterance
from jarvis_ear.units import SAMPLE_BYTES
from jarvis_ear.wires.messages import (
    AudioPart,
    AudioStart,
    BackendError,
    FromBackend,
    Listening,
    PartialTranscript,
    Pong,
    TtsChunk,
    TtsDone,
)
from jarvis_ear.wires.socketio import MAX_FRAME_BYTES, frame_length

MAX_UTTERANCES: Final = 16
"""More than a person says within the time an utterance stays fresh."""

MAX_BYTES: Final = 16 * 1024 * 1024
"""Bytes of waiting sound: eight minutes."""


class Availability(Enum):
    """Whether there is a link on which an utterance can be offered."""

    UP = "up"
    DOWN = "down"


class Outbox:
    """Delivers utterances to the backend, one at a time per link. The network thread only.

    At most ``MAX_UTTERANCES`` and ``MAX_BYTES`` are open; to make room, the oldest uncommitted one
    is dropped (``dropped``). Every utterance that was put in gets one ``Finished``.

    On a streaming wire, an utterance in progress is uploaded if no other is before it: there is at
    most one ``Draft``.
    """

    def __init__(
        self,
        agent_id: str,
        patience: Timeouts,
        moves: TransitionTable = AT_MOST_ONCE,
        carriage: UploadMode = UploadMode.WHOLE,
        *,
        queue: bool = False,
    ) -> None:
        """With ``queue``, a newer utterance does not end a waiting one: both are sent."""
        self._agent_id = agent_id
        self._queue = queue
        self._moves = moves
        self._carriage = carriage
        self._draft: Draft | None = None
        self._patience = patience
        self._turns: list[DeliveryTurn] = []
        self._link = Availability.DOWN
        self._unasked = Unasked()
        self.dropped = 0
        """Utterances dropped to make room for newer ones."""
        self.strays = 0
        """Messages of the backend that belonged to no turn."""
        self.repeated = 0
        """Chunks that came a second time."""
        self.late = 0
        """Chunks that came after their place was skipped."""
        self.too_big = 0
        """Replies that exceeded the limits of size."""

    def counters(self) -> Mapping[str, int]:
        """Return how often each bound was reached."""
        return {
            "utterances_dropped": self.dropped,
            "stray_messages": self.strays,
            "repeated_sentences": self.repeated,
            "late_sentences": self.late,
            "replies_too_big": self.too_big,
        }

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def deadline(self) -> float:
        """When ``tick`` must be called next."""
        turns = min((turn.deadline for turn in self._turns), default=math.inf)
        ends = min(turns, self._unasked.deadline)
        if self._link is Availability.DOWN or not self._turns or self._in_flight() is not None:
            return ends
        return min(ends, self._turns[0].not_before)

    def put(self, utterance: Utterance, now: float) -> tuple[Effect, ...]:
        """Accept an utterance: from here on its progress and verdict are reported."""
        unfit = self._unfit(utterance)
        if unfit is not None:
            failed = Finished(utterance.turn_id, Verdict.FAILED, unfit.value, 0)
            return (*self.discarded(utterance.turn_id, now), Tell(failed))
        draft, withdrawn = self._take_draft(utterance)
        if draft is not None and draft.taken and not draft.on_link:
            lost = Finished(utterance.turn_id, Verdict.IN_DOUBT, Cause.LINK_LOST.value, 0)
            return self._settle((Tell(lost),), now)
        turn = DeliveryTurn(utterance, self._agent_id, self._patience, self._moves, self._carriage)
        self._turns.append(turn)
        continued = () if draft is None or not draft.on_link else turn.go_on(draft, now)
        return self._settle((*withdrawn, *self._make_room(now), *continued), now)

    def grew(self, turn_id: str, offset: int, pcm: bytes, now: float) -> tuple[Effect, ...]:
        """Add to the utterance in progress; on a streaming wire, upload it now."""
        if self._carriage is UploadMode.WHOLE:
            return ()
        withdrawn: tuple[Effect, ...] = ()
        if offset == 0:
            withdrawn = self._withdraw("said anew")
            self._draft = Draft(turn_id)
        draft = self._draft
        if draft is None or draft.turn_id != turn_id:
            return ()
        if not draft.add(offset, pcm):
            withdrawn = self._withdraw("cannot be streamed")
        return self._settle(withdrawn, now)

    def discarded(self, turn_id: str, now: float) -> tuple[Effect, ...]:
        """Drop the draft of a discarded utterance, and withdraw it from the link."""
        if self._draft is None or self._draft.turn_id != turn_id:
            return ()
        return self._settle(self._withdraw("no utterance"), now)

    def overflowed(self, turn_id: str) -> tuple[Effect, ...]:
        """Report an utterance that was dropped before it was put in."""
        self.dropped += 1
        return (Tell(dropped_for_newer(turn_id)),)

    def link_up(self, now: float) -> tuple[Effect, ...]:
        """Use a new link."""
        self._link = Availability.UP
        return self._settle((), now)

    def link_lost(self, now: float) -> tuple[Effect, ...]:
        """Handle the loss of the link."""
        self._let_go_of_link()
        turn = self._in_flight()
        return () if turn is None else self._settle(turn.take(Signal.LINK_LOST, now), now)

    def hear(self, message: FromBackend, now: float) -> tuple[Effect, ...]:
        """Process a message of the backend on the current link."""
        turn = self._in_flight()
        if self._is_unasked(message, turn):
            self.strays += 1
            self._unasked.add(now)
            return ()
        if turn is None and self._draft is not None and self._draft.on_link:
            return self._settle(self._hear_of_draft(self._draft, message), now)
        if turn is None:
            self.strays += not isinstance(message, Listening | Pong)
            return self._tell_unasked() if isinstance(message, TtsDone) else ()
        return self._settle(turn.hear(message, now), now)

    def flushed(self, now: float) -> tuple[Effect, ...]:
        """Note that the socket has accepted the whole upload."""
        turn = self._in_flight()
        return () if turn is None else self._settle(turn.flushed(now), now)

    def marked(self, turn_id: str, now: float, *, kept: bool) -> tuple[Effect, ...]:
        """Note whether the commit of a turn could be recorded."""
        turn = self._in_flight()
        if turn is None or turn.turn_id != turn_id:
            return ()
        return self._settle(turn.marked(now, kept=kept), now)

    def tick(self, now: float) -> tuple[Effect, ...]:
        """Handle expired deadlines."""
        effects = [effect for turn in self._turns for effect in turn.tick(now)]
        effects += self._tell_unasked() if now >= self._unasked.deadline else ()
        return self._settle(tuple(effects), now)

    def abandon(self, turn_id: str, now: float, *, newer: bool = True) -> tuple[Effect, ...]:
        """End a turn because the person said something ``newer``, or stopped it.

        If the owner wants both, a newer utterance does not end an uncommitted one.
        """
        if self._draft is not None and self._draft.turn_id == turn_id:
            return self.discarded(turn_id, now)
        turns = [turn for turn in self._turns if turn.turn_id == turn_id]
        if self._queue and newer and any(turn.stage in UNCOMMITTED for turn in turns):
            return (Tell(StillWaiting(turn_id)),)
        return self._give_up(turns, Signal.ABANDONED, Cause.INTERRUPTED, now)

    def close(self, now: float, kept: Collection[str] = ()) -> tuple[Effect, ...]:
        """End all turns: the ear is stopping. Those ``kept`` on file continue in the next run."""
        self._let_go_of_link()
        staying = [t for t in self._turns if t.turn_id in kept and t.stage in UNCOMMITTED]
        self._turns = [turn for turn in self._turns if turn not in staying]
        effects: tuple[Tell, ...] = tuple(Tell(Kept(turn.turn_id)) for turn in staying)
        effects += self._tell_unasked()
        return (*effects, *self._give_up(self._turns, Signal.STOPPED, Cause.STOPPING, now))

    def _is_unasked(self, message: FromBackend, turn: DeliveryTurn | None) -> bool:
        """Whether the message is speech that cannot be a reply: nothing was committed."""
        if not isinstance(message, TtsChunk):
            return False
        if turn is not None:
            return turn.stage in UNCOMMITTED
        return self._draft is None or not self._draft.taken

    def _tell_unasked(self) -> tuple[Tell, ...]:
        chunks = self._unasked.take()
        return (Tell(UnaskedSpeech(chunks)),) if chunks else ()

    def _unfit(self, utterance: Utterance) -> Cause | None:
        if utterance.raw_bytes == 0 or utterance.raw_bytes % SAMPLE_BYTES:
            return Cause.BAD_AUDIO
        if frame_length(self._agent_id, len(utterance.wav)) > MAX_FRAME_BYTES:
            return Cause.TOO_LARGE
        return None

    def _make_room(self, now: float) -> tuple[Effect, ...]:
        effects: list[Effect] = []
        while len(self._turns) > MAX_UTTERANCES or self._waiting_bytes() > MAX_BYTES:
            oldest = next(turn for turn in self._turns if turn.stage in UNCOMMITTED)
            effects += oldest.take(Signal.OVERFLOWED, now)
            self._turns.remove(oldest)
            self.dropped += 1
        return tuple(effects)

    def _waiting_bytes(self) -> int:
        return sum(len(turn.utterance.wav) for turn in self._turns)

    def _give_up(
        self, turns: list[DeliveryTurn], sign: Signal, cause: Cause, now: float
    ) -> tuple[Effect, ...]:
        effects = [effect for turn in turns for effect in turn.take(sign, now, cause)]
        return self._settle(tuple(effects), now)

    def _settle(self, effects: tuple[Effect, ...], now: float) -> tuple[Effect, ...]:
        """Remove finished turns after a step, and offer the next utterance if possible."""
        self._count(effects)
        self._turns = [turn for turn in self._turns if turn.stage is not DeliveryStage.OVER]
        if any(isinstance(effect, Replace) for effect in effects):
            self._let_go_of_link()
        if self._link is Availability.DOWN or self._in_flight() is not None:
            return effects
        if not self._turns:
            return (*effects, *self._stream())
        if now < self._turns[0].not_before:
            return effects
        if self._draft is not None and self._draft.on_link:
            return (*effects, *self._settle((Replace("another utterance is ready"),), now))
        return (*effects, *self._settle(self._turns[0].offer(now), now))

    def _let_go_of_link(self) -> None:
        self._link = Availability.DOWN
        if self._draft is not None:
            self._draft.lose_link()

    def _stream(self) -> tuple[Effect, ...]:
        """Upload the part of the draft that the link does not have."""
        draft = self._draft
        if draft is None or draft.taken:
            return ()
        start = () if draft.on_link else (Send(AudioStart(self._agent_id)),)
        offset, pcm = draft.news()
        return (*start, Send(AudioPart(self._agent_id, offset, pcm))) if pcm else start

    def _hear_of_draft(self, draft: Draft, message: FromBackend) -> tuple[Effect, ...]:
        if isinstance(message, PartialTranscript):
            return (Tell(PartlyTranscribed(draft.turn_id, message.text)),)
        if isinstance(message, BackendError):
            return self._withdraw("backend refused it")
        draft.hear(message)
        return ()

    def _withdraw(self, reason: str) -> tuple[Effect, ...]:
        """Drop the draft; the link must not join its part to the next utterance."""
        draft, self._draft = self._draft, None
        return (Replace(reason),) if draft is not None and draft.on_link else ()

    def _take_draft(self, utterance: Utterance) -> tuple[Draft | None, tuple[Effect, ...]]:
        """Return the draft of ``utterance``, if it can be continued."""
        draft = self._draft
        if draft is None or draft.turn_id != utterance.turn_id:
            return None, ()
        if draft.on_link and not (draft.begins(utterance.pcm) or draft.taken):
            return None, self._withdraw("not what was sent ahead")
        self._draft = None
        return draft, ()

    def _count(self, effects: tuple[Effect, ...]) -> None:
        for turn in self._turns:
            if turn.stage is DeliveryStage.OVER:
                self.repeated += turn.reply.duplicates
                self.late += turn.reply.late
        ends = [each.event for each in effects if isinstance(each, Tell)]
        self.too_big += sum(
            isinstance(end, Finished) and end.code == Cause.REPLY_TOO_BIG for end in ends
        )

    def _in_flight(self) -> DeliveryTurn | None:
        return next((turn for turn in self._turns if turn.stage is not DeliveryStage.WAITING), None)
