"""Many satellites at the same time: latency and memory of the reference backend."""

import asyncio
import base64
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import socketio

from bench.backend_process import RunningBackend, running_backend
from bench.material import COMMANDS, Collection, spread
from bench.percent import milliseconds
from bench.scale import Scale
from bench.table import Figure, Row, Table
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.wires import socketio as wire

TURN_S: Final = 120.0
"""Maximum seconds of one turn: fifty satellites wait for a few decoders."""

CLIPS: Final = 10
"""Number of utterances; each satellite begins with a different one."""


@dataclass(slots=True)
class Found:
    """Latencies in seconds of all turns of one row, and the number of failures."""

    processing: list[float] = field(default_factory=list)
    """From the end of the upload to the backend's confirmation."""
    answered: list[float] = field(default_factory=list)
    """From the end of the upload to the end of the reply."""
    failed: int = 0


def satellites(scale: Scale, collection: Collection) -> list[Table]:
    """Run satellites against a backend with its default engines."""
    clips = spread(collection.labelled(*COMMANDS), CLIPS)
    sounds = [pcm_to_wav(clip.load().astype("<i2").tobytes()) for clip in clips]
    rows = []
    for count in scale.satellites:
        with running_backend() as backend:
            rows.append(asyncio.run(_measure(backend, sounds, count, scale.turns)))
    return [
        Table(
            "Satellites at the same time on one reference backend with its default engines",
            (
                "satellites",
                "turns",
                "answered/min",
                "processing p50",
                "p95",
                "reply p50",
                "p95",
                "memory each",
            ),
            rows,
            "",
            [
                "processing: from the end of the upload to the backend's confirmation;",
                "reply: from the end of the upload to the end of the reply, with the wait;",
                "memory: growth of the backend's process per satellite",
            ],
        )
    ]


async def _measure(backend: RunningBackend, sounds: Sequence[bytes], count: int, turns: int) -> Row:
    found = Found()
    first = _Satellite(backend)  # loads the models and imports the libraries
    await first.connect()
    await first.utter(sounds[0], Found())
    before = _resident_kib(backend.pid)
    others = [_Satellite(backend) for _ in range(count)]
    for one in others:
        await one.connect()
    began = time.perf_counter()
    await asyncio.gather(
        *(one.talk(sounds, place, turns, found) for place, one in enumerate(others))
    )
    took_s = time.perf_counter() - began
    each_kib = (_resident_kib(backend.pid) - before) / count
    for one in (first, *others):
        await one.leave()
    return (
        str(count),
        str(count * turns) + (f" ({found.failed} failed)" if found.failed else ""),
        Figure(60 * len(found.answered) / took_s, ".0f"),
        milliseconds(found.processing, 50),
        milliseconds(found.processing, 95),
        milliseconds(found.answered, 50),
        milliseconds(found.answered, 95),
        Figure(each_kib, ".0f", " KiB"),
    )


class _Satellite:
    """One connection to `/voice`. Runs on the event loop."""

    def __init__(self, backend: RunningBackend) -> None:
        self._backend = backend
        self._told: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
        self._client = socketio.AsyncClient(reconnection=False)
        self._client.on("*", self._note, namespace=wire.NAMESPACE)

    async def connect(self) -> None:
        await self._client.connect(
            self._backend.url,
            namespaces=[wire.NAMESPACE],
            auth={"token": self._backend.token},
            transports=["websocket"],
        )
        await self._until({wire.LISTENING})

    async def talk(self, sounds: Sequence[bytes], place: int, turns: int, found: Found) -> None:
        for number in range(turns):
            await self.utter(sounds[(place + number) % len(sounds)], found)

    async def utter(self, sound: bytes, found: Found) -> None:
        """Send one utterance, and wait until its turn is over."""
        agent = {"agentId": self._client.get_sid(wire.NAMESPACE)}
        await self._say(wire.AUDIO_START, agent)
        await self._until({wire.LISTENING})
        chunk = {"audio": base64.b64encode(sound).decode(), "seq": 0}
        await self._say(wire.AUDIO_CHUNK, agent | chunk)
        await self._say(wire.AUDIO_END, agent)
        ended = time.perf_counter()
        _, at = await self._until({wire.PROCESSING})
        found.processing.append(at - ended)
        kind, at = await self._until({wire.TTS_DONE, wire.ERROR})
        if kind == wire.TTS_DONE:
            found.answered.append(at - ended)
        else:
            found.failed += 1
        await self._until({wire.LISTENING})

    async def leave(self) -> None:
        await self._client.disconnect()

    async def _say(self, event: str, payload: dict[str, Any]) -> None:
        await self._client.emit(event, payload, namespace=wire.NAMESPACE)

    async def _until(self, kinds: set[str]) -> tuple[str, float]:
        async with asyncio.timeout(TURN_S):
            while True:
                kind, at = await self._told.get()
                if kind in kinds:
                    return kind, at

    def _note(self, event: str, *_payload: object) -> None:
        self._told.put_nowait((event, time.perf_counter()))


def _resident_kib(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0
