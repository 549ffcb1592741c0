"""English texts about turns, for the journal, the console and the status report."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from jarvis_ear.delivery.events import Verdict
from jarvis_ear.delivery.playback import Heard, Unheard
from jarvis_ear.hearing.events import State, StateChanged
from jarvis_ear.hearing.utterance import EndReason
from jarvis_ear.turn_trace.trace import TIMED_OUT, Stage, TurnTrace

_EVENTS: Final[Mapping[str, str]] = {
    TIMED_OUT: "no speech",
    "SpeechStarted": "speech started",
    "SpeechDiscarded": "too short for speech",
    "SoundEnded": "the sound ended",
    "ReplyStarted": "the reply starts",
    "ReplyEnded": "the reply is over",
    "Hushed": "hushed",
    "Muted": "muted",
    "Unmuted": "unmuted",
    "MicrophoneLost": "microphone lost",
    "MicrophoneSilent": "the microphone is silent",
    "MicrophoneFound": "microphone found",
    "WakeDetected": "wake word detected",
}
"""Names of the ear's events; the time-out as the end of a turn without an utterance."""

_UNHEARD: Final[Mapping[str, str]] = {
    Unheard.NO_REPLY: "there was no reply",
    Unheard.NO_SPEECH: "the reply has no speech",
    Unheard.CHUNKS_MISSING: "chunks are missing",
    Unheard.BROKEN_OFF: "the reply broke off",
    Unheard.NOT_PLAYABLE: "the sound cannot be decoded",
    Unheard.QUEUE_FULL: "the reply exceeded the queue of the loudspeaker",
    Unheard.NO_SPEAKER: "no loudspeaker is configured",
    Unheard.SPEAKER_UNAVAILABLE: "there is no loudspeaker",
    Unheard.SPEAKER_LOST: "the loudspeaker was lost",
    Unheard.INTERRUPTED: "interrupted",
    Unheard.TOO_LONG: "it took too long",
    Unheard.STOPPING: "the ear was stopped",
}
_ENDINGS: Final[Mapping[str, str]] = {
    EndReason.HANGOVER: "the utterance is over",
    EndReason.MAX_LENGTH: "the utterance reached its maximum length",
    EndReason.SOUND_ENDED: "the sound ended",
    EndReason.MICROPHONE_LOST: "the microphone was lost during the utterance",
}
_TIMEOUTS: Final[Mapping[State, str]] = {
    State.LISTENING: "no speech",
    State.THINKING: "no reply",
    State.SPEAKING: "the reply does not end",
    State.FOLLOW_UP: "no further speech",
}


def state_reason(change: StateChanged) -> str:
    """Return why the state changed."""
    if change.why == TIMED_OUT:
        return _TIMEOUTS.get(change.old, "it took too long")
    name, _, detail = change.why.rstrip(")").partition("(")
    if name == "Failed":
        return f"no reply: {spaced(detail)}" if detail else "no reply"
    if name == "SpeechEnded":
        return _ENDINGS.get(detail, "the utterance is over")
    return event_name(name)


def event_name(name: str) -> str:
    """Return the class name of an event of the ear in words."""
    return _EVENTS.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def summary(trace: TurnTrace) -> str:
    """Return what became of a turn, in one line without the words that were spoken."""
    match trace.outcome:
        case "dropped":
            return f"dropped ({event_name(trace.cause)}), nothing was sent"
        case "kept":
            return "not sent yet, kept for the next start"
        case _:
            return "; ".join(_parts(trace))


def _parts(trace: TurnTrace) -> Iterator[str]:
    latencies, answer_ms = trace.latencies_ms(), trace.answer_ms()
    outcome = spaced(trace.outcome) or "unfinished"
    cause = f" ({spaced(trace.cause)})" if trace.cause else ""
    stages = ", ".join(f"{ms} {stage}" for stage, ms in trace.spent_ms().items())
    when = "in" if trace.outcome == Verdict.DONE else "after"
    yield f"{outcome}{cause}" + ("" if answer_ms is None else f" {when} {answer_ms} ms: {stages}")
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
        case Heard.NONE, why if trace.outcome == Verdict.DONE:
            yield f"nothing heard: {_UNHEARD[why]}"
        case Heard.PART, why:
            yield f"heard in part: {_UNHEARD[why]}"
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
