"""Conversation: one turn, server side. The bytes of an utterance in, the messages of a reply out.

It knows no wire: every endpoint says these messages in its own words.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from jarvis_backend.brain import Brain
from jarvis_backend.config import Limits
from jarvis_backend.engines.engine import Speech, SpeechToText, TextToSpeech
from jarvis_backend.errors import EngineError, EngineMissing, UtteranceError
from jarvis_backend.text import one_line, sentences, without_wake_phrase
from jarvis_ear.audio.resample import resample
from jarvis_ear.audio.wav import WavError, decode_wav
from jarvis_ear.units import SAMPLE_RATE, seconds
from jarvis_ear.wires import socketio as wire

_LOG: Final = logging.getLogger(__name__)

TEXT_LETTERS: Final = wire.MAX_TEXT
"""Longest transcript that is used, and longest answer that is passed on as text: satellites take no
longer one. The rest is left out."""


@dataclass(frozen=True, slots=True)
class TranscriptReady:
    """What was understood, without the wake phrase."""

    text: str


@dataclass(frozen=True, slots=True)
class BrainAsked:
    """The brain was asked."""

    provider: str
    """Which one."""


@dataclass(frozen=True, slots=True)
class AnswerText:
    """What will be spoken, whole."""

    text: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """One sentence of the answer, spoken. They come as they are ready, not in order."""

    index: int
    """Its place in the answer, from 0. One that could not be synthesised never comes."""
    speech: Speech


@dataclass(frozen=True, slots=True)
class TurnDone:
    """The reply is complete; always the last message of a turn that did not fail."""

    attempted: int
    """Sentences that were given to the voice, synthesised or not."""
    unspoken: str
    """The whole answer if there is no voice to speak it; else empty."""


ReplyMessage: TypeAlias = TranscriptReady | BrainAsked | AnswerText | Spoken | TurnDone


@dataclass(frozen=True, slots=True)
class Engines:
    """What a conversation understands, thinks and speaks with."""

    stt: SpeechToText
    brain: Brain
    tts: TextToSpeech

    async def aclose(self) -> None:
        """Close all three."""
        await self.stt.aclose()
        await self.brain.aclose()
        await self.tts.aclose()


class Conversation:
    """Answers utterances, several at once if asked to. Lives on the loop; nothing in it blocks."""

    def __init__(self, engines: Engines, limits: Limits, *, log_transcripts: bool) -> None:
        self._engines = engines
        self._limits = limits
        self._log_transcripts = log_transcripts

    async def reply(self, utterance: bytes) -> AsyncGenerator[ReplyMessage, None]:
        """Answer a recorded ``utterance`` (a WAV file of any rate).

        Raises UtteranceError for one that cannot be used, and EngineError when the ear or the brain
        fails in whatever way. A sentence that cannot be spoken is left out. Closing the iterator
        stops the work.
        """
        if not utterance:
            raise UtteranceError("No audio received")
        pcm = await asyncio.to_thread(_decode, utterance, self._limits.utterance_s)
        stt = self._engines.stt
        with _failing_as_one("speech-to-text", stt.name):
            heard = await stt.transcribe(pcm)
        text = without_wake_phrase(heard[:TEXT_LETTERS])
        _LOG.info("understood %d letters in %.1f s of sound", len(text), seconds(len(pcm)))
        self._log("understood: %s", text)
        if not text:
            raise UtteranceError("Could not understand audio")
        yield TranscriptReady(text)
        async with aclosing(self._answer(text)) as messages:
            async for message in messages:
                yield message

    async def partials(self, sound: AsyncIterable[bytes]) -> AsyncGenerator[str, None]:
        """Understand ``sound`` (PCM16, 16 kHz) while it comes; say what has changed, each time.

        They are guesses: when an engine cannot make them there are none, and no error.
        """
        said = ""
        try:
            async with aclosing(self._engines.stt.listen()) as listening:
                async for pcm in sound:
                    with _failing_as_one("speech-to-text", self._engines.stt.name):
                        heard = await listening.feed(np.frombuffer(pcm, "<i2"))
                    text = without_wake_phrase(heard[:TEXT_LETTERS])
                    if text and text != said:
                        said = text
                        yield text
        except EngineError as error:
            _LOG.debug("no partial transcripts: %s", error)

    async def _answer(self, text: str) -> AsyncGenerator[ReplyMessage, None]:
        brain = self._engines.brain
        yield BrainAsked(brain.provider)
        with _failing_as_one("brain", brain.provider):
            answer = await brain.answer(text)
        self._log("answer: %s", answer)
        yield AnswerText(answer[:TEXT_LETTERS])
        async with aclosing(self._speak(answer)) as messages:
            async for message in messages:
                yield message

    async def _speak(self, answer: str) -> AsyncGenerator[ReplyMessage, None]:
        """Synthesise the sentences, some at once; each comes out when it is ready."""
        turnstile = asyncio.Semaphore(self._limits.speakers)
        parts = sentences(answer, most_chars=self._limits.reply_chars)
        tasks = [
            asyncio.create_task(self._sentence(index, part, turnstile))
            for index, part in enumerate(parts)
        ]
        attempted, has_voice = 0, True
        try:
            for next_ready in asyncio.as_completed(tasks):
                try:
                    spoken = await next_ready
                except EngineMissing as missing:
                    _LOG.debug("reply stays text: %s", missing)
                    has_voice = False
                    continue
                attempted += 1
                if spoken is not None:
                    yield spoken
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        yield TurnDone(attempted, unspoken="" if has_voice else answer[:TEXT_LETTERS])

    async def _sentence(
        self, index: int, sentence: str, turnstile: asyncio.Semaphore
    ) -> Spoken | None:
        async with turnstile:
            try:
                with _failing_as_one("text-to-speech", self._engines.tts.name):
                    return Spoken(index, await self._engines.tts.speak(sentence))
            except EngineMissing:
                raise
            except EngineError as error:
                _LOG.warning("sentence %d is left out: %s", index, error)
                return None

    def _log(self, line: str, text: str) -> None:
        if self._log_transcripts:
            _LOG.info(line, one_line(text, self._limits.reply_chars))


@contextmanager
def _failing_as_one(part: str, name: str) -> Iterator[None]:
    """Turn what an engine was never meant to raise into an EngineError: a turn always ends."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        _LOG.exception("%s (%s) failed in a way that is not foreseen", part, name)
        raise EngineError(f"{part} ({name}) failed: {type(error).__name__}") from error


def _decode(utterance: bytes, most_s: float) -> npt.NDArray[np.int16]:
    try:
        sound = decode_wav(utterance, max_seconds=most_s)
    except WavError as error:
        raise UtteranceError(f"Could not read audio: it {error}") from error
    return resample(sound.mono(), sound.rate, SAMPLE_RATE)
