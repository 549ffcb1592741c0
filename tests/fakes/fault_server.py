"""The voice server with more ways to fail, and with an account of what it ran and when.

Like ``VoiceServer``, and every line of its log has ``at``, in seconds of CLOCK_BOOTTIME. What it
executes is written down before anything is answered: the log is the witness of the chaos runs.
"""

import asyncio
import base64
import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from fakes.blackhole import BlackHole
from fakes.numbered import number_in
from fakes.voice_server import Switches, VoiceServer, _Program, wait_until
from jarvis_ear.audio.wav import pcm_to_wav

TESTS = Path(__file__).parents[1]
WAV_HEADER = 44


class FaultServer(VoiceServer):
    """A ``VoiceServer`` whose ``reply`` may be any method ``_reply_*`` of this file."""

    program = __file__
    """What its process runs."""

    def __init__(
        self,
        folder: Path,
        switches: Switches | None = None,
        *,
        there: BlackHole | None = None,
        host: str = "127.0.0.1",
        port: int | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(folder, switches)
        self.port = self.port if port is None else port
        self._there = there
        self._host = host if there is None else there.there

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self._host}:{self.port}"

    def start(self, **changes: Any) -> None:
        """Start it, with the switches changed, and wait until it listens."""
        self.switches = replace(self.switches, **changes)
        told = json.dumps(asdict(self.switches))
        path = os.pathsep.join((str(TESTS), *filter(None, sys.path)))
        words = [sys.executable, self.program, str(self.port), str(self._log), told, self._host]
        self._process = subprocess.Popen(
            words if self._there is None else self._there.command(*words),
            env={**os.environ, "PYTHONPATH": path},
        )
        wait_until(self._listens)

    def numbers(self) -> list[int | None]:
        """Which utterances it has run, in order."""
        return [line["number"] for line in self.received("run")]

    def _listens(self) -> bool:
        try:
            socket.create_connection((self._host, self.port), 1).close()
        except OSError:
            return False
        return True

    def terminate(self) -> None:
        """SIGTERM: an orderly end, as of a container that is stopped."""
        if self._process is not None:
            self._signal(signal.SIGTERM)
            self._process.wait(15)
            self._process = None

    def control(self, what: str) -> None:
        """Have it do something to everybody who is connected."""
        with urllib.request.urlopen(f"{self.url}/control/{what}", timeout=5) as answer:
            answer.read()


