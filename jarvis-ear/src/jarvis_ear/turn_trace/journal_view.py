"""JournalView: every event of a turn as a log record, with the fields of the journal."""

import logging
from collections.abc import Mapping
from typing import Final, TypeAlias

from jarvis_ear.config import Config
from jarvis_ear.delivery import events as delivery
from jarvis_ear.delivery.events import Verdict
from jarvis_ear.delivery.playback import FAULTS
from jarvis_ear.hearing.events import (
    HoldTurn,
    Ignored,
    ResumeTurn,
    SelfEchoIgnored,
    SpeechRefused,
    State,
    StateChanged,
    StopSpeaking,
    TurnConfirmed,
    TurnOpened,
)
from jarvis_ear.hearing.utterance import CapturedUtterance
from jarvis_ear.journal import turns as kinds
from jarvis_ear.journal.kind import Kind
from jarvis_ear.journal.sound import CHUNKS_MISSING, SELF_ECHO, SPEECH_REFUSED, UNASKED_SPEECH
from jarvis_ear.turn_trace import words
from jarvis_ear.turn_trace.trace import (
    ANNOUNCED,
    DROPPED,
    KEPT,
    TIMED_OUT,
    Stage,
    TraceEvent,
    TurnEnded,
    TurnTrace,
)
from jarvis_ear.units import milliseconds, seconds

MAX_QUOTED: Final = 500
"""Characters of a transcript in a line: more than a person says in half a minute."""

MAX_LISTED: Final = 8
"""Missing chunks that a line lists one by one."""

_EXPECTED: Final = (Verdict.DONE, Verdict.ABANDONED, Verdict.SUPERSEDED)
"""Verdicts that leave no person without the answer that they wait for."""

_Line: TypeAlias = tuple[int, str, Mapping[str, object]]
"""Level, text, and the fields that the ids of the turn and the name of the event do not cover."""


