"""Engines that do what the test wrote down, and remember what they were asked."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from jarvis_backend.brain import Brain, Question
from jarvis_backend.conversation import Engines
from jarvis_backend.engines.engine import LiveTranscription, Speech, SpeechToText, TextToSpeech
from jarvis_backend.errors import EngineError
from jarvis_backend.household.timers import Announcer
from jarvis_ear.audio.wav import pcm_to_wav


class ScriptedEar:
    """Understands ``text`` in everything. Lives on the loop of its user."""

    name = "scripted"

    def __init__(self, text: str = "what time is it", error: str = "") -> None:
        self.text = text
        self.error = error
        """Raised as an EngineError instead of an answer, unless empty."""
        self.heard: list[npt.NDArray[np.int16]] = []
        self.guess = ""
        """What it understands of unfinished speech."""
        self.closed = False

    async def prepare(self) -> None:
        """Nothing to load."""

    async def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:
        self.heard.append(pcm)
        if self.error:
            raise EngineError(self.error)
        return self.text

    def listen(self) -> LiveTranscription:
        return _ScriptedListening(self)

    async def aclose(self) -> None:
        self.closed = True


class _ScriptedListening:
    def __init__(self, ear: ScriptedEar) -> None:
        self._ear = ear

    async def feed(self, pcm: npt.NDArray[np.int16]) -> str:
        if self._ear.error:
            raise EngineError(self._ear.error)
        return self._ear.guess if len(pcm) else ""

    async def aclose(self) -> None:
        pass


class ScriptedBrain:
    """Answers with ``reply``, once it may. Lives on the loop of its user."""

    provider = "scripted"

    def __init__(self, reply: str | Sequence[str] = "One. Two. Three.", error: str = "") -> None:
        self.replies = [reply] if isinstance(reply, str) else list(reply)
        """One per question; the last one answers all further questions."""
        self.error = error
        self.asked: list[str] = []
        self.closed = False

    def start(self, announcer: Announcer) -> None:
        """Nothing to tell."""

    async def answer(self, question: Question) -> AsyncGenerator[str, None]:
        self.asked.append(question.text)
        if self.error:
            raise EngineError(self.error)
        yield self.replies[min(len(self.asked), len(self.replies)) - 1]

    async def aclose(self) -> None:
        self.closed = True


class ScriptedVoice:
    """Speaks a few samples per sentence, in an order the test chose. Lives on one loop."""

    name = "scripted"

    def __init__(
        self,
        after: Mapping[str, str] | None = None,
        fails: Sequence[str] = (),
        *,
        hangs: bool = False,
    ) -> None:
        self.after = dict(after or {})
        """A sentence that is not ready before another one is."""
        self.fails = frozenset(fails)
        self.hangs = hangs
        self.asked: list[str] = []
        self.cancelled: list[str] = []
        """Sentences whose listener went away first."""
        self.most_at_once = 0
        self._at_once = 0
        self._ready: dict[str, asyncio.Event] = {}

    async def prepare(self) -> None:
        """Nothing to load."""

    async def speak(self, sentence: str) -> Speech:
        self.asked.append(sentence)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await self._speak(sentence)
        except asyncio.CancelledError:
            self.cancelled.append(sentence)
            raise
        finally:
            self._at_once -= 1
            self._event(sentence).set()

    async def aclose(self) -> None:
        """Nothing is held."""

    async def _speak(self, sentence: str) -> Speech:
        await asyncio.sleep(0)
        if self.hangs:
            await asyncio.Event().wait()
        if sentence in self.after:
            await self._event(self.after[sentence]).wait()
        if sentence in self.fails:
            raise EngineError(f"cannot say {sentence!r}")
        return Speech("audio/wav", spoken(sentence))

    def _event(self, sentence: str) -> asyncio.Event:
        return self._ready.setdefault(sentence, asyncio.Event())


def spoken(sentence: str) -> bytes:
    """Return what a ScriptedVoice makes of ``sentence``: a WAV with its letters as samples."""
    return pcm_to_wav(np.array([ord(letter) for letter in sentence], "<i2").tobytes())


def scripted(
    stt: SpeechToText | None = None, brain: Brain | None = None, tts: TextToSpeech | None = None
) -> Engines:
    """Engines of a test: scripted, except those that are given."""
    return Engines(stt or ScriptedEar(), brain or ScriptedBrain(), tts or ScriptedVoice())
