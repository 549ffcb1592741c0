"""Words for what happens in a turn, as the log says them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from jarvis_ear.delivery.events import (
    Answered,
    Finished,
    PartlyTranscribed,
    Refused,
    Sent,
    Transcribed,
    Verdict,
)
from jarvis_ear.delivery.playback import FAULTS, Heard, Unheard
from jarvis_ear.hearing.events import State, StateChanged, TurnOpened
from jarvis_ear.hearing.utterance import CapturedUtterance, EndReason
from jarvis_ear.journal.kind import Kind
from jarvis_ear.journal.turns import BY_OUTCOME
from jarvis_ear.turn_trace.trace import Stage, TurnStory
from jarvis_ear.units import milliseconds, seconds

MAX_QUOTED: Final = 500
"""Characters of a transcript that a line holds; nobody says more in half a minute."""

MAX_NAMED: Final = 8
"""Missing sentences that a line names one by one."""

NOBODY_SPOKE: Final = "DeadlinePassed"
"""What ends a turn in which no speech came within its time."""

_WHY: Final[Mapping[str, str]] = {
    "SpeechStarted": "speech begins",
    "SpeechDiscarded": "too little to be speech",
    "SoundEnded": "the sound is over",
    "ReplyStarted": "the reply begins",
    "ReplyEnded": "the reply is over",
    "Hushed": "told to be quiet",
    "Muted": "muted",
    "Unmuted": "no longer muted",
    "MicrophoneLost": "no microphone",
    "MicrophoneSilent": "the microphone gives no sound",
    "MicrophoneFound": "the microphone is there",
    "WakeDetected": "heard the wake word",
}
"""Names of events, in words."""

_UNHEARD: Final[Mapping[Unheard, str]] = {
    Unheard.NO_REPLY: "there was no reply",
    Unheard.NO_SPEECH: "the reply holds no speech",
    Unheard.SENTENCES_MISSING: "not all of it came from the backend",
    Unheard.BROKEN_OFF: "it broke off",
    Unheard.NOT_PLAYABLE: "its sound cannot be decoded",
    Unheard.QUEUE_FULL: "it was too long for the loudspeaker's queue",
    Unheard.NO_SPEAKER: "no loudspeaker is configured",
    Unheard.SPEAKER_UNAVAILABLE: "there is no loudspeaker",
    Unheard.SPEAKER_LOST: "the loudspeaker went away",
    Unheard.INTERRUPTED: "interrupted",
    Unheard.TOO_LONG: "it took too long",
    Unheard.STOPPING: "the ear was stopped",
}
"""Why not all of a reply was heard, in words."""
_ENDED: Final[Mapping[str, str]] = {
    EndReason.HANGOVER: "the sentence is over",
    EndReason.MAX_LENGTH: "the sentence was cut, because it was too long",
    EndReason.SOUND_ENDED: "the sound is over",
    EndReason.MICROPHONE_LOST: "the microphone went away in the middle of the sentence",
}
"""Why an utterance ended, in words."""

_TOO_LATE: Final[Mapping[State, str]] = {
    State.LISTENING: "nothing was said",
    State.THINKING: "no reply came",
    State.SPEAKING: "the reply does not end",
    State.FOLLOW_UP: "nothing more was said",
}
"""What it means that a state has lasted as long as it may."""


def why(change: StateChanged) -> str:
    """Say why the state changed."""
    if change.why == "DeadlinePassed":
        return _TOO_LATE.get(change.old, "it took too long")
    name, _, detail = change.why.rstrip(")").partition("(")
    if name == "Failed":
        return f"no reply: {spaced(detail)}" if detail else "no reply"
    if name == "SpeechEnded":
        return _ENDED.get(detail, "the sentence is over")
    return _WHY.get(name) or _in_words(name)


def reason(name: str) -> str:
    """Say what ended a turn early."""
    return "nobody spoke" if name == NOBODY_SPOKE else _WHY.get(name) or _in_words(name)


def heard(opened: TurnOpened, wake_word: str) -> str:
    """Say how a turn began."""
    if opened.score is None:
        return "heard speech after the reply"
    return f'heard "{wake_word}" (score {opened.score:.2f})'


def captured(utterance: CapturedUtterance) -> str:
    """Say what is going to be sent, and why it ended."""
    speech_s = seconds(utterance.speech_end - utterance.speech_start)
    lost = f", {milliseconds(utterance.lost)} ms were lost" if utterance.lost else ""
    return f"captured {speech_s:.2f} s of speech (ended by {spaced(utterance.reason)}{lost})"


def sent(event: Sent) -> str:
    """Say how much went up."""
    if not event.base64_bytes:
        return f"{size(event.raw_bytes)} raw, streamed"
    raw, wav, base64 = map(size, (event.raw_bytes, event.wav_bytes, event.base64_bytes))
    return f"{raw} raw, {wav} WAV, {base64} base64"


def refused(event: Refused) -> str:
    """Say that the backend refused a sentence, and when it gets it once more."""
    why = spaced(event.code)
    return f"the backend refused it ({why}); the second attempt follows in {event.retry_s:.1f} s"


_QUOTED_AS: Final = {
    PartlyTranscribed: "understood so far",
    Transcribed: "understood",
    Answered: "the backend answers",
}


def quoted(event: PartlyTranscribed | Transcribed | Answered, *, transcripts: bool) -> str:
    """Say what was said, or only how long it was."""
    said = event.text[:MAX_QUOTED] + "..." * (len(event.text) > MAX_QUOTED)
    what = f'"{said}"' if transcripts else f"{len(event.text)} characters"
    return f"{_QUOTED_AS[type(event)]} {what}"


def story(turn: TurnStory) -> str:
    """Say what became of a turn, in one line."""
    return "; ".join(_parts(turn))


def _parts(turn: TurnStory) -> Iterator[str]:
    end = "unfinished" if turn.finished is None else outcome(turn.finished)
    yield f"{end}{_where_the_time_went(turn)}"
    if turn.speech_s is not None:
        yield f"{turn.speech_s:.2f} s of speech"
    if turn.score is not None:
        yield f"wake score {turn.score:.2f}"
    if turn.sent is not None:
        yield f"{size(turn.sent.wav_bytes)} sent"
    if turn.finished is not None and turn.finished.chunks:
        yield f"{chunks(turn.finished.chunks)} of reply"
    yield from _heard(turn)
    done_ms, answer_ms = turn.latencies_ms().get(Stage.DONE), turn.answer_ms()
    if done_ms is not None and done_ms != answer_ms:
        yield f"over after {done_ms} ms"


def _heard(turn: TurnStory) -> Iterator[str]:
    """Say what was not heard of a reply, where the verdict does not say so."""
    heard, why = turn.heard() or (Heard.ALL, Unheard.NOTHING)
    is_said = turn.finished is not None and turn.finished.verdict is not Verdict.DONE
    match heard:
        case Heard.NONE if not is_said:
            yield f"nothing heard: {_UNHEARD[why]}"
        case Heard.PART:
            yield f"heard in part: {_UNHEARD[why]}"
        case Heard.INTERRUPTED:
            yield "interrupted"


def _where_the_time_went(turn: TurnStory) -> str:
    """Say how long a person waited from the end of speech, and what for."""
    answer_ms = turn.answer_ms()
    if answer_ms is None:
        return ""
    steps = " + ".join(f"{ms} {stage}" for stage, ms in turn.spent_ms().items())
    return f" after {answer_ms} ms = {steps}"


def stopped_by(reason: str) -> Unheard:
    """Say why a reply is not heard to its end when the ear gave it up for ``reason``."""
    return Unheard.TOO_LONG if reason == "DeadlinePassed" else Unheard.INTERRUPTED


def outcome(finished: Finished) -> str:
    """Say how it ended."""
    verdict = spaced(finished.verdict)
    return f"{verdict} ({spaced(finished.code)})" if finished.code else verdict


def kind(finished: Finished) -> Kind:
    """Find how such an end is marked in the journal."""
    return BY_OUTCOME[str(finished.verdict)]


def is_harmless(turn: TurnStory) -> bool:
    """Whether nobody is left without the answer that they wait for."""
    finished, heard = turn.finished, turn.heard()
    if finished is None or heard is None:
        return False
    if finished.verdict is Verdict.DONE:
        return heard[1] not in FAULTS
    return finished.verdict is Verdict.ABANDONED


def sentences(indexes: Sequence[int]) -> str:
    """Name sentences of a reply by their places, counted from 1, the first eight of them."""
    named = ", ".join(str(index + 1) for index in indexes[:MAX_NAMED])
    more = len(indexes) - MAX_NAMED
    return f"{named} and {more} more" if more > 0 else named


def chunks(count: int) -> str:
    """Say how long a reply was."""
    return f"{count} chunk" if count == 1 else f"{count} chunks"


def size(count: int) -> str:
    """Write a number of bytes."""
    return f"{count} B" if count < 1000 else f"{count / 1000:.0f} kB"  # noqa: PLR2004 - a kilobyte


def _in_words(name: str) -> str:
    """Write the name of a class as words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def spaced(code: str) -> str:
    """Write a code as words."""
    return code.replace("_", " ")
