"""Kind: a class of journal records, with its fields and its explanation."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")  # systemd.journal-fields(7)


@dataclass(frozen=True, slots=True)
class Field:
    """Meaning of one field of a record."""

    meaning: str
    unit: str = ""
    """Unit of the value; empty: a word, a name or a count."""


OF_EVERY_RECORD: Final[Mapping[str, Field]] = {
    "MESSAGE": Field("the line for people"),
    "PRIORITY": Field("3 error, 4 warning, 6 what happens, 7 details", "syslog(3)"),
    "SYSLOG_IDENTIFIER": Field("always `jarvis-ear`"),
    "LOGGER": Field("the part of the program that speaks"),
    "THREAD_NAME": Field("the thread it spoke in"),
    "CODE_FILE": Field("where in the code"),
    "CODE_LINE": Field("likewise"),
    "CODE_FUNC": Field("likewise"),
    "EXCEPTION_TEXT": Field("the traceback of a bug"),
    "RECORDS_LOST": Field("records before this one that the journal did not take"),
}

OF_EVENTS: Final[Mapping[str, Field]] = {
    "EVENT": Field("what happened, in one word; the kinds are listed below"),
    "MESSAGE_ID": Field("the kind of event: what `journalctl -x` explains", "128 bits"),
    "STATE": Field("what the ear does from now on: `idle`, `listening`, `deaf`, ..."),
    "CAUSE": Field("why, as a word for programs: a cause of docs/delivery.md, or an event's name"),
    "REASON": Field("why, in words for people"),
    "SOURCE": Field("the microphone or file that is heard"),
    "BACKEND": Field("address of the backend"),
    "BUS": Field("address of the event bus"),
    "MUTED_BY": Field("who wants the microphone closed"),
    "CHANGED": Field("options that have another value since a reload, or `nothing`"),
    "PLACE": Field("the file or folder in question"),
    "DEAF_MS": Field("for how long there has been no sound", "ms"),
    "AWAY_MS": Field("for how long the backend was away", "ms"),
    "RETRY_MS": Field("when the next attempt comes", "ms"),
    "LOST_MS": Field("sound that never arrived", "ms"),
    "CLIPPED_PERCENT": Field("samples at an end of their scale, of the last minute", "%"),
    "VERSION": Field("of jarvis-ear"),
    "EXIT_STATUS": Field("what the program ends with"),
}

OF_TURNS: Final[Mapping[str, Field]] = {
    "TURN_ID": Field("one sentence and its reply; every record about it has it"),
    "SESSION_ID": Field("the turns that one wake word began"),
    "OUTCOME": Field("what became of the turn"),
    "WAKE_SCORE": Field("how sure the wake model was", "0 ... 1"),
    "SPEECH_MS": Field("length of the speech", "ms"),
    "ENDED_BY": Field("what ended the sentence: `hangover` (silence), `max_length`, ..."),
    "BYTES_RAW": Field("sound of the sentence", "bytes"),
    "BYTES_WAV": Field("the same as a WAV file", "bytes"),
    "BYTES_BASE64": Field("the same as it went up", "bytes"),
    "REPLY_CHUNKS": Field("sentences of speech in the reply"),
    "REPLY_MISSING": Field("which sentences of the reply did not come, counted from 1"),
    "HEARD": Field("how much of the reply was heard: `all`, `part`, `none` or `interrupted`"),
    "HEARD_REASON": Field("why not all of it, as a word for programs, see docs/delivery.md"),
    "LATENCY_WAKE_MS": Field("to the wake word: negative, it came before", "ms"),
    "LATENCY_CAPTURED_MS": Field("until it was sure that the sentence was over", "ms"),
    "LATENCY_SENT_MS": Field("until the backend was given all of it", "ms"),
    "LATENCY_PROCESSING_MS": Field("until the backend said that it works on it", "ms"),
    "LATENCY_TRANSCRIPT_MS": Field("until the backend had understood it", "ms"),
    "LATENCY_FIRST_AUDIO_MS": Field("until the first sound of the reply", "ms"),
    "LATENCY_DONE_MS": Field("until the reply, or the hope for one, was over", "ms"),
    "LATENCY_ANSWER_MS": Field("how long a person waited: for sound, or for the end", "ms"),
}
"""All latencies count from the end of speech. One that was not reached is absent, never 0."""

FIELDS: Final[Mapping[str, Field]] = {**OF_EVENTS, **OF_TURNS, **OF_EVERY_RECORD}
"""All fields: no record has any other."""


def is_name(text: str) -> bool:
    """Whether the journal accepts ``text`` as the name of one of our fields."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Remedy:
    """One way to solve or examine the problem."""

    words: str
    command: str = ""
    """The exact command to type; empty: none."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of event: the marks of its records, and their explanation in ``journalctl -x``."""

    event: str
    """The value of EVENT. All ends of a turn have the same one."""
    message_id: str
    """128 random bits. Must never change: queries and alarms of users refer to it."""
    subject: str
    """What happened, in one line. @NAME@ stands for a field of the record."""
    causes: str
    """What that means, and its causes. Fields as in ``subject``."""
    remedies: tuple[Remedy, ...] = ()
    """What to do about it, the most likely first."""
    outcome: str = ""
    """The value of OUTCOME for the end of a turn; empty for other kinds."""

    def fields(self, **fields: object) -> dict[str, object]:
        """Return the fields of a record of this kind, as ``extra`` of a log call."""
        return {**dict(self._marks()), **fields}

    @property
    def advice(self) -> str:
        """Remedies in one line, commands in parentheses, without those that read the journal."""
        return "; ".join(
            f"{remedy.words} ({remedy.command})" if remedy.command else remedy.words
            for remedy in self.remedies
            if not remedy.command.startswith("journalctl ")
        )

    @property
    def references(self) -> frozenset[str]:
        """The fields that every record of this kind must have."""
        texts = [self.subject, self.causes, *(remedy.command for remedy in self.remedies)]
        return frozenset(re.findall(r"@([A-Z_]+)@", " ".join(texts)))

    def _marks(self) -> Iterator[tuple[str, object]]:
        yield "EVENT", self.event
        yield "MESSAGE_ID", self.message_id
        if self.outcome:
            yield "OUTCOME", self.outcome
