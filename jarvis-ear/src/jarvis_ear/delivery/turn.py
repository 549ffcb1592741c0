"""DeliveryTurn: one utterance on its way to the backend, and its reply on the way back."""

import math
import zlib
from typing import Final, assert_never

from jarvis_ear.delivery import events
from jarvis_ear.delivery.events import Cause, Verdict, cause_of
from jarvis_ear.delivery.reply import Reply
from jarvis_ear.delivery.timeouts import FLUSH_WINDOW_BYTES, Timeouts
from jarvis_ear.delivery.transitions import (
    AT_BACKEND,
    AT_MOST_ONCE,
    UNCOMMITTED,
    After,
    DeliveryStage,
    DeliveryTransition,
    Effect,
    Note,
    Replace,
    Send,
    Signal,
    SpoolState,
    Tell,
    TransitionTable,
    Upload,
    UploadMode,
)
from jarvis_ear.delivery.utterance import Draft, Past, Utterance
from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wires import messages as wire
from jarvis_ear.wires.socketio import base64_length

MAX_REFUSALS: Final = 2
"""Number of refusals after which an utterance that has not run is given up."""

_HOPELESS: Final = (Cause.NO_AUDIO, Cause.NOT_UNDERSTOOD)
"""Causes for which a retry of the same sound would fail again."""