class _FaultProgram(_Program):
    """Runs in the process of ``FaultServer``."""

    def __init__(self, switches: Switches, log: Path) -> None:
        super().__init__(switches, log)
        self._ends = 0
        self._open: dict[str, bytes] = {}
        self._random = random.Random(log.name)  # noqa: S311 - nothing here is a secret

    def app(self) -> web.Application:
        app = super().app()
        app.router.add_get("/control/close", self._close)
        return app

    def _note(self, event: str, **details: Any) -> None:
        super()._note(event, at=time.clock_gettime(time.CLOCK_BOOTTIME), **details)

    async def _close(self, _request: web.Request) -> web.Response:
        """Send every engine a CLOSE packet."""
        for sid in list(self._server.eio.sockets):
            await self._server.eio.disconnect(sid)
        return web.Response()

    async def _audio_end(self, sid: str, payload: dict[str, Any]) -> None:
        self._ends += 1
        agent_id = payload["agentId"]
        if agent_id not in self._open:
            self._note("end without start", sid=sid)
            return
        audio = self._audio[sid] = self._open.pop(agent_id)
        self._note("run", sid=sid, number=number_in(audio[WAV_HEADER:]), bytes=len(audio))
        await super()._audio_end(sid, payload)

    async def _audio_start(self, sid: str, payload: dict[str, Any]) -> None:
        self._open[payload["agentId"]] = b""
        await super()._audio_start(sid, payload)
        if str(self._switches.reply) == "early":
            await self._reply_spoken(sid)
        if str(self._switches.reply) == "stops":
            for _ in range(5):  # for the answer to leave, and not for the sound to come
                await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGSTOP)

    async def _audio_chunk(self, sid: str, payload: dict[str, Any]) -> None:
        """Collect by the name of the satellite, not by the connection: as the owner's backend."""
        self._audio.setdefault(sid, b"")
        await super()._audio_chunk(sid, payload)
        agent_id = payload["agentId"]
        if agent_id in self._open:
            self._open[agent_id] += base64.b64decode(payload["audio"])

    async def _reply_early(self, _sid: str) -> None:
        """It was answered when it began."""

    async def _reply_stops(self, sid: str) -> None:
        """It stopped itself after the start, and goes on now."""
        await self._reply_spoken(sid)

    async def _reply_dies_processing(self, sid: str) -> None:
        await self._say(sid, "processing")
        await asyncio.sleep(0.3)
        await self._reply_dies(sid)

    async def _reply_fails_first(self, sid: str) -> None:
        """Fail before the transcript, once; then do as one should."""
        if self._ends > 1:
            await self._reply_spoken(sid)
            return
        await self._say(sid, "processing")
        await self._say(sid, "error", error="Whisper STT service not available")
        await self._say(sid, "listening")

    async def _reply_fails_late(self, sid: str) -> None:
        await self._say(sid, "processing")
        await self._say(sid, "transcript", text="what time is it")
        await self._say(sid, "error", error="500 stub failure")
        await self._say(sid, "listening")
        await self._sentence(sid, 0)

    async def _reply_worker(self, sid: str) -> None:
        """Take a while, as people's servers do."""
        await self._say(sid, "processing")
        await asyncio.sleep(self._random.uniform(0.0, 0.25))
        await self._say(sid, "transcript", text="what time is it")
        await asyncio.sleep(self._random.uniform(0.0, 0.25))
        for index in (1, 0):
            await self._sentence(sid, index)
        await self._say(sid, "tts_done", totalChunks=2)
        self._note("answered", sid=sid)
        await self._say(sid, "listening")

    async def _reply_speech(self, sid: str) -> None:
        """A long answer that can be heard."""
        await self._say(sid, "processing")
        await self._say(sid, "transcript", text="what time is it")
        audio = base64.b64encode(pcm_to_wav(bytes(range(256)) * 1250)).decode()
        await self._say(sid, "tts_chunk", index=0, contentType="audio/wav", audio=audio)
        await self._say(sid, "tts_done", totalChunks=1)

    async def _reply_huge(self, sid: str) -> None:
        """One event of 100 MB."""
        await self._say(sid, "processing")
        await self._say(sid, "tts_chunk", index=0, contentType="audio/wav", audio="A" * 100_000_000)

    async def _reply_burst(self, sid: str) -> None:
        """Three thousand events at once."""
        await self._say(sid, "processing")
        for _ in range(3000):
            await self._say(sid, "thinking", provider="none")

    async def _reply_endless(self, sid: str) -> None:
        """Ten thousand pieces of 64 KiB."""
        await self._say(sid, "processing")
        await self._say(sid, "transcript", text="tell me everything")
        audio = "A" * 65_536
        for index in range(10_000):
            if sid not in self._server.eio.sockets and not self._here(sid):
                return
            await self._say(
                sid, "tts_chunk", index=index % 512, contentType="audio/wav", audio=audio
            )
            await asyncio.sleep(0.001)

    async def _reply_gap(self, sid: str) -> None:
        """One sentence is missing, one comes twice, and so does the end."""
        await self._say(sid, "processing")
        await self._say(sid, "transcript", text="what time is it")
        for index in (0, 2, 2, 3):
            await self._sentence(sid, index)
        await self._say(sid, "tts_done", totalChunks=4)
        await self._say(sid, "tts_done", totalChunks=4)
        await self._say(sid, "listening")

    async def _reply_unended(self, sid: str) -> None:
        """All sentences, and never an end."""
        await self._say(sid, "processing")
        await self._say(sid, "transcript", text="what time is it")
        await self._sentence(sid, 0)

    def _here(self, sid: str) -> bool:
        return any(each == sid for each, _ in self._server.manager.get_participants("/voice", None))


def _main() -> None:
    port, log, switches = int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    logging.disable()  # of clients that are gone: that is what it is for
    program = _FaultProgram(Switches(**switches), log)
    web.run_app(
        program.app(),
        host=sys.argv[4],
        port=port,
        print=None,
        access_log=None,
        shutdown_timeout=0.5,
    )


if __name__ == "__main__":
    _main()
