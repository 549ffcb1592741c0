"""English texts about turns, for the journal, the console and the status report."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from jarvis_ear.delivery.events import Verdict
from jarvis_ear.delivery.playback import Heard
from jarvis_ear.hearing.events import RefusalReason, State, StateChanged
from jarvis_ear.turn_trace.trace import ANNOUNCED, DROPPED, KEPT, TIMED_OUT, Stage, TurnTrace

_TIMEOUTS: Final[Mapping[State, str]] = {
    State.LISTENING: "no speech",
    State.THINKING: "no reply",
    State.SPEAKING: "the reply does not end",
    State.FOLLOW_UP: "no further speech",
}

REFUSALS: Final[Mapping[RefusalReason, str]] = {
    RefusalReason.TOO_QUIET: "much quieter than the wake word",
    RefusalReason.TALK: "no louder than people who talked before the wake word",
    RefusalReason.NOISE: "noise, or hardly speech",
}


def state_reason(change: StateChanged) -> str:
    """Return why the state changed."""
    if change.why == TIMED_OUT:
        return _TIMEOUTS.get(change.old, "it took too long")
    name, _, detail = change.why.rstrip(")").partition("(")
    event = "no reply" if name == "Failed" else event_name(name)
    return f"{event}: {spaced(detail)}" if detail else event


def event_name(name: str) -> str:
    """Return the class name of an event of the ear in words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def drop_reason(trace: TurnTrace) -> str:
    """Return why a turn ended without an utterance."""
    if trace.cause == TIMED_OUT:
        return "only speech that was refused" if trace.refused else "no speech"
    by = f" by {trace.answered_by}" if trace.answered_by else ""
    return f"{event_name(trace.cause)}{by}"


def summary(trace: TurnTrace) -> str:
    """Return the result of a turn, in one line without the words that were spoken."""
    if trace.outcome == DROPPED:
        return f"dropped ({drop_reason(trace)}), nothing was sent"
    if trace.outcome == KEPT:
        return "not sent yet, kept for the next start"
    if trace.is_announcement:
        return "; ".join((f"{counted(trace.chunks)} of speech", *_unheard(trace)))
    return "; ".join(_parts(trace))


def _parts(trace: TurnTrace) -> Iterator[str]:
    latencies, answer_ms = trace.latencies_ms(), trace.answer_ms()
    outcome = spaced(trace.outcome) or "unfinished"
    cause = f" ({spaced(trace.cause)})" if trace.cause else ""
    stages = ", ".join(f"{ms} {stage}" for stage, ms in trace.spent_ms().items())
    when = "in" if trace.outcome == Verdict.DONE else "after"
    yield f"{outcome}{cause}" + ("" if answer_ms is None else f" {when} {answer_ms} ms: {stages}")
    if trace.superseded_by:
        yield f"the whole sentence is turn {trace.superseded_by}"
    if trace.continues:
        yield f"continues turn {trace.continues}"
    if trace.speech_s is not None:
        yield f"{trace.speech_s:.2f} s of speech"
    if trace.score is not None:
        yield f"wake score {trace.score:.2f}"
    if trace.sent is not None:
        yield f"{size(trace.sent.wav_bytes)} sent"
    if trace.finished is not None and trace.finished.chunks:
        yield f"{counted(trace.finished.chunks)} of reply"
    yield from _unheard(trace)
    done_ms = latencies.get(Stage.DONE)
    if done_ms is not None and done_ms != answer_ms:
        yield f"over after {done_ms} ms"


def _unheard(trace: TurnTrace) -> Iterator[str]:
    """Yield which part of a reply was not heard, unless the verdict says it."""
    match trace.heard():
        case Heard.NONE, why if trace.outcome in (Verdict.DONE, ANNOUNCED):
            yield f"nothing heard: {spaced(why)}"
        case Heard.PART, why:
            yield f"heard in part: {spaced(why)}"
        case Heard.INTERRUPTED, _:
            yield "interrupted"


def counted(chunks: int) -> str:
    """Return a number of chunks."""
    return f"{chunks} chunk" if chunks == 1 else f"{chunks} chunks"


def size(count: int) -> str:
    """Return a number of bytes, from 1000 on in kB."""
    return f"{count} B" if count < 1000 else f"{count / 1000:.0f} kB"  # noqa: PLR2004 - a kilobyte


def spaced(code: str) -> str:
    """Return a code as words."""
    return code.replace("_", " ")
