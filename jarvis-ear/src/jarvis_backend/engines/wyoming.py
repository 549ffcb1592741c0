"""Speech services of the Wyoming protocol as engines: those of Home Assistant, for example."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Final
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.tts import Synthesize, SynthesizeVoice

from jarvis_backend.config import SpeechToTextOptions, TextToSpeechOptions
from jarvis_backend.engines.engine import LiveTranscription, Speech, StatelessEngine
from jarvis_backend.engines.redecoding import Redecoding
from jarvis_backend.errors import EngineError, why_unreachable
from jarvis_backend.text import one_line
from jarvis_ear.audio.wav import mix, pcm_to_wav
from jarvis_ear.units import SAMPLE_BYTES, SAMPLE_RATE
from jarvis_ear.wires.json_fields import RemoteProtocolError
from jarvis_ear.wires.wyoming import (
    MAX_HEADER_BYTES,
    PART_BYTES,
    encode,
    receive,
    sound_format,
    text_of,
)

MAX_SPEECH_BYTES: Final = 16 * 1024 * 1024
"""Maximum size of the sound of a sentence, as of an answer over HTTP."""


class WyomingEngine(StatelessEngine):
    """A client of one service. Lives on the loop; each task has a connection of its own."""

    name = "wyoming"

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s

    async def _ask(self, *request: Event) -> list[Event]:
        """Send a request; return the events of the answer, up to the one that ends it.

        Raises EngineError without an answer within the time-out.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                async with aclosing(self._answer(request)) as events:
                    return [event async for event in events]
        except TimeoutError:
            raise EngineError(f"{self._url} took more than {self._timeout_s:g} s") from None
        except RemoteProtocolError as error:
            raise EngineError(f"{self._url} does not speak the protocol: {error}") from error
        except OSError as error:
            reason = f"{why_unreachable(error)}; expected a speech service of Home Assistant there"
            raise EngineError(f"{self._url} cannot be reached: {reason}") from error

    async def _answer(self, request: Iterable[Event]) -> AsyncGenerator[Event, None]:
        """Yield the events of the answer: a transcript, or sound to its end."""
        parts = urlsplit(self._url)
        reader, writer = await asyncio.open_connection(
            parts.hostname, parts.port, limit=MAX_HEADER_BYTES
        )
        try:
            writer.writelines(map(encode, request))
            await writer.drain()
            size = 0
            while (event := await receive(reader)) is not None:
                if event.type == "error":
                    text = one_line(str(event.data.get("text")))
                    raise EngineError(f"{self._url} answers with an error: {text}")
                size += len(event.payload or b"")
                if size > MAX_SPEECH_BYTES:
                    raise EngineError(f"{self._url} sent more than {MAX_SPEECH_BYTES} bytes")
                yield event
                if event.type in ("transcript", "audio-stop"):
                    return
            raise EngineError(f"{self._url} closed the connection without an answer")
        finally:
            writer.transport.abort()


class WyomingSpeechToText(WyomingEngine):
    """Speech-to-text by a service such as wyoming-faster-whisper. Lives on the loop."""

    def __init__(self, options: SpeechToTextOptions) -> None:
        super().__init__(options.url, options.timeout_s)
        self._options = options
        self._redecoding = asyncio.Lock()

    async def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:
        """Send the sound; return the transcript."""
        sound = pcm.astype("<i2").tobytes()
        form = {"rate": SAMPLE_RATE, "width": SAMPLE_BYTES, "channels": 1}
        parts = (
            AudioChunk(audio=sound[at : at + PART_BYTES], **form).event()
            for at in range(0, len(sound), PART_BYTES)
        )
        ask = Transcribe(name=self._options.model or None, language=self._options.language or None)
        events = await self._ask(
            ask.event(), AudioStart(**form).event(), *parts, AudioStop().event()
        )
        if events[-1].type != "transcript":
            raise EngineError(f"{self._url} answers with sound, expected a transcript")
        return _text(self._url, events[-1])

    def listen(self) -> LiveTranscription:
        """Send the utterance repeatedly while it grows."""
        return Redecoding(self.transcribe, self._redecoding)


class WyomingTextToSpeech(WyomingEngine):
    """Text-to-speech by a service such as wyoming-piper. Lives on the loop."""

    def __init__(self, options: TextToSpeechOptions) -> None:
        super().__init__(options.url, options.timeout_s)
        self._voice = SynthesizeVoice(name=options.voice) if options.voice else None

    async def speak(self, sentence: str) -> Speech:
        """Request the sound of one sentence."""
        events = await self._ask(Synthesize(text=sentence, voice=self._voice).event())
        try:
            starts = [sound_format(event) for event in events if event.type == "audio-start"]
        except RemoteProtocolError as error:
            raise EngineError(f"{self._url} does not speak the protocol: {error}") from error
        sound = b"".join(event.payload or b"" for event in events if event.type == "audio-chunk")
        if len(starts) != 1 or not sound:
            raise EngineError(f"{self._url} sent no sound")
        [form] = starts
        return Speech("audio/wav", pcm_to_wav(mix(form.decode(sound)).tobytes(), form.rate))


def _text(url: str, event: Event) -> str:
    try:
        return text_of(event).strip()
    except RemoteProtocolError as error:
        raise EngineError(f"{url} does not speak the protocol: {error}") from error
