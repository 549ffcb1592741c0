"""Outbox: the utterances that have no verdict yet, oldest first."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Final

from jarvis_ear.delivery.events import (
    Announced,
    Cause,
    Finished,
    Kept,
    PartlyTranscribed,
    ReplyAudio,
    StillWaiting,
    UnaskedSpeech,
    Verdict,
)
from jarvis_ear.delivery.reply import UnaskedChunks
from jarvis_ear.delivery.timeouts import Timeouts
from jarvis_ear.delivery.transitions import (
    AT_MOST_ONCE,
    UNCOMMITTED,
    DeliveryStage,
    Effect,
    Emit,
    Replace,
    Send,
    Signal,
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

_UNANSWERED: Final = (DeliveryStage.COMMITTED, DeliveryStage.DELIVERED)
"""Stages of a turn between its commit and its transcript."""


class Outbox:
    """Delivers utterances to the backend, one at a time per link. The network thread only.

    At most ``MAX_UTTERANCES`` and ``MAX_BYTES`` are open; to make room, the oldest uncommitted one
    is dropped (``utterances_dropped``). Every utterance that was put in gets one ``Finished``.

    Speech without a turn is an announcement if it is complete and cannot be the reply to a turn
    that did not end in order: for ``whole_reply_s`` after such a turn, none is accepted.

    On a streaming wire, an utterance in progress is uploaded if no other is before it: there is at
    most one ``Draft``.
    """

    def __init__(
        self,
        agent_id: str,
        timeouts: Timeouts,
        transitions: TransitionTable = AT_MOST_ONCE,
        upload_mode: UploadMode = UploadMode.WHOLE,
        *,
        queue: bool = False,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        """With ``queue``, a newer utterance does not end a waiting one: both are sent.

        ``new_id`` makes the id of an announcement; None: all speech without a turn is stray.
        """
        self._agent_id = agent_id
        self._timeouts = timeouts
        self._transitions = transitions
        self._upload_mode = upload_mode
        self._queue = queue
        self._draft: Draft | None = None
        self._turns: list[DeliveryTurn] = []
        self._link_is_up = False
        self._new_id = new_id
        self._unasked = UnaskedChunks(timeouts.gap_s)
        self.doubt_until = -math.inf
        """Time from which speech without a turn may be an announcement."""
        self._counts = Counter(
            utterances_dropped=0,  # to make room for newer ones
            stray_messages=0,  # of the backend, that belonged to no turn
            repeated_sentences=0,  # chunks that came a second time
            late_sentences=0,  # chunks that came after their place was skipped
            replies_too_big=0,
        )

    def counters(self) -> Mapping[str, int]:
        """Return how often each bound was reached."""
        return dict(self._counts)

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def deadline(self) -> float:
        """When ``tick`` must be called next."""
        turns = min((turn.deadline for turn in self._turns), default=math.inf)
        ends = min(turns, self._unasked.deadline)
        if not self._link_is_up or not self._turns or self._in_flight() is not None:
            return ends
        if self._turns[0].is_held:
            return ends
        return min(ends, self._turns[0].not_before)

    def put(self, utterance: Utterance, now: float) -> tuple[Effect, ...]:
        """Accept an utterance: from here on its progress and verdict are reported."""
        unfit = self._unfit(utterance)
        if unfit is not None:
            failed = Finished(utterance.turn_id, Verdict.FAILED, unfit.value, 0)
            return (*self.discarded(utterance.turn_id, now), Emit(failed))
        draft, withdrawn = self._take_draft(utterance)
        if draft is not None and draft.taken and not draft.on_link:
            lost = Finished(utterance.turn_id, Verdict.IN_DOUBT, Cause.LINK_LOST.value, 0)
            return self._settle((Emit(lost),), now)
        turn = DeliveryTurn(utterance, self._timeouts, self._transitions, self._upload_mode)
        self._turns.append(turn)
        continued = () if draft is None or not draft.on_link else turn.go_on(draft, now)
        return self._settle((*withdrawn, *self._make_room(now), *continued), now)

    def grew(self, turn_id: str, offset: int, pcm: bytes, now: float) -> tuple[Effect, ...]:
        """Add to the utterance in progress; on a streaming wire, upload it now."""
        if self._upload_mode is not UploadMode.STREAMED:
            return ()
        withdrawn: tuple[Effect, ...] = ()
        if offset == 0:
            withdrawn = self._withdraw("restarted")
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
        self._counts["utterances_dropped"] += 1
        return (Emit(Finished(turn_id, Verdict.EXPIRED, Cause.OUTBOX_FULL.value, 0)),)

    def link_up(self, now: float) -> tuple[Effect, ...]:
        """Use a new link."""
        self._link_is_up = True
        return self._settle((), now)

    def doubt(self, now: float) -> None:
        """Accept no announcement for a while: speech may be the reply to a turn that was lost."""
        self.doubt_until = now + self._timeouts.whole_reply_s

    def link_lost(self, now: float) -> tuple[Effect, ...]:
        """Handle the loss of the link."""
        self._lose_link()
        turn = self._in_flight()
        if turn is not None and turn.stage not in UNCOMMITTED:
            self.doubt(now)
        return () if turn is None else self._settle(turn.handle(Signal.LINK_LOST, now), now)

    def hear(self, message: FromBackend, now: float) -> tuple[Effect, ...]:
        """Process a message of the backend on the current link."""
        turn = self._in_flight()
        if isinstance(message, TtsChunk) and self._is_unasked(turn):
            is_trusted = self._new_id is not None and now >= self.doubt_until
            self._unasked.add(message, now, is_trusted=is_trusted)
            return ()
        if isinstance(message, TtsDone) and self._unasked.is_open and self._is_unasked(turn):
            return self._end_unasked(message)
        if turn is None and self._draft is not None and self._draft.on_link:
            return self._settle(self._hear_of_draft(self._draft, message), now)
        if turn is None:
            if not isinstance(message, Listening | Pong):
                self._counts["stray_messages"] += 1
                self.doubt(now)  # it is about a turn that is not ours any more
            return ()
        return self._settle(turn.hear(message, now), now)

    def flushed(self, now: float) -> tuple[Effect, ...]:
        """Note that the socket has accepted the whole upload."""
        turn = self._in_flight()
        return () if turn is None else self._settle(turn.flushed(now), now)

    def recorded(self, turn_id: str, now: float, *, ok: bool) -> tuple[Effect, ...]:
        """Continue a turn, depending on whether its commit could be recorded (``ok``)."""
        turn = self._in_flight()
        if turn is None or turn.turn_id != turn_id:
            return ()
        return self._settle(turn.recorded(now, ok=ok), now)

    def tick(self, now: float) -> tuple[Effect, ...]:
        """Handle expired deadlines."""
        effects = [effect for turn in self._turns for effect in turn.tick(now)]
        effects += self._report_unasked() if now >= self._unasked.deadline else ()
        return self._settle(tuple(effects), now)

    def abandon(self, turn_id: str, now: float, *, newer: bool = True) -> tuple[Effect, ...]:
        """End a turn because the person said something ``newer``, or stopped it.

        If the owner wants both, a newer utterance does not end an uncommitted one.
        """
        if self._draft is not None and self._draft.turn_id == turn_id:
            return self.discarded(turn_id, now)
        turns = self._find(turn_id)
        if self._queue and newer and any(turn.stage in UNCOMMITTED for turn in turns):
            return (Emit(StillWaiting(turn_id)), *self.release(turn_id, now))
        return self._give_up(turns, Signal.ABANDONED, Cause.INTERRUPTED, now)

    def hold(self, turn_id: str, now: float, *, goes_on: bool) -> tuple[Effect, ...]:
        """Do not commit a turn for now: the person may say something newer.

        With ``goes_on``, its sentence seems to continue; a later run does not commit it either.
        """
        held = [effect for turn in self._find(turn_id) for effect in turn.hold(goes_on=goes_on)]
        return self._settle(tuple(held), now)

    def release(self, turn_id: str, now: float) -> tuple[Effect, ...]:
        """Go on with a turn that was held."""
        effects = [effect for turn in self._find(turn_id) for effect in turn.release(now)]
        return self._settle(tuple(effects), now)

    def supersede(self, turn_id: str, by: str, now: float) -> tuple[Effect, ...]:
        """End a turn that is the beginning of a sentence; the turn ``by`` has the whole of it."""
        effects = [effect for turn in self._find(turn_id) for effect in turn.supersede(by, now)]
        return self._settle(tuple(effects), now)

    def close(self, now: float, kept: Collection[str] = ()) -> tuple[Effect, ...]:
        """End all turns: the ear is stopping. Those ``kept`` on file continue in the next run."""
        self._lose_link()
        kept_turns = [t for t in self._turns if t.turn_id in kept and t.stage in UNCOMMITTED]
        self._turns = [turn for turn in self._turns if turn not in kept_turns]
        effects: tuple[Emit, ...] = tuple(Emit(Kept(turn.turn_id)) for turn in kept_turns)
        effects += self._report_unasked()
        return (*effects, *self._give_up(self._turns, Signal.STOPPED, Cause.STOPPING, now))

    def _find(self, turn_id: str) -> list[DeliveryTurn]:
        return [turn for turn in self._turns if turn.turn_id == turn_id]

    def _is_unasked(self, turn: DeliveryTurn | None) -> bool:
        """Whether speech cannot be a reply: nothing was committed, or it began before that.

        No wire sends speech before the transcript, which proves that the turn is being answered.
        """
        if turn is None:
            return self._draft is None or not self._draft.taken
        return turn.stage in UNCOMMITTED or (self._unasked.is_open and turn.stage in _UNANSWERED)

    def _end_unasked(self, done: TtsDone) -> tuple[Emit, ...]:
        chunks = self._unasked.finish()
        if not chunks or self._new_id is None:
            return self._report_unasked()
        total = len(chunks) if done.total_chunks is None else done.total_chunks
        name, missing = self._new_id(), max(0, total - len(chunks))
        sounds = (ReplyAudio(name, each.index, each.content_type, each.audio) for each in chunks)
        return (Emit(Announced(name, tuple(sounds), missing, done.follow_up)),)

    def _report_unasked(self) -> tuple[Emit, ...]:
        chunks = self._unasked.take()
        self._counts["stray_messages"] += chunks
        return (Emit(UnaskedSpeech(chunks)),) if chunks else ()

    def _unfit(self, utterance: Utterance) -> Cause | None:
        if utterance.raw_bytes == 0 or utterance.raw_bytes % SAMPLE_BYTES:
            return Cause.BAD_AUDIO
        if frame_length(utterance.agent_id or self._agent_id, len(utterance.wav)) > MAX_FRAME_BYTES:
            return Cause.TOO_LARGE
        return None

    def _make_room(self, now: float) -> tuple[Effect, ...]:
        effects: list[Effect] = []
        while (
            len(self._turns) > MAX_UTTERANCES
            or sum(len(turn.utterance.wav) for turn in self._turns) > MAX_BYTES
        ):
            oldest = next(turn for turn in self._turns if turn.stage in UNCOMMITTED)
            effects += oldest.handle(Signal.OVERFLOWED, now)
            self._turns.remove(oldest)
            self._counts["utterances_dropped"] += 1
        return tuple(effects)

    def _give_up(
        self, turns: list[DeliveryTurn], signal: Signal, cause: Cause, now: float
    ) -> tuple[Effect, ...]:
        effects = [effect for turn in turns for effect in turn.handle(signal, now, cause)]
        return self._settle(tuple(effects), now)

    def _settle(self, effects: tuple[Effect, ...], now: float) -> tuple[Effect, ...]:
        """Remove finished turns after a step, and offer the next utterance if possible."""
        self._count(effects)
        is_replaced = any(isinstance(effect, Replace) for effect in effects)
        if is_replaced and any(turn.may_have_run for turn in self._turns):
            self.doubt(now)
        self._turns = [turn for turn in self._turns if turn.stage is not DeliveryStage.OVER]
        if is_replaced:
            self._lose_link()
        if not self._link_is_up or self._in_flight() is not None:
            return effects
        if not self._turns:
            return (*effects, *self._stream())
        if self._turns[0].is_held or now < self._turns[0].not_before:
            return effects
        if self._draft is not None and self._draft.on_link:
            return (*effects, *self._settle((Replace("another utterance is ready"),), now))
        return (*effects, *self._settle(self._turns[0].offer(now), now))

    def _lose_link(self) -> None:
        self._link_is_up = False
        if self._draft is not None:
            self._draft.lose_link()

    def _stream(self) -> tuple[Effect, ...]:
        """Upload the part of the draft that the link does not have."""
        draft = self._draft
        if draft is None or draft.taken:
            return ()
        start = () if draft.on_link else (Send(AudioStart()),)
        offset, pcm = draft.take_unsent()
        return (*start, Send(AudioPart(offset, pcm))) if pcm else start

    def _hear_of_draft(self, draft: Draft, message: FromBackend) -> tuple[Effect, ...]:
        if isinstance(message, PartialTranscript):
            return (Emit(PartlyTranscribed(draft.turn_id, message.text)),)
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
        if draft.on_link and not (draft.is_prefix_of(utterance.pcm) or draft.taken):
            return None, self._withdraw("differs from what was uploaded")
        self._draft = None
        return draft, ()

    def _count(self, effects: tuple[Effect, ...]) -> None:
        for turn in self._turns:
            if turn.stage is DeliveryStage.OVER:
                self._counts["repeated_sentences"] += turn.reply.duplicates
                self._counts["late_sentences"] += turn.reply.late
        for effect in effects:
            if isinstance(effect, Emit) and isinstance(effect.event, Finished):
                too_big = effect.event.code == Cause.REPLY_TOO_BIG
                self._counts["replies_too_big"] += too_big

    def _in_flight(self) -> DeliveryTurn | None:
        return next((turn for turn in self._turns if turn.stage is not DeliveryStage.WAITING), None)
