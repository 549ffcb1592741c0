"""A server that uses a satellite in the order in which Home Assistant does."""

import asyncio
import contextlib
import math
from collections.abc import Iterable
from typing import Final, Self

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.info import Describe
from wyoming.ping import Ping, Pong
from wyoming.satellite import RunSatellite
from wyoming.tts import Synthesize
from wyoming.vad import VoiceStarted, VoiceStopped

RATE: Final = 22_050
SOON_S: Final = 10.0


def speech(samples: int, rate: int = RATE, channels: int = 1) -> tuple[Event, ...]:
    """Return the events of a reply, or of an announcement."""
    form = {"rate": rate, "width": 2, "channels": channels}
    sound = b"\1\2" * samples * channels
    parts = (sound[at : at + 2047] for at in range(0, len(sound), 2047))  # cuts samples in two
    return (
        AudioStart(timestamp=0, **form).event(),
        *(AudioChunk(audio=part, **form).event() for part in parts),
        AudioStop().event(),
    )


ANSWER: Final = (
    VoiceStarted(timestamp=300).event(),
    VoiceStopped(timestamp=900).event(),
    Transcript(text="what time is it").event(),
    Synthesize(text="It is noon.").event(),
    *speech(RATE),
)


class HomeAssistant:
    """Connects to a satellite and answers each utterance. For one loop.

    ``events`` are all that came. With ``answer=None`` an utterance gets no answer. Only the first
    ``pongs`` pings are answered.
    """

    def __init__(
        self, port: int, answer: Iterable[Event] | None = ANSWER, *, pongs: float = math.inf
    ) -> None:
        self._client = AsyncTcpClient("127.0.0.1", port)
        self._answer = answer
        self._pongs = pongs
        self._came = asyncio.Condition()
        self._reading: asyncio.Task[None] | None = None
        self.events: list[Event] = []
        self.sound = b""
        """Sound of the last utterance."""
        self.is_closed = False

    async def __aenter__(self) -> Self:
        async with asyncio.timeout(SOON_S):
            while True:
                try:
                    await self._client.connect()
                except OSError:  # the ear does not listen yet
                    await asyncio.sleep(0.02)
                else:
                    break
        self._reading = asyncio.create_task(self._read())
        await self.send(RunSatellite().event(), Describe().event(), Ping("first").event())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        with contextlib.suppress(OSError):
            await self._client.disconnect()

    async def send(self, *events: Event) -> None:
        for event in events:
            await self._client.write_event(event)

    async def until(self, name: str, count: int = 1) -> Event:
        """Wait for the ``count``-th event of a type."""
        async with asyncio.timeout(SOON_S), self._came:
            await self._came.wait_for(lambda: len(self.of(name)) >= count or self.is_closed)
        return self.of(name)[count - 1]

    async def until_closed(self) -> None:
        async with asyncio.timeout(SOON_S), self._came:
            await self._came.wait_for(lambda: self.is_closed)

    def of(self, name: str) -> list[Event]:
        return [event for event in self.events if event.type == name]

    async def _read(self) -> None:
        with contextlib.suppress(OSError):
            while (event := await self._client.read_event()) is not None:
                await self._take(event)
        self.is_closed = True
        async with self._came:
            self._came.notify_all()

    async def _take(self, event: Event) -> None:
        if event.type == "ping" and len(self.of("ping")) < self._pongs:
            await self.send(Pong(Ping.from_event(event).text).event())
        if event.type == "run-pipeline":
            self.sound = b""
            await self.send(Transcribe(language="en").event())
        if event.type == "audio-chunk":
            self.sound += event.payload or b""
        if event.type == "audio-stop":
            await self.send(*(self._answer or ()))
        async with self._came:
            self.events.append(event)
            self._came.notify_all()
