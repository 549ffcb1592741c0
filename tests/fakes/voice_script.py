"""Scripts of the fake voice servers: what one says and does when an utterance has ended.

A step is a word that every wire has, an event of Socket.IO, a pause or an act.
"""

import base64
import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final, TypeAlias


class Word(Enum):
    """What a server of any wire can say; each wire has its own message for it."""

    PROCESSING = auto()
    TRANSCRIPT = auto()
    REPLY = auto()
    SPEECH = auto()
    DONE = auto()


class Act(Enum):
    """What a server can do to its own process."""

    DIE = auto()
    """SIGKILL."""
    STOP = auto()
    """SIGSTOP, once its answers so far have left."""


@dataclass(frozen=True, slots=True)
class Emit:
    """One event of Socket.IO, without ``voice:``."""

    event: str
    payload: Any = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait a random time between two limits, in seconds."""

    least_s: float
    most_s: float


Step: TypeAlias = Word | Act | Emit | Pause

TRANSCRIPT: Final = "what time is it"
SPEECH: Final = bytes(range(256)) * 125
"""One second of PCM16 at 16 kHz."""

SHORT_WAV: Final = base64.b64encode(b"RIFF" + bytes(60)).decode()
"""Begins like a WAV file."""

LISTENING: Final = Emit("listening")
OF_ANOTHER: Final = {"agentId": "kitchen"}

ANSWER: Final = (Word.PROCESSING, Word.TRANSCRIPT, Word.REPLY, Word.SPEECH, Word.DONE)


def wav(pcm: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(pcm)
    return file.getvalue()


def pcm_of(file: bytes) -> bytes:
    with wave.open(io.BytesIO(file)) as sound:
        frames: bytes = sound.readframes(sound.getnframes())
        return frames


def chunk(index: Any, audio: Any = SHORT_WAV, content_type: Any = "audio/wav") -> Emit:
    return Emit("tts_chunk", {"index": index, "contentType": content_type, "audio": audio})


def done(chunks: int) -> Emit:
    return Emit("tts_done", {"totalChunks": chunks})


def error(message: str) -> Emit:
    return Emit("error", {"error": message})


def after_start(reply: str) -> Iterator[Step]:
    """What a Socket.IO server does when it has answered the start of an utterance."""
    match reply:
        case "early":
            yield from after_end("spoken")
        case "stops":
            yield Act.STOP


def after_end(reply: str, number: int = 1) -> Iterator[Step]:
    """What a server does after the end of its ``number``-th utterance.

    ``answer`` and ``worker`` work on every wire, the others on Socket.IO only.
    """
    match reply:
        case "none" | "early":
            pass
        case "answer":
            yield from ANSWER
        case "worker":  # takes a while, as real servers do
            for word in (Word.PROCESSING, Word.TRANSCRIPT, Word.SPEECH, Word.DONE):
                yield word
                if word in {Word.PROCESSING, Word.TRANSCRIPT}:
                    yield Pause(0.0, 0.25)
        case "dies":
            yield Act.DIE
        case "fails_late":
            yield from (Word.PROCESSING, Word.TRANSCRIPT, error("500 stub failure"), LISTENING)
            yield chunk(0)
        case _:
            yield Word.PROCESSING
            yield from _after_processing(reply, number)


def _after_processing(reply: str, number: int) -> Iterator[Step]:
    match reply:
        case "silent":
            pass
        case "error":
            yield from (error("Could not understand audio"), LISTENING)
        case "fails_first" if number == 1:
            yield from (error("Whisper STT service not available"), LISTENING)
        case "huge":
            yield chunk(0, "A" * 100_000_000)
        case "burst":
            for _ in range(3000):
                yield Emit("thinking", {"provider": "none"})
        case "hostile":
            yield from _nonsense()
        case "of_another":
            yield Emit("processing", OF_ANOTHER)
            yield Emit("transcript", {"text": "open the door", **OF_ANOTHER})
            yield Emit("tts_done", {"totalChunks": 3, **OF_ANOTHER})
            yield Emit("error", {"error": "Could not understand audio", **OF_ANOTHER})
            yield Emit("listening", OF_ANOTHER)
            yield from after_end("spoken")
        case _:
            yield Word.TRANSCRIPT
            yield from _after_transcript(reply)


def _after_transcript(reply: str) -> Iterator[Step]:
    match reply:
        case "spoken" | "stops" | "fails_first":
            yield Word.REPLY
            yield from (chunk(1), chunk(0), chunk(2), done(3), LISTENING)
        case "unasked":
            yield from _after_transcript("spoken")
            yield from (chunk(0), chunk(1), done(2))
        case "late_first":  # two sentences in parallel, of which the first is the slower one
            yield from (chunk(1), Pause(1.7, 1.7), chunk(0), done(2))
        case "speech":
            yield from (chunk(0, base64.b64encode(wav(SPEECH * 10)).decode()), done(1))
        case "endless":
            for index in range(10_000):
                yield from (chunk(index % 512, "A" * 65_536), Pause(0.001, 0.001))
        case "gap":
            yield from (chunk(index) for index in (0, 2, 2, 3))
            yield from (done(4), done(4), LISTENING)
        case "unended":
            yield chunk(0)
        case _:
            raise ValueError(reply)


def _nonsense() -> Iterator[Step]:
    for index in (True, -1, 2**63, "0", 1.5, None, 512):
        yield chunk(index)
    yield chunk(0, "UklGRg==", {})
    yield chunk(0, "***")
    yield chunk(0, 7)
    yield Emit("transcript", ["no", "object"])
    yield Emit("unheard_of")
    yield from (chunk(3), chunk(3), done(4), done(4))