class JournalView:
    """Writes log records. Called by ``TurnHistory``.

    Words that were spoken are written only while ``log.transcripts`` is set.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._shows_words = False

    def change(self, options: Config) -> None:
        """Write with these options."""
        self._shows_words = options.log.transcripts

    def draw(self, event: TraceEvent, trace: TurnTrace | None) -> None:
        """Write the record of the event, if it has one."""
        if isinstance(event, Ignored):
            self._logger.debug("%s is ignored while %s", type(event.event).__name__, event.state)
        line = self._line(event, trace)
        if line is not None:
            level, text, more = line
            fields = {"EVENT": type(event).__name__, **_ids(trace), **more}
            self._logger.log(level, "%s", text, extra=fields)

    def _line(  # noqa: C901, PLR0911, PLR0912 - one case for each event
        self, event: TraceEvent, trace: TurnTrace | None
    ) -> _Line | None:
        match event:
            case TurnOpened(turn_id):
                return logging.DEBUG, f"turn {turn_id} starts", {}
            case StateChanged():
                return self._state(event, trace)
            case TurnConfirmed():
                return logging.DEBUG, "no ear in another room answers", {}
            case HoldTurn(_, goes_on):
                why = "its sentence continues" if goes_on else "a wake word was detected"
                return logging.DEBUG, f"the turn is held: {why}", {}
            case ResumeTurn():
                return logging.INFO, "nothing newer was said: the turn continues", {}
            case SelfEchoIgnored(_, _, score):
                text = f"the ear ignores its own wake word in the reply (score {score:.2f})"
                return logging.INFO, text, SELF_ECHO.fields(WAKE_SCORE=round(score, 3))
            case SpeechRefused():
                return _speech_refused(event)
            case StopSpeaking():
                return logging.DEBUG, "the reply is interrupted", {}
            case delivery.LinkUp(url):
                return logging.DEBUG, "link up", {"BACKEND": url}
            case delivery.LinkDown(reason):
                return logging.DEBUG, f"link down: {reason}", {}
            case delivery.Sent():
                return logging.INFO, f"sent: {_sizes(event)}", _bytes(event)
            case delivery.ProcessingStarted():
                return logging.DEBUG, "the backend accepted it", {"EVENT": "Processing"}
            case delivery.PartlyTranscribed(_, text):
                return logging.DEBUG, f"understood so far {self._quoted(text)}", {}
            case delivery.Transcribed(_, text):
                return logging.INFO, f"understood {self._quoted(text)}", {}
            case delivery.ThinkingStarted(_, provider):
                return logging.DEBUG, f"the backend asks {provider}", {"EVENT": "Thinking"}
            case delivery.Answered(_, text):
                return logging.DEBUG, f"the backend answers {self._quoted(text)}", {}
            case delivery.ReplyAudio(_, index, content_type, audio):
                size = words.size(len(audio))
                return logging.DEBUG, f"reply chunk {index}: {content_type}, {size}", {}
            case delivery.Refused():
                return _refused(event)
            case delivery.StillWaiting():
                return logging.INFO, "still waiting, and sent before the newer utterance", {}
            case delivery.ChunksMissing():
                return _chunks_missing(event)
            case delivery.UnaskedSpeech(chunks):
                reason = f"unrequested speech is not played: {words.counted(chunks)}"
                return logging.WARNING, reason, UNASKED_SPEECH.fields(REASON=reason)
            case delivery.Finished(_, chunks=chunks) if chunks:
                return logging.INFO, f"reply: {words.counted(chunks)}", {}
            case delivery.Announced(turn_id, sounds):
                return logging.INFO, f"announcement {turn_id}: {words.counted(len(sounds))}", {}
            case TurnEnded() if trace is not None:
                name = "announcement" if trace.is_announcement else "turn"
                text = f"{name} {trace.turn_id}: {words.summary(trace)}"
                return _level(trace), text, {**_all(trace), **_kind(trace).fields()}
        return None

    def _state(self, change: StateChanged, trace: TurnTrace | None) -> _Line:
        """Return the line of a new state.

        Between idle and deaf, the capture thread writes a better line, and not every time.
        """
        is_logged_elsewhere = {change.old, change.new} == {State.IDLE, State.DEAF}
        level = logging.DEBUG if is_logged_elsewhere else logging.INFO
        text = f"{change.old} -> {change.new}: {self._reason(change, trace)}"
        return level, text, {**_opening(trace), "CAUSE": change.why, "STATE": str(change.new)}

    def _reason(self, change: StateChanged, trace: TurnTrace | None) -> str:
        match change.why, trace:
            case "WakeDetected", TurnTrace(score=float(score)):
                return f'heard "{trace.wake_word.name}" (score {score:.2f})'
            case "SpeechStarted", TurnTrace(score=None) if change.old is not State.LISTENING:
                return "heard speech after the reply"
            case _, TurnTrace(utterance=CapturedUtterance() as utterance) if (
                change.new is State.THINKING
            ):
                return _captured(utterance)
            case _:
                return words.state_reason(change)

    def _quoted(self, text: str) -> str:
        """Return a text that was spoken, or only its length."""
        if not self._shows_words:
            return f"{len(text)} characters"
        return f'"{text[:MAX_QUOTED]}{"..." * (len(text) > MAX_QUOTED)}"'


def _captured(utterance: CapturedUtterance) -> str:
    speech_s = seconds(utterance.speech_end - utterance.speech_start)
    lost = f", {milliseconds(utterance.lost)} ms were lost" if utterance.lost else ""
    return f"captured {speech_s:.2f} s of speech (ended by {words.spaced(utterance.reason)}{lost})"


def _sizes(sent: delivery.Sent) -> str:
    raw, wav, base64 = map(words.size, (sent.raw_bytes, sent.wav_bytes, sent.base64_bytes))
    return f"{raw} raw, {wav} WAV, {base64} base64" if sent.base64_bytes else f"{raw} raw, streamed"


def _speech_refused(refused: SpeechRefused) -> _Line:
    why, below_db = words.REFUSALS[refused.refusal], round(refused.below_word_db, 1)
    text = f"speech refused: {why} ({below_db:g} dB below the wake word)"
    fields = SPEECH_REFUSED.fields(CAUSE=str(refused.refusal), BELOW_WAKE_WORD_DB=below_db)
    return logging.INFO, text, fields


def _refused(refused: delivery.Refused) -> _Line:
    why = words.spaced(refused.code)
    text = f"the backend refused it ({why}); the next attempt follows in {refused.retry_s:.1f} s"
    fields = {"CAUSE": refused.code, "RETRY_MS": round(refused.retry_s * 1000)}
    return logging.INFO, text, fields


def _chunks_missing(missing: delivery.ChunksMissing) -> _Line:
    """List the chunks by their places, counted from 1."""
    listed = ", ".join(str(index + 1) for index in missing.indexes[:MAX_LISTED])
    more = len(missing.indexes) - MAX_LISTED
    which = f"{listed} and {more} more" if more > 0 else listed
    text = f"turn {missing.turn_id}: chunk {which} of the reply is missing"
    fields = CHUNKS_MISSING.fields(TURN_ID=missing.turn_id, REPLY_MISSING=which)
    return logging.WARNING, text, fields


def _level(trace: TurnTrace) -> int:
    """Return a warning for a turn that leaves a person without the answer they wait for."""
    is_fine = trace.outcome in (*_EXPECTED, ANNOUNCED, DROPPED, KEPT)
    is_fault = trace.outcome in (Verdict.DONE, ANNOUNCED) and trace.heard()[1] in FAULTS
    return logging.INFO if is_fine and not is_fault else logging.WARNING


def _kind(trace: TurnTrace) -> Kind:
    if trace.outcome == DROPPED and trace.cause == TIMED_OUT:
        return kinds.NO_SPEECH
    if trace.answered_by:
        return kinds.ANSWERED_ELSEWHERE
    return kinds.BY_OUTCOME[trace.outcome or kinds.UNFINISHED.outcome]


def _ids(trace: TurnTrace | None) -> dict[str, object]:
    """Return the fields that every record of a turn has."""
    if trace is None:
        return {}
    session = {"SESSION_ID": trace.session_id} if trace.session_id else {}
    return {"TURN_ID": trace.turn_id, **session}


def _opening(trace: TurnTrace | None) -> dict[str, object]:
    """Return the fields that are known when a turn starts."""
    if trace is None:
        return {}
    scores = {"WAKE_SCORE": trace.score, "WAKE_SECOND_LOOK": trace.second_look}
    scores |= {"WAKE_VERIFIER": trace.verifier}
    word = {}
    if trace.word is not None:
        level, floor = trace.word.level, trace.word.noise_floor
        word = {"LEVEL": round(level, 1), "NOISE_FLOOR": round(floor, 1)}
    name = "" if trace.score is None else trace.wake_word.name
    others = {"WAKE_WORD": name, "BACKEND": trace.backend, "CONTINUES": trace.continues}
    return {
        **{name: round(score, 3) for name, score in scores.items() if score is not None},
        **word,
        **{name: value for name, value in others.items() if value},
    }


def _all(trace: TurnTrace) -> dict[str, object]:
    """Return all fields of a turn. A latency that is not known is absent, never 0."""
    known = _opening(trace)
    if trace.utterance is not None:
        speech = trace.utterance.speech_end - trace.utterance.speech_start
        known |= {"SPEECH_MS": milliseconds(speech), "ENDED_BY": str(trace.utterance.reason)}
        known["LOST_MS"] = milliseconds(trace.utterance.lost)
    if trace.sent is not None:
        known |= _bytes(trace.sent)
    if trace.finished is not None or trace.cause:
        known["CAUSE"] = trace.cause
    happened = {
        "SUPERSEDED_BY": trace.superseded_by,
        "ANSWERED_BY": trace.answered_by,
        "RESUMED": trace.resumed,
        "SELF_ECHOES": trace.self_echoes,
        "REFUSED": trace.refused,
        "DUCKED_MS": round(1000 * trace.ducked_s),
    }
    known |= {name: value for name, value in happened.items() if value}
    if trace.finished is not None:
        if trace.finished.away:
            known["REASON"] = trace.finished.away
        known["HEARD"], known["HEARD_REASON"] = trace.heard()
        known["REPLY_CHUNKS"] = trace.finished.chunks
    latencies = trace.latencies_ms()
    latencies.pop(Stage.END_OF_SPEECH, None)  # where the count begins
    known |= {f"LATENCY_{stage.name}_MS": ms for stage, ms in latencies.items()}
    answer_ms = trace.answer_ms()
    return known if answer_ms is None else {**known, "LATENCY_ANSWER_MS": answer_ms}


def _bytes(sent: delivery.Sent) -> dict[str, object]:
    return {
        "BYTES_RAW": sent.raw_bytes,
        "BYTES_WAV": sent.wav_bytes,
        "BYTES_BASE64": sent.base64_bytes,
    }
