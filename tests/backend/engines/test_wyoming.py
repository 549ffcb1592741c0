"""Speech services of the Wyoming protocol as engines, against servers of the library."""

import asyncio
import contextlib
from contextlib import aclosing

import numpy as np
import pytest
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.server import AsyncEventHandler, AsyncTcpServer
from wyoming.tts import Synthesize

from fakes.home_assistant import RATE, speech
from fakes.voice_server import free_port
from jarvis_backend.config import SpeechToTextOptions, TextToSpeechOptions
from jarvis_backend.engines import wyoming
from jarvis_backend.engines.wyoming import WyomingSpeechToText, WyomingTextToSpeech
from jarvis_backend.errors import EngineError
from jarvis_ear.audio.wav import decode_wav

PCM = np.arange(3000, dtype=np.int16)


class Service(AsyncEventHandler):
    """Answers every request alike."""

    def __init__(self, answer, asked, *streams):
        super().__init__(*streams)
        self._answer, self._asked = answer, asked

    async def handle_event(self, event):
        self._asked.append(event)
        if AudioStop.is_type(event.type) or Synthesize.is_type(event.type):
            for each in self._answer:
                await self.write_event(each)
        return True


@contextlib.asynccontextmanager
async def service(*answer):
    """Run a service; yield its address and the events that it gets."""
    port, asked = free_port(), []
    server = AsyncTcpServer("127.0.0.1", port)
    await server.start(lambda *streams: Service(answer, asked, *streams))
    try:
        yield f"tcp://127.0.0.1:{port}", asked
    finally:
        await server.stop()


def transcribed(*answer, timeout_s=10, **options):
    async def scene():
        async with service(*answer) as (url, asked):
            engine = WyomingSpeechToText(
                SpeechToTextOptions(url=url, timeout_s=timeout_s, **options)
            )
            return await engine.transcribe(PCM), asked

    return asyncio.run(scene())


def spoken(*answer, **options):
    async def scene():
        async with service(*answer) as (url, asked):
            engine = WyomingTextToSpeech(TextToSpeechOptions(url=url, **options))
            return await engine.speak("Dinner is ready."), asked

    return asyncio.run(scene())


def test_speech_to_text():
    text, asked = transcribed(
        Event("transcript-start"), Event("transcript-chunk", {"text": "tur"}),
        Transcript(text=" turn it\non ").event(), model="small",
    )  # fmt: skip
    assert text == "turn it on"
    ask, start, *chunks, _stop = asked
    assert (Transcribe.from_event(ask).name, Transcribe.from_event(ask).language) == ("small", "en")
    assert AudioStart.from_event(start).rate == 16_000
    sound = b"".join(AudioChunk.from_event(chunk).audio for chunk in chunks)
    assert sound == PCM.tobytes()


def test_a_transcript_grows_while_somebody_speaks():
    async def scene():
        async with service(Transcript(text="turn").event()) as (url, asked):
            engine = WyomingSpeechToText(SpeechToTextOptions(url=url))
            async with aclosing(engine.listen()) as listening:
                assert await listening.feed(np.zeros(16_000, np.int16)) == "turn"
            assert len([each for each in asked if each.type == "transcribe"]) == 1

    asyncio.run(scene())


@pytest.mark.parametrize(("voice", "name"), [("", None), ("amy", "amy")])
def test_text_to_speech(voice, name):
    answer, asked = spoken(*speech(RATE, channels=2), voice=voice)
    [request] = [Synthesize.from_event(each) for each in asked]
    assert request.text == "Dinner is ready."
    assert (request.voice.name if request.voice else None) == name
    assert answer.content_type == "audio/wav"
    sound = decode_wav(answer.audio, max_seconds=2)
    assert (sound.rate, len(sound.mono())) == (RATE, RATE)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([Error("no\nmodel").event()], "answers with an error: no model"),
        ([Event("transcript", {"text": 7})], "does not speak the protocol"),
        ([*speech(10)], "expected a transcript"),
    ],
)
def test_a_recogniser_that_fails_is_told(answer, words):
    with pytest.raises(EngineError, match=words):
        transcribed(*answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([AudioStart(RATE, 2, 1).event(), AudioStop().event()], "sent no sound"),
        ([Event("audio-start", {"rate": "high"}), AudioStop().event()], "does not speak"),
        ([Transcript(text="no").event()], "sent no sound"),
    ],
)
def test_a_voice_that_fails_is_told(answer, words):
    with pytest.raises(EngineError, match=words):
        spoken(*answer)


def test_an_answer_is_bounded_in_time_and_size(monkeypatch):
    with pytest.raises(EngineError, match="more than 1 s"):
        transcribed(timeout_s=1)
    monkeypatch.setattr(wyoming, "MAX_SPEECH_BYTES", 1000)
    with pytest.raises(EngineError, match="more than 1000 bytes"):
        spoken(*speech(1000))


def test_a_service_that_is_away_or_is_none():
    async def scene(garbage):
        async def say(_reader, writer):
            writer.write(garbage)
            writer.close()

        port = free_port()
        engine = WyomingSpeechToText(SpeechToTextOptions(url=f"tcp://127.0.0.1:{port}"))
        if garbage is None:
            await engine.transcribe(PCM)
        async with await asyncio.start_server(say, "127.0.0.1", port):
            await engine.transcribe(PCM)

    for garbage, words in [
        (None, "cannot be reached: connection refused; expected"),
        (b"HTTP/1.1 400 Bad Request\r\n", "does not speak the protocol"),
        (b"", "cannot be reached|closed the connection"),
    ]:
        with pytest.raises(EngineError, match=words):
            asyncio.run(scene(garbage))