class DeliveryTurn:
    """Decides the next step of one utterance. Owned by the outbox; the network thread only."""

    def __init__(
        self,
        utterance: Utterance,
        agent_id: str,
        patience: Timeouts,
        moves: TransitionTable = AT_MOST_ONCE,
        carriage: UploadMode = UploadMode.WHOLE,
    ) -> None:
        self.utterance = utterance
        self.stage = DeliveryStage.WAITING
        self._moves = moves
        self._past = utterance.past
        self._agent_id = agent_id
        self._patience = patience
        self._carriage = carriage
        self._ahead: int | None = None
        self._cut_short = False
        self._reply = Reply(patience.gap_s)
        self._total: int | None = None  # sentences that the backend tried, once it reports that
        self._refusals = 0
        self.not_before = -math.inf
        """Earliest time of an offer: a retry has to wait."""
        self._stale_at = utterance.ended_at + patience.fresh_s
        self._stage_ends = self._stale_at
        self._reply_ends = math.inf

    @property
    def turn_id(self) -> str:
        """Id of this turn."""
        return self.utterance.turn_id

    @property
    def reply(self) -> Reply:
        """The chunks of its reply."""
        return self._reply

    @property
    def deadline(self) -> float:
        """When ``tick`` must be called next."""
        if self.stage is DeliveryStage.OVER:
            return math.inf
        gap_ends = self._reply.deadline
        ends = min(self._stage_ends, self._reply_ends)
        return ends if gap_ends is None else min(ends, gap_ends)

    def offer(self, now: float) -> tuple[Effect, ...]:
        """Offer it on a new link, unless it is too old."""
        return self.take(Signal.LINK_UP if now < self._stale_at else Signal.STALE, now)

    def go_on(self, draft: Draft, now: float) -> tuple[Effect, ...]:
        """Continue the upload of ``draft``, and process the messages received for it."""
        self._ahead = draft.sent_bytes
        effects = self.take(Signal.LINK_UP, now)
        for message in draft.heard:
            if not (draft.taken and isinstance(message, wire.Listening)):  # it needs no more sound
                effects += self.hear(message, now)
        return effects

    def flushed(self, now: float) -> tuple[Effect, ...]:
        """Ask to record the commit: the socket has accepted all of the sound."""
        return self.take(Signal.FLUSHED if now < self._stale_at else Signal.STALE, now)

    def marked(self, now: float, *, kept: bool) -> tuple[Effect, ...]:
        """Commit, if that is recorded (``kept``) and not too late: recording may take long."""
        if not kept:
            return self.take(Signal.UNMARKED, now)
        return self.take(Signal.MARKED if now < self._stale_at else Signal.STALE, now)

    def tick(self, now: float) -> tuple[Effect, ...]:
        """Handle expired deadlines."""
        if now < self.deadline:
            return ()
        if now < min(self._stage_ends, self._reply_ends):
            ready = self._reply.tick(now)
            return (*self._miss(), *self._pass_on(ready))
        return self.take(
            Signal.STALE if self.stage is DeliveryStage.WAITING else Signal.TIMED_OUT, now
        )

    def hear(  # noqa: C901, PLR0911 - one case for each message of the wire
        self, message: wire.FromBackend, now: float
    ) -> tuple[Effect, ...]:
        """Process a message of the backend."""
        match message:
            case wire.Listening(agent_id):
                return self.take(Signal.READY, now) if agent_id in (None, self._agent_id) else ()
            case wire.Processing():
                return self.take(Signal.PROCESSING, now)
            case wire.PartialTranscript(text):
                return self._guess(text)
            case wire.Transcript(text):
                return self._progress(now, Tell(events.Transcribed(self.turn_id, text)))
            case wire.Thinking(provider):
                return self._progress(now, Tell(events.ThinkingStarted(self.turn_id, provider)))
            case wire.Answer(text):
                return self._progress(now, Tell(events.Answered(self.turn_id, text)))
            case wire.TtsChunk():
                return self._sentence(message, now)
            case wire.TtsDone(total_chunks):
                return self._ended(total_chunks, now)
            case wire.BackendError(text):
                return self._refused(cause_of(text), now)
            case wire.Pong():
                return ()
            case _:
                assert_never(message)

    def take(self, sign: Signal, now: float, cause: Cause = Cause.NONE) -> tuple[Effect, ...]:
        """Apply a signal, and return the effects."""
        move = self._moves[self.stage].get(sign)
        if move is None:
            return ()
        came_from, self.stage = self.stage, move.to
        self._remember(came_from, sign)
        self._stage_ends = self._end_of_stage(now)
        self._note_cut(came_from)
        leaves_a_rest = self._cut_short and self.stage is DeliveryStage.OVER
        replaced = (Replace(sign.value),) if move.link is After.REPLACE or leaves_a_rest else ()
        return (*replaced, *self._entered(came_from, now), *self._finished(move, cause))

    def _note_cut(self, came_from: DeliveryStage) -> None:
        """Note that the backend began before the end: its rest must not start a new utterance."""
        if self._carriage is UploadMode.STREAMED:
            self._cut_short |= came_from in UNCOMMITTED and self.stage in AT_BACKEND

    def _remember(self, came_from: DeliveryStage, sign: Signal) -> None:
        """Remember whether it may have run, until it has a verdict."""
        if self.stage is not DeliveryStage.WAITING:
            return
        self._ahead = None
        if came_from in UNCOMMITTED:
            return
        if sign is not Signal.REFUSED:
            self._past = Past.PERHAPS_RAN
        self._reply_ends = math.inf

    def _end_of_stage(self, now: float) -> float:
        match self.stage:
            case DeliveryStage.WAITING:
                return self._stale_at
            case DeliveryStage.OFFERED:
                return now + self._patience.start_ack_s
            case DeliveryStage.UPLOADED | DeliveryStage.FLUSHED:
                windows = -(-len(self.utterance.wav) // FLUSH_WINDOW_BYTES)
                return now + windows * self._patience.flush_s
            case DeliveryStage.COMMITTED:
                return now + self._patience.processing_s
            case DeliveryStage.DELIVERED | DeliveryStage.ANSWERING:
                return now + self._patience.reply_s
            case DeliveryStage.OVER:
                return math.inf
            case _:
                assert_never(self.stage)

    def _entered(  # noqa: PLR0911 - one for each stage
        self, came_from: DeliveryStage, now: float
    ) -> tuple[Effect, ...]:
        if self.stage is DeliveryStage.OFFERED:
            return () if self._ahead is not None else (Send(wire.AudioStart(self._agent_id)),)
        if self.stage is DeliveryStage.UPLOADED:
            return (Upload(self._sound()),)
        if self.stage is DeliveryStage.FLUSHED:
            return (self._note(SpoolState.SENT),)
        if self.stage is DeliveryStage.COMMITTED:
            return (Send(wire.AudioEnd(self._agent_id)), Tell(self._sent()))
        if self.stage in AT_BACKEND and came_from not in AT_BACKEND:
            self._reply_ends = now + self._patience.whole_reply_s
            return (self._note(SpoolState.TAKEN), Tell(events.ProcessingStarted(self.turn_id)))
        if (
            self.stage is DeliveryStage.WAITING
            and self._past is Past.NEW
            and came_from not in UNCOMMITTED
        ):
            return (self._note(SpoolState.NEW),)
        return ()

    def _sound(self) -> wire.AudioChunk | wire.AudioPart:
        """Return the sound that the link does not have yet."""
        if self._carriage is UploadMode.WHOLE:
            return wire.AudioChunk(self._agent_id, self.utterance.wav, 0)
        ahead = self._ahead or 0
        return wire.AudioPart(self._agent_id, ahead, self.utterance.pcm[ahead:])

    def _note(self, mark: SpoolState) -> Note:
        return Note(self.turn_id, mark)

    def _finished(self, move: DeliveryTransition, cause: Cause) -> tuple[Effect, ...]:
        if move.verdict is None:
            return ()
        last: tuple[Effect, ...] = ()
        if move.verdict is not Verdict.ABANDONED:  # else the rest of the reply is not wanted
            last = self._pass_on(self._reply.finish(self._total))
        verdict, code = self._judge(move.verdict, cause if move.cause is None else move.cause)
        reply = self._reply
        end = events.Finished(self.turn_id, verdict, code.value, reply.passed_on, reply.missing)
        return (*self._miss(), *last, Tell(end))

    def _judge(self, verdict: Verdict, code: Cause) -> tuple[Verdict, Cause]:
        """Adjust a verdict of "not run" if an earlier attempt may have run."""
        if self._past is Past.NEW:
            return verdict, code
        if verdict is Verdict.REPLACED or code is Cause.STOPPING:
            return Verdict.ABANDONED, code
        if verdict is Verdict.EXPIRED:
            return Verdict.IN_DOUBT, Cause.LINK_LOST
        return (Verdict.IN_DOUBT if code is Cause.STORAGE_FAILED else verdict), code

    def _sent(self) -> events.Sent:
        raw_bytes, wav_bytes = self.utterance.raw_bytes, len(self.utterance.wav)
        letters = base64_length(wav_bytes) if self._carriage is UploadMode.WHOLE else 0
        return events.Sent(self.turn_id, raw_bytes, wav_bytes, letters)

    def _guess(self, text: str) -> tuple[Effect, ...]:
        """Report a partial transcript, which proves nothing."""
        if self.stage in (DeliveryStage.WAITING, DeliveryStage.ANSWERING, DeliveryStage.OVER):
            return ()
        return (Tell(events.PartlyTranscribed(self.turn_id, text)),)

    def _progress(self, now: float, *news: Effect) -> tuple[Effect, ...]:
        effects = self.take(Signal.PROGRESS, now)
        return (*effects, *news) if self.stage is DeliveryStage.ANSWERING else ()

    def _sentence(self, chunk: wire.TtsChunk, now: float) -> tuple[Effect, ...]:
        effects = self._progress(now)
        if self.stage is not DeliveryStage.ANSWERING:
            return ()
        try:
            ready = self._reply.add(chunk, now)
        except RemoteProtocolError:
            return (*effects, *self.take(Signal.REPLY_TOO_BIG, now))
        return (*effects, *self._pass_on(ready))

    def _pass_on(self, chunks: tuple[wire.TtsChunk, ...]) -> tuple[Effect, ...]:
        return tuple(
            Tell(events.ReplyAudio(self.turn_id, chunk.index, chunk.content_type, chunk.audio))
            for chunk in chunks
        )

    def _ended(self, total_chunks: int, now: float) -> tuple[Effect, ...]:
        effects = self._progress(now)
        if self.stage is DeliveryStage.ANSWERING:
            self._total = total_chunks
        return (*effects, *self.take(Signal.REPLY_ENDED, now))

    def _miss(self) -> tuple[Effect, ...]:
        """Report which chunks were given up since the last call."""
        missing = self._reply.take_missing()
        return (Tell(events.ChunksMissing(self.turn_id, missing)),) if missing else ()

    def _refused(self, cause: Cause, now: float) -> tuple[Effect, ...]:
        """Retry once, after a delay in which the backend may recover."""
        self._refusals += 1
        again_at = now + self._pause_s()
        too_late = self._refusals >= MAX_REFUSALS or again_at >= self._stale_at
        if cause in _HOPELESS or too_late:
            return self.take(Signal.REFUSED_FOR_GOOD, now, cause)
        was, effects = self.stage, self.take(Signal.REFUSED, now, cause)
        if self.stage is not DeliveryStage.WAITING or was is DeliveryStage.WAITING:
            return effects
        self.not_before = again_at
        refused = events.Refused(self.turn_id, cause.value, again_at - now)
        return (*effects, Tell(refused))

    def _pause_s(self) -> float:
        """Return the delay before the retry, spread so that ears do not retry together."""
        least_s, most_s = self._patience.retry_least_s, self._patience.retry_most_s
        share = zlib.crc32(self.turn_id.encode()) / 0xFFFF_FFFF
        return least_s + share * (most_s - least_s)
