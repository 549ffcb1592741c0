"""One turn on the server side: from the bytes of an utterance to the messages of a reply.

Nothing here depends on a wire: each endpoint encodes these messages for its own protocol.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterator
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
"""Maximum length of a transcript and of the text of an answer: satellites accept no more. The rest
is dropped."""


@dataclass(frozen=True, slots=True)
class TranscriptReady:
    """The transcript, without the wake phrase."""

    text: str


@dataclass(frozen=True, slots=True)
class BrainAsked:
    """The brain was asked."""

    provider: str
    """Name of the brain."""


@dataclass(frozen=True, slots=True)
class AnswerText:
    """The whole text of the answer, before it is spoken."""

    text: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """One synthesised sentence of the answer."""

    index: int
    """Position in the answer, from 0. The index of a sentence that failed is missing."""
    speech: Speech


@dataclass(frozen=True, slots=True)
class TurnDone:
    """The reply is complete. Each turn ends with this message or with ReplyFailed."""

    attempted: int
    """Sentences passed to text-to-speech, including those that failed."""
    unspoken: str
    """The whole answer if there is no text-to-speech; otherwise empty."""
    is_question: bool = False
    """Whether the answer is a question, so that the person should be heard next."""


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """The turn has failed; nothing of it follows."""

    error: UtteranceError | EngineError
    """Its text is for the satellite."""


ReplyMessage: TypeAlias = (
    TranscriptReady | BrainAsked | AnswerText | Spoken | TurnDone | ReplyFailed
)
SendReply: TypeAlias = Callable[[ReplyMessage], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Engines:
    """The three engines of a conversation."""

    stt: SpeechToText
    brain: Brain
    tts: TextToSpeech

    async def aclose(self) -> None:
        """Close all three."""
        await self.stt.aclose()
        await self.brain.aclose()
        await self.tts.aclose()


class Conversation:
    """Answers utterances, several at a time if asked to. Lives on the loop and never blocks it."""

    def __init__(self, engines: Engines, limits: Limits, *, log_transcripts: bool) -> None:
        self._engines = engines
        self._limits = limits
        self._log_transcripts = log_transcripts

    async def reply(self, utterance: bytes, send: SendReply, *, in_order: bool = False) -> None:
        """Answer ``utterance`` (a WAV file of any rate) by awaiting ``send`` for each message.

        Sentences are sent as soon as they are ready, or ``in_order``; one that cannot be
        synthesised is skipped. Cancelling the task stops the engines.
        """
        try:
            await self._reply(utterance, send, in_order=in_order)
        except (UtteranceError, EngineError) as error:
            _LOG.warning("turn failed: %s", one_line(str(error)))
            await send(ReplyFailed(error))

    async def _reply(self, utterance: bytes, send: SendReply, *, in_order: bool) -> None:
        if not utterance:
            raise UtteranceError("No audio received")
        pcm = await asyncio.to_thread(_decode, utterance, self._limits.utterance_s)
        stt, brain = self._engines.stt, self._engines.brain
        with _as_engine_error("speech-to-text", stt.name):
            transcript = await stt.transcribe(pcm)
        text = without_wake_phrase(transcript[:TEXT_LETTERS])
        _LOG.info("understood %d letters in %.1f s of sound", len(text), seconds(len(pcm)))
        self._log("understood: %s", text)
        if not text:
            raise UtteranceError("Could not understand audio")
        await send(TranscriptReady(text))
        await send(BrainAsked(brain.provider))
        with _as_engine_error("brain", brain.provider):
            answer = await brain.answer(text)
        self._log("answer: %s", answer)
        await send(AnswerText(answer[:TEXT_LETTERS]))
        await send(await self._speak(answer, send, in_order=in_order))

    async def partials(self, sound: AsyncIterable[bytes]) -> AsyncGenerator[str, None]:
        """Yield the transcript of ``sound`` (PCM16, 16 kHz) each time that it changes.

        Partial transcripts are guesses: an engine that cannot make them yields none, and no error.
        """
        previous = ""
        try:
            async with aclosing(self._engines.stt.listen()) as listening:
                async for pcm in sound:
                    with _as_engine_error("speech-to-text", self._engines.stt.name):
                        transcript = await listening.feed(np.frombuffer(pcm, "<i2"))
                    text = without_wake_phrase(transcript[:TEXT_LETTERS])
                    if text and text != previous:
                        previous = text
                        yield text
        except EngineError as error:
            _LOG.debug("no partial transcripts: %s", error)

    async def _speak(self, answer: str, send: SendReply, *, in_order: bool) -> TurnDone:
        """Synthesise the sentences of ``answer``, ``limits.speakers`` at a time, and send them."""
        slots = asyncio.Semaphore(self._limits.speakers)
        tasks = [
            asyncio.create_task(self._synthesise(index, sentence, slots))
            for index, sentence in enumerate(sentences(answer, max_chars=self._limits.reply_chars))
        ]
        attempted, has_voice = 0, True
        try:
            for ready in tasks if in_order else asyncio.as_completed(tasks):
                try:
                    spoken = await ready
                except EngineMissing as missing:
                    _LOG.debug("reply stays text: %s", missing)
                    has_voice = False
                    continue
                attempted += 1
                if spoken is not None:
                    await send(spoken)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        unspoken = "" if has_voice else answer[:TEXT_LETTERS]
        return TurnDone(attempted, unspoken, is_question=answer.rstrip().endswith("?"))

    async def _synthesise(
        self, index: int, sentence: str, slots: asyncio.Semaphore
    ) -> Spoken | None:
        async with slots:
            try:
                with _as_engine_error("text-to-speech", self._engines.tts.name):
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
def _as_engine_error(part: str, name: str) -> Iterator[None]:
    """Turn any unexpected exception of an engine into an EngineError, so that each turn ends."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        _LOG.exception("%s (%s) failed unexpectedly", part, name)
        raise EngineError(f"{part} ({name}) failed: {type(error).__name__}") from error


def _decode(utterance: bytes, max_s: float) -> npt.NDArray[np.int16]:
    try:
        sound = decode_wav(utterance, max_seconds=max_s)
    except WavError as error:
        raise UtteranceError(f"Could not read audio: it {error}") from error
    return resample(sound.mono(), sound.rate, SAMPLE_RATE)
