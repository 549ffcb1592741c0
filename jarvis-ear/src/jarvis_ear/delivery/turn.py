"""DeliveryTurn: one utterance and its reply, from the offer to the verdict."""

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
    HELD_BACK,
    UNCOMMITTED,
    DeliveryStage,
    DeliveryTransition,
    Effect,
    Emit,
    Replace,
    Send,
    SetState,
    Signal,
    SpoolState,
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

_HOPELESS: Final = (Cause.NO_AUDIO, Cause.NOT_UNDERSTOOD, Cause.ANSWERED_ELSEWHERE)
"""Causes for which a retry of the same sound would fail again."""

_UNWANTED: Final = (Verdict.ABANDONED, Verdict.SUPERSEDED)
"""Verdicts of turns whose reply is not played to its end."""


class DeliveryTurn:
    """Decides the next step of one utterance. Owned by the outbox; the network thread only."""

    def __init__(
        self,
        utterance: Utterance,
        timeouts: Timeouts,
        transitions: TransitionTable = AT_MOST_ONCE,
        upload_mode: UploadMode = UploadMode.WHOLE,
    ) -> None:
        self.utterance = utterance
        self.turn_id = utterance.turn_id
        self.stage = DeliveryStage.WAITING
        self.reply = Reply(timeouts.gap_s)
        """The chunks of its reply."""
        self.not_before = -math.inf
        """Earliest time of an offer: a retry has to wait."""
        self.is_held = False
        """Whether it must not be committed for now."""
        self._held_back: tuple[DeliveryStage, Signal] | None = None  # what waits for the release
        self._is_beginning = False  # the spool knows that its sentence continues
        self._successor = ""
        self._timeouts = timeouts
        self._transitions = transitions
        self._upload_mode = upload_mode
        self._past = utterance.past
        self._uploaded: int | None = None  # bytes that the link has from a draft
        self._began_early = False  # the backend began before the end of a streamed utterance
        self._total: int | None = (
            None  # chunks that the backend tried to make, once it reports that
        )
        self._asks_follow_up = False
        self._volume = wire.UNCHANGED
        self.may_have_run = utterance.past is not Past.NEW
        """Whether it was ever committed: a reply to it may come."""
        self._refusals = 0
        self._stale_at = utterance.ended_at + timeouts.fresh_s
        self._stage_ends = self._stale_at
        self._reply_ends = math.inf

    @property
    def deadline(self) -> float:
        """When ``tick`` must be called next."""
        if self.stage is DeliveryStage.OVER:
            return math.inf
        return min(self._stage_ends, self._reply_ends, self.reply.deadline)

    def offer(self, now: float) -> tuple[Effect, ...]:
        """Offer it on a new link, unless it is too old."""
        return self.handle(self._if_fresh(Signal.LINK_UP, now), now)

    def go_on(self, draft: Draft, now: float) -> tuple[Effect, ...]:
        """Continue the upload of ``draft``, and process the messages received for it."""
        self._uploaded = draft.sent_bytes
        effects = self.handle(Signal.LINK_UP, now)
        for message in draft.messages:
            if not (draft.taken and isinstance(message, wire.Listening)):  # it needs no more sound
                effects += self.hear(message, now)
        return effects

    def flushed(self, now: float) -> tuple[Effect, ...]:
        """Ask to record the commit: the socket has accepted all of the sound."""
        return self.handle(self._if_fresh(Signal.FLUSHED, now), now)

    def recorded(self, now: float, *, ok: bool) -> tuple[Effect, ...]:
        """Commit, if that is recorded (``ok``) and not too late: recording may take long."""
        signal = self._if_fresh(Signal.RECORDED, now) if ok else Signal.NOT_RECORDED
        return self.handle(signal, now)

    def hold(self, *, goes_on: bool) -> tuple[Effect, ...]:
        """Do not commit it until ``release``; with ``goes_on``, not in a later run either."""
        self.is_held = True
        if self.stage not in UNCOMMITTED or self._past is not Past.NEW:
            return ()
        if goes_on == self._is_beginning:
            return ()
        self._is_beginning = goes_on
        return (SetState(self.turn_id, SpoolState.HELD if goes_on else SpoolState.NEW),)

    def release(self, now: float) -> tuple[Effect, ...]:
        """Go on where it was held."""
        known = self.hold(goes_on=False)
        self.is_held = False
        held_back, self._held_back = self._held_back, None
        if held_back is None or held_back[0] is not self.stage:
            return known
        if held_back[1] is Signal.RECORDED:  # the spool has forgotten it since
            return (*known, SetState(self.turn_id, SpoolState.SENT))
        return (*known, *self.handle(self._if_fresh(held_back[1], now), now))

    def supersede(self, by: str, now: float) -> tuple[Effect, ...]:
        """End it: the turn ``by`` has the whole sentence."""
        self._successor = by
        return self.handle(Signal.SUPERSEDED, now)

    def tick(self, now: float) -> tuple[Effect, ...]:
        """Handle expired deadlines."""
        if now < self.deadline:
            return ()
        if now < min(self._stage_ends, self._reply_ends):
            ready = self.reply.tick(now)
            return (*self._missing(), *self._audio(ready))
        waiting = self.stage is DeliveryStage.WAITING
        return self.handle(Signal.STALE if waiting else Signal.TIMED_OUT, now)

    def hear(  # noqa: C901, PLR0911 - one case for each message of the wire
        self, message: wire.FromBackend, now: float
    ) -> tuple[Effect, ...]:
        """Process a message of the backend."""
        match message:
            case wire.Listening():
                return self.handle(Signal.READY, now)
            case wire.Processing():
                return self.handle(Signal.PROCESSING, now)
            case wire.PartialTranscript(text):
                return self._partial_transcript(text)
            case wire.Transcript(text):
                return self._progress(now, Emit(events.Transcribed(self.turn_id, text)))
            case wire.Thinking(provider):
                return self._progress(now, Emit(events.ThinkingStarted(self.turn_id, provider)))
            case wire.Answer(text):
                return self._progress(now, Emit(events.Answered(self.turn_id, text)))
            case wire.TtsChunk():
                return self._chunk(message, now)
            case wire.TtsDone():
                return self._reply_ended(message, now)
            case wire.BackendError(text):
                return self._refused(cause_of(text), now)
            case wire.Pong():
                return ()
            case _:
                assert_never(message)

    def handle(self, signal: Signal, now: float, cause: Cause = Cause.NONE) -> tuple[Effect, ...]:
        """Apply a signal, and return the effects."""
        transition = self._transitions[self.stage].get(signal)
        if transition is None:
            return ()
        if self.is_held and self.stage in UNCOMMITTED and signal in HELD_BACK:
            self._held_back = (self.stage, signal)
            return ()
        previous, self.stage = self.stage, transition.to
        self.may_have_run |= previous not in UNCOMMITTED
        if self.stage is DeliveryStage.WAITING:
            self._uploaded = None
            if previous not in UNCOMMITTED:
                self._reply_ends = math.inf
                if signal is not Signal.REFUSED:
                    self._past = Past.PERHAPS_RAN
        self._stage_ends = self._end_of_stage(now)
        if self._upload_mode is UploadMode.STREAMED and previous in UNCOMMITTED:
            self._began_early |= self.stage in AT_BACKEND
        # the sound that a backend got after it began must not start a new utterance
        unused_sound = self._began_early and self.stage is DeliveryStage.OVER
        replace = (Replace(signal.value),) if transition.replaces_link or unused_sound else ()
        return (*replace, *self._entered(previous, now), *self._finished(transition, cause))

    def _if_fresh(self, signal: Signal, now: float) -> Signal:
        return signal if now < self._stale_at else Signal.STALE

    def _end_of_stage(self, now: float) -> float:
        match self.stage:
            case DeliveryStage.WAITING:
                return self._stale_at
            case DeliveryStage.OFFERED:
                return now + self._timeouts.start_ack_s
            case DeliveryStage.UPLOADED | DeliveryStage.FLUSHED:
                windows = -(-len(self.utterance.wav) // FLUSH_WINDOW_BYTES)
                return now + windows * self._timeouts.flush_s
            case DeliveryStage.COMMITTED:
                return now + self._timeouts.processing_s
            case DeliveryStage.DELIVERED | DeliveryStage.ANSWERING:
                return now + self._timeouts.reply_s
            case DeliveryStage.OVER:
                return math.inf
            case _:
                assert_never(self.stage)

    def _entered(  # noqa: PLR0911 - one for each stage
        self, previous: DeliveryStage, now: float
    ) -> tuple[Effect, ...]:
        match self.stage:
            case DeliveryStage.OFFERED if self._uploaded is None:
                return (Send(wire.AudioStart(self.utterance.agent_id)),)
            case DeliveryStage.UPLOADED:
                return (Upload(self._sound()),)
            case DeliveryStage.FLUSHED:
                return (SetState(self.turn_id, SpoolState.SENT),)
            case DeliveryStage.COMMITTED:
                end = wire.AudioEnd(self.utterance.agent_id, self.utterance.wake_word)
                return (Send(end), Emit(self._sent()))
            case DeliveryStage.DELIVERED | DeliveryStage.ANSWERING if previous not in AT_BACKEND:
                self._reply_ends = now + self._timeouts.whole_reply_s
                started = Emit(events.ProcessingStarted(self.turn_id))
                return (SetState(self.turn_id, SpoolState.TAKEN), started)
            case DeliveryStage.WAITING if self._past is Past.NEW and previous not in UNCOMMITTED:
                return (SetState(self.turn_id, SpoolState.NEW),)
        return ()

    def _sound(self) -> wire.AudioChunk | wire.AudioPart:
        """Return the sound that the link does not have yet."""
        if self._upload_mode is not UploadMode.STREAMED:
            return wire.AudioChunk(self.utterance.wav, self.utterance.agent_id)
        offset = self._uploaded or 0
        return wire.AudioPart(offset, self.utterance.pcm[offset:])

    def _sent(self) -> events.Sent:
        raw_bytes, wav_bytes = self.utterance.raw_bytes, len(self.utterance.wav)
        letters = base64_length(wav_bytes) if self._upload_mode is UploadMode.WHOLE else 0
        return events.Sent(self.turn_id, raw_bytes, wav_bytes, letters)

    def _finished(self, transition: DeliveryTransition, cause: Cause) -> tuple[Effect, ...]:
        if transition.verdict is None:
            return ()
        last: tuple[Effect, ...] = ()
        if transition.verdict not in _UNWANTED:
            last = self._audio(self.reply.finish(self._total))
        code = cause if transition.cause is None else transition.cause
        verdict, code = self._adjust(transition.verdict, code)
        reply = self.reply
        chunks = (reply.passed_on, reply.missing)
        ends = (self._successor, self._asks_follow_up)
        end = events.Finished(self.turn_id, verdict, code.value, *chunks, *ends, self._volume)
        return (*self._missing(), *last, Emit(end))

    def _adjust(self, verdict: Verdict, code: Cause) -> tuple[Verdict, Cause]:
        """Adjust a verdict of "not run" if an earlier attempt may have run."""
        if self._past is Past.NEW:
            return verdict, code
        if verdict is Verdict.REPLACED or code is Cause.STOPPING:
            return Verdict.ABANDONED, code
        if verdict is Verdict.EXPIRED:
            return Verdict.IN_DOUBT, Cause.LINK_LOST
        if verdict is Verdict.SUPERSEDED:
            return verdict, Cause.COMMITTED
        return (Verdict.IN_DOUBT if code is Cause.STORAGE_FAILED else verdict), code

    def _partial_transcript(self, text: str) -> tuple[Effect, ...]:
        """Report a partial transcript, which proves nothing."""
        if self.stage in (DeliveryStage.WAITING, DeliveryStage.ANSWERING, DeliveryStage.OVER):
            return ()
        return (Emit(events.PartlyTranscribed(self.turn_id, text)),)

    def _progress(self, now: float, *reports: Effect) -> tuple[Effect, ...]:
        effects = self.handle(Signal.PROGRESS, now)
        return (*effects, *reports) if self.stage is DeliveryStage.ANSWERING else ()

    def _chunk(self, chunk: wire.TtsChunk, now: float) -> tuple[Effect, ...]:
        effects = self._progress(now)
        if self.stage is not DeliveryStage.ANSWERING:
            return ()
        try:
            ready = self.reply.add(chunk, now)
        except RemoteProtocolError:
            return (*effects, *self.handle(Signal.REPLY_TOO_BIG, now))
        return (*effects, *self._audio(ready))

    def _audio(self, chunks: tuple[wire.TtsChunk, ...]) -> tuple[Effect, ...]:
        return tuple(
            Emit(events.ReplyAudio(self.turn_id, chunk.index, chunk.content_type, chunk.audio))
            for chunk in chunks
        )

    def _missing(self) -> tuple[Effect, ...]:
        """Report which chunks were given up since the last call."""
        missing = self.reply.take_missing()
        return (Emit(events.ChunksMissing(self.turn_id, missing)),) if missing else ()

    def _reply_ended(self, done: wire.TtsDone, now: float) -> tuple[Effect, ...]:
        effects = self._progress(now)
        if self.stage is DeliveryStage.ANSWERING:
            self._total = done.total_chunks
            self._asks_follow_up = done.follow_up
            self._volume = done.volume
        return (*effects, *self.handle(Signal.REPLY_ENDED, now))

    def _refused(self, cause: Cause, now: float) -> tuple[Effect, ...]:
        """Retry once, after a delay in which the backend may recover."""
        self._refusals += 1
        again_at = now + self._retry_delay_s()
        too_late = self._refusals >= MAX_REFUSALS or again_at >= self._stale_at
        if cause in _HOPELESS or too_late:
            return self.handle(Signal.REFUSED_FOR_GOOD, now, cause)
        previous, effects = self.stage, self.handle(Signal.REFUSED, now, cause)
        if self.stage is not DeliveryStage.WAITING or previous is DeliveryStage.WAITING:
            return effects
        self.not_before = again_at
        refused = events.Refused(self.turn_id, cause.value, again_at - now)
        return (*effects, Emit(refused))

    def _retry_delay_s(self) -> float:
        """Return the delay before the retry, spread so that ears do not retry together."""
        least_s, most_s = self._timeouts.retry_least_s, self._timeouts.retry_most_s
        share = zlib.crc32(self.turn_id.encode()) / 0xFFFF_FFFF
        return least_s + share * (most_s - least_s)
