"""The realtime stream: delay of partial transcripts and of the answer."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import numpy as np

from bench.backend_process import RunningBackend, running_backend
from bench.material import Collection
from bench.percent import milliseconds
from bench.scale import Scale
from bench.sound import Sound
from bench.table import Row, Table
from jarvis_backend.engines.sphinx_child import LiveDecoder
from jarvis_backend.text import without_wake_phrase
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.units import SAMPLE_RATE, samples
from jarvis_ear.wires import realtime as wire

SLICE_MS: Final = 100
"""Length of the slices, as usual for clients."""

PARTIAL_MS: Final = 1000.0
RESPONSE_MS: Final = 5000.0
"""Targets set by the wire's owner; the second is for 10 s of speech."""

GOAL_S: Final = 10


@dataclass(slots=True)
class Found:
    """Delays in seconds, of all people in one row."""

    partials: list[float] = field(default_factory=list)
    """From the sound with the words to the transcript."""
    responses: list[float] = field(default_factory=list)
    """From the end to the answer."""
    strange: int = 0
    """Partial transcripts that a decoder with the same sound does not produce."""


def realtime(scale: Scale, collection: Collection) -> list[Table]:
    """Speak to a backend with its default engines, in real time."""
    rows = []
    with running_backend() as backend:
        for people, length_s in scale.streams:
            clip = collection.talk[: length_s * SAMPLE_RATE]
            rows.append(_row(people, length_s, asyncio.run(_speak_all(backend, clip, people))))
    return [
        Table(
            "Partial transcripts and answers on the realtime stream",
            ("speech", "people at once", "partials", "p50", "p95", "max", "answer p50", "max"),
            rows,
            f"partials p95 < {PARTIAL_MS:g} ms; answer < {RESPONSE_MS:g} ms after {GOAL_S} s",
            [
                "partials: from the slice with the words handed to the socket to the transcript;",
                "answer: from the end handed to the socket to the text of the answer",
            ],
        )
    ]


def _row(people: int, length_s: int, found: Found) -> Row:
    return (
        f"{length_s} s",
        str(people),
        str(len(found.partials)) + (f" (+{found.strange})" if found.strange else ""),
        milliseconds(found.partials, 50),
        milliseconds(found.partials, 95, PARTIAL_MS),
        milliseconds(found.partials, 100),
        milliseconds(found.responses, 50),
        milliseconds(found.responses, 100, RESPONSE_MS if length_s <= GOAL_S else None),
    )


async def _speak_all(backend: RunningBackend, clip: Sound, people: int) -> Found:
    found = Found()
    expected = await asyncio.to_thread(_words_after_each_slice, clip)
    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(_speak(http, backend, clip, expected, found) for _ in range(people)))
    return found


def _words_after_each_slice(clip: Sound) -> dict[str, int]:
    """Return the number of slices after which a decoder first produces each text of ``clip``."""
    decoder, first = LiveDecoder(), dict[str, int]()
    decoder.begin()
    for number, pcm in enumerate(_slices(clip)):
        first.setdefault(without_wake_phrase(decoder.feed(pcm)), number)
    return first


async def _speak(
    http: aiohttp.ClientSession,
    backend: RunningBackend,
    clip: Sound,
    expected: dict[str, int],
    found: Found,
) -> None:
    url = backend.socket_url + wire.PATH
    async with http.ws_connect(url, protocols=[backend.token], max_msg_size=0) as line:
        await line.receive()  # recording
        sent: list[float] = []
        speaking = asyncio.create_task(_send(line, clip, sent))
        try:
            await _listen(line, sent, expected, found)
        finally:
            await speaking


async def _send(line: aiohttp.ClientWebSocketResponse, clip: Sound, sent: list[float]) -> None:
    began = time.perf_counter()
    for number, pcm in enumerate(_slices(clip)):
        await asyncio.sleep(began + (number + 1) * SLICE_MS / 1000 - time.perf_counter())
        await line.send_bytes(pcm_to_wav(pcm))
        sent.append(time.perf_counter())
    await line.send_str(wire.encode_end())
    sent.append(time.perf_counter())


async def _listen(
    line: aiohttp.ClientWebSocketResponse,
    sent: list[float],
    expected: dict[str, int],
    found: Found,
) -> None:
    while True:
        frame = await line.receive()
        now = time.perf_counter()
        if frame.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError("the backend of the bench has closed the stream")
        told = json.loads(frame.data)
        match wire.decode(frame.data):
            case wire.RealtimeTranscript(text, is_final=False) if expected.get(
                text, len(sent)
            ) < len(sent):
                found.partials.append(now - sent[expected[text]])
            case wire.RealtimeTranscript(_, is_final=False):
                found.strange += 1
            case wire.Response():
                found.responses.append(now - sent[-1])
                return
            case wire.RealtimeStatus(wire.RealtimeState.ERROR):
                raise ConnectionError(f"the backend of the bench says {told['payload']}")
            case _:
                pass


def _slices(clip: Sound) -> list[bytes]:
    step = samples(SLICE_MS)
    data = np.asarray(clip, "<i2")
    return [data[at : at + step].tobytes() for at in range(0, len(data), step)]
