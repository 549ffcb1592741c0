"""One turn on the server side: from the bytes of an utterance to the messages of a reply.

Nothing here depends on a wire: each endpoint encodes these messages for its own protocol.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from jarvis_backend.brain import Brain, Question
from jarvis_backend.config import Limits
from jarvis_backend.engines.engine import Speech, SpeechToText, TextToSpeech
from jarvis_backend.errors import EngineError, EngineMissing, UtteranceError
from jarvis_backend.text import SentenceSplitter, one_line, without_wake_phrase
from jarvis_ear.audio.resample import resample
from jarvis_ear.audio.wav import WavError, decode_wav
from jarvis_ear.units import SAMPLE_RATE, seconds
from jarvis_ear.wires import socketio as wire
from jarvis_ear.wires.messages import UNCHANGED, VolumeRequest

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
    """The brain was asked; repeated every ``ALIVE_S`` until its answer is spoken."""

    provider: str
    """Name of the brain."""
    is_repeated: bool = False


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
    volume: VolumeRequest = UNCHANGED
    """What the satellite is asked to do with its volume."""


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


@dataclass(frozen=True, slots=True)
class _Room:
    """A connection that can be spoken to."""

    send: SendReply
    is_busy: Callable[[], bool]
    speaking: asyncio.Lock
    """Held by an announcement: a reply that begins meanwhile waits, so that they do not mix."""


ALIVE_S: Final = 20.0
"""Seconds between two signs that a slow brain works: an ear waits for 60 s without one."""

UNFINISHED: Final = "I cannot finish this answer."
"""Sentence at the end of an answer whose rest did not arrive."""


class Conversation:
    """Answers utterances, several at a time if asked to. Lives on the loop and never blocks it.

    It also speaks unasked, in rooms that are connected and where nobody is being answered.
    """

    def __init__(self, engines: Engines, limits: Limits, *, log_transcripts: bool) -> None:
        self._engines = engines
        self._limits = limits
        self._log_transcripts = log_transcripts
        self._rooms: dict[str, _Room] = {}
        self._turns: Counter[str] = Counter()

    def open_room(
        self, room: str, send: SendReply, is_busy: Callable[[], bool] = lambda: False
    ) -> None:
        """Note that ``room`` can be spoken to by ``send``, unless ``is_busy``."""
        known = self._rooms.get(room)
        if known is None or known.send != send:
            self._rooms[room] = _Room(send, is_busy, asyncio.Lock())

    def close_rooms(self, send: SendReply) -> None:
        """Note that a connection has ended; another one may have taken one of its rooms."""
        self._rooms = {name: room for name, room in self._rooms.items() if room.send != send}

    def can_speak(self, room: str) -> bool:
        """Return whether ``room`` is connected and nobody talks to it; empty: any room."""
        return self._room(room) is not None

    async def announce(self, room: str, text: str) -> None:
        """Speak ``text`` in ``room``; empty: in any room. Not at all if it cannot be."""
        found = self._room(room)
        if found is None:
            return
        speech = _Speech(self._engines.tts, self._limits)
        try:
            speech.add(text)
            speech.finish()
            async with found.speaking:
                await speech.send_all(found.send, in_order=True)
                await found.send(speech.done())
        finally:
            await speech.aclose()

    def _room(self, name: str) -> _Room | None:
        for each in [name] if name else self._rooms:
            room = self._rooms.get(each)
            if room is not None and not self._turns[each] and not room.is_busy():
                return room
        return None

    async def reply(
        self, utterance: bytes, send: SendReply, *, in_order: bool = False, room: str = ""
    ) -> None:
        """Answer ``utterance`` (a WAV file of any rate) by awaiting ``send`` for each message.

        Sentences are sent as soon as they are ready, or ``in_order``; one that cannot be
        synthesised is skipped. ``room`` is where it was spoken. Cancelling the task stops the
        engines.
        """
        self._turns[room] += 1
        try:
            await self._reply(utterance, send, in_order=in_order, room=room)
        except (UtteranceError, EngineError) as error:
            _LOG.warning("turn failed: %s", one_line(str(error)))
            await send(ReplyFailed(error))
        finally:
            self._turns -= Counter([room])

    async def _reply(self, utterance: bytes, send: SendReply, *, in_order: bool, room: str) -> None:
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
        if (known := self._rooms.get(room)) is not None:
            async with known.speaking:
                pass
        speech = _Speech(self._engines.tts, self._limits)
        speaking = asyncio.create_task(speech.send_all(send, in_order=in_order))
        working = asyncio.create_task(_repeat(send, BrainAsked(brain.provider, is_repeated=True)))
        try:
            await self._think(Question(text, room, speech.set_volume), speech)
            self._log("answer: %s", speech.text)
            await send(AnswerText(speech.text[:TEXT_LETTERS]))
            await speaking
        finally:
            speaking.cancel()
            working.cancel()
            await asyncio.gather(speaking, working, return_exceptions=True)
            await speech.aclose()
        await send(speech.done())  # at the end: an interruption after it finds no turn

    async def _think(self, question: Question, speech: "_Speech") -> None:
        """Have the brain answer. Raises EngineError unless a sentence was known before."""
        brain = self._engines.brain
        try:
            with _as_engine_error("brain", brain.provider):
                async with aclosing(brain.answer(question)) as pieces:
                    async for piece in pieces:
                        speech.add(piece)
        except EngineError as error:
            if not speech.has_sentence:
                raise
            _LOG.warning("an answer is not finished: %s", one_line(str(error)))
            speech.add(f"\n{UNFINISHED}")
        speech.finish()

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

    def _log(self, line: str, text: str) -> None:
        if self._log_transcripts:
            _LOG.info(line, one_line(text, self._limits.reply_chars))


async def _repeat(send: SendReply, message: ReplyMessage) -> None:
    """Send ``message`` every ``ALIVE_S`` until cancelled."""
    while True:
        await asyncio.sleep(ALIVE_S)
        await send(message)


class _Speech:
    """The speech of one answer, synthesised while later sentences are not known. Lives on the loop.

    ``limits.speakers`` sentences are synthesised at a time. Bound: ``limits.reply_chars``. Policy:
    what is longer is not spoken.
    """

    def __init__(self, tts: TextToSpeech, limits: Limits) -> None:
        self._tts = tts
        self._splitter = SentenceSplitter(limits.reply_chars)
        self._slots = asyncio.Semaphore(limits.speakers)
        self._tasks: list[asyncio.Task[Spoken | None]] = []
        self._ready: list[asyncio.Task[Spoken | None]] = []
        self._changed = asyncio.Event()
        self._is_complete = False
        self._attempted = 0
        self._has_voice = True
        self._volume = UNCHANGED
        self.text = ""
        """The answer so far."""

    @property
    def has_sentence(self) -> bool:
        """Whether a whole sentence is known."""
        return bool(self._tasks)

    def add(self, piece: str) -> None:
        """Add text to the answer; its whole sentences are synthesised from now on."""
        self.text += piece
        self._begin(self._splitter.feed(piece))

    def set_volume(self, request: VolumeRequest) -> None:
        """Note what the satellite is asked to do with its volume."""
        self._volume = request

    def finish(self) -> None:
        """Note that the answer is complete."""
        self._begin(self._splitter.flush())
        self._is_complete = True
        self._changed.set()

    async def send_all(self, send: SendReply, *, in_order: bool) -> None:
        """Send each sentence when it is ready, until the answer is complete and sent."""
        sent = 0
        while not (self._is_complete and sent == len(self._tasks)):
            order = self._tasks if in_order else self._ready
            if sent < len(order) and order[sent].done():
                sent += 1
                await self._send(order[sent - 1], send)
            else:
                self._changed.clear()
                await self._changed.wait()

    def done(self) -> TurnDone:
        """Return the message that ends the reply."""
        unspoken = "" if self._has_voice else self.text[:TEXT_LETTERS]
        is_question = self.text.rstrip().endswith("?")
        return TurnDone(self._attempted, unspoken, is_question, self._volume)

    async def aclose(self) -> None:
        """Stop the voice."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, known: Iterable[str]) -> None:
        for sentence in known:
            task = asyncio.create_task(self._synthesise(len(self._tasks), sentence))
            task.add_done_callback(self._on_ready)
            self._tasks.append(task)

    def _on_ready(self, task: asyncio.Task[Spoken | None]) -> None:
        self._ready.append(task)
        self._changed.set()

    async def _send(self, task: asyncio.Task[Spoken | None], send: SendReply) -> None:
        try:
            spoken = task.result()
        except EngineMissing as missing:
            _LOG.debug("reply stays text: %s", missing)
            self._has_voice = False
            return
        self._attempted += 1
        if spoken is not None:
            await send(spoken)

    async def _synthesise(self, index: int, sentence: str) -> Spoken | None:
        async with self._slots:
            try:
                with _as_engine_error("text-to-speech", self._tts.name):
                    return Spoken(index, await self._tts.speak(sentence))
            except EngineMissing:
                raise
            except EngineError as error:
                _LOG.warning("sentence %d is left out: %s", index, error)
                return None


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
