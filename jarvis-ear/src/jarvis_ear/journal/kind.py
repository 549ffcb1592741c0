"""Kind: a class of journal records, with its fields and its explanation."""

import re
from collections.abc import Mapping
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
    "MESSAGE": Field("the text of the record"),
    "PRIORITY": Field("3 error, 4 warning, 6 information, 7 debug", "syslog(3)"),
    "SYSLOG_IDENTIFIER": Field("always `jarvis-ear`"),
    "LOGGER": Field("the module that logs"),
    "THREAD_NAME": Field("the thread that logs"),
    "CODE_FILE": Field("the file of the log call"),
    "CODE_LINE": Field("its line"),
    "CODE_FUNC": Field("its function"),
    "EXCEPTION_TEXT": Field("the traceback of a bug"),
    "RECORDS_LOST": Field(
        "records before this one that were lost, because the journal did not accept them"
    ),
}

OF_EVENTS: Final[Mapping[str, Field]] = {
    "EVENT": Field("the name of the event; the kinds are listed below"),
    "MESSAGE_ID": Field("the kind of event, which `journalctl -x` explains", "128 bits"),
    "STATE": Field("the new state of the ear: `idle`, `listening`, `deaf`, ..."),
    "CAUSE": Field("the cause as a code: one of docs/delivery.md, or the name of an event"),
    "REASON": Field("the cause in English"),
    "SOURCE": Field("the microphone or file"),
    "BACKEND": Field("address of the backend"),
    "BUS": Field("address of the event bus"),
    "BROKER": Field("address of the MQTT broker"),
    "MUTED_BY": Field("who muted the microphone"),
    "MUTED_UNTIL": Field("time of day at which the mute ends"),
    "VOLUME_PERCENT": Field("the new volume of replies", "%"),
    "SET_BY": Field("who set it: `owner`, `broker` or `backend`"),
    "CHANGED": Field("options that a reload changed, or `nothing`"),
    "HOOK": Field("the hook: an event of the options `hooks`, or `url`"),
    "PLACE": Field("the file or folder in question"),
    "DEAF_MS": Field("time without sound", "ms"),
    "AWAY_MS": Field("time without the backend", "ms"),
    "RETRY_MS": Field("time until the next attempt", "ms"),
    "LOST_MS": Field("length of the sound that never arrived", "ms"),
    "CLIPPED_PERCENT": Field(
        "samples at the limit of their range, of the last minute or of a near miss", "%"
    ),
    "NEAR_MISSES": Field("near misses of the wake word since the last such record"),
    "VERSION": Field("version of jarvis-ear"),
    "EXIT_STATUS": Field("exit status of the program"),
}

OF_TURNS: Final[Mapping[str, Field]] = {
    "TURN_ID": Field("id of the turn (one request and its reply), in every record about it"),
    "SESSION_ID": Field("id of the session: a wake word and the follow-ups"),
    "OUTCOME": Field("how the turn ended"),
    "WAKE_WORD": Field("which wake word it was, if it has a score", "text"),
    "WAKE_SCORE": Field("score of the wake word, after the second look", "0 ... 1"),
    "WAKE_SECOND_LOOK": Field("score of the wake model in the second look", "0 ... 1"),
    "WAKE_VERIFIER": Field("output of the verifier; above 1.5 it raises the score", "log odds"),
    "LEVEL": Field("level of the wake word's loudest syllable at the microphone", "dBFS"),
    "NOISE_FLOOR": Field("noise floor of the half minute before the wake word", "dBFS"),
    "SPEECH_MS": Field("length of the speech", "ms"),
    "ENDED_BY": Field("what ended the utterance: `hangover` (silence), `max_length`, ..."),
    "BYTES_RAW": Field("size of the utterance's sound", "bytes"),
    "BYTES_WAV": Field("size as a WAV file", "bytes"),
    "BYTES_BASE64": Field("size as base64; 0 if the wire is binary", "bytes"),
    "REPLY_CHUNKS": Field("chunks of speech in the reply"),
    "REPLY_MISSING": Field("chunks of the reply that did not come, counted from 1"),
    "CONTINUES": Field("turn with the beginning of the sentence that this turn holds"),
    "ANSWERED_BY": Field("ear in another room that answered instead"),
    "SUPERSEDED_BY": Field("turn with the whole sentence of which this one is the beginning"),
    "RESUMED": Field(
        "how often a wake word or other speech held the turn, which then went on because nothing "
        "newer was said"
    ),
    "SELF_ECHOES": Field("how often the ear ignored its own wake word in the reply"),
    "REFUSED": Field("how often speech after the wake word was refused"),
    "BELOW_WAKE_WORD_DB": Field("how much quieter than the wake word refused speech was", "dB"),
    "DUCKED_MS": Field("time in which the reply was quieter, because a person spoke", "ms"),
    "HEARD": Field("how much of the reply was heard: `all`, `part`, `none` or `interrupted`"),
    "HEARD_REASON": Field("why not all of it, as a code of docs/delivery.md"),
    "LATENCY_WAKE_MS": Field("to the wake word, which came before: negative", "ms"),
    "LATENCY_CAPTURED_MS": Field("until the end of the utterance was certain", "ms"),
    "LATENCY_SENT_MS": Field("until all of it was sent", "ms"),
    "LATENCY_PROCESSING_MS": Field("until the backend accepted it", "ms"),
    "LATENCY_TRANSCRIPT_MS": Field("until the backend sent the transcript", "ms"),
    "LATENCY_FIRST_AUDIO_MS": Field("until the first sound of the reply", "ms"),
    "LATENCY_DONE_MS": Field("until the reply was over, or no longer awaited", "ms"),
    "LATENCY_ANSWER_MS": Field("until the first sound, or the end if there was none", "ms"),
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


def advice_for(advice: str, systemctl: str) -> str:
    """Return an advice that is true for an ear: its ``systemctl`` is empty in a terminal."""
    if systemctl:
        return advice.replace("(systemctl ", f"({systemctl} ")
    restart = "(systemctl restart jarvis-ear)"
    parts = advice.replace(restart, "(end the ear, and start it again)").split("; ")
    return "; ".join(part for part in parts if "(systemctl " not in part)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of event: the fields of its records, and the explanation in ``journalctl -x``."""

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
        outcome = {"OUTCOME": self.outcome} if self.outcome else {}
        return {"EVENT": self.event, "MESSAGE_ID": self.message_id, **outcome, **fields}

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
