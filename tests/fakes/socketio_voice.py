"""A fake voice server of Socket.IO `/voice`, by python-socketio, on a loop in a thread."""

import asyncio
import base64
import hashlib
import os
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import socketio
from aiohttp import web

from fakes.voice_script import (
    LISTENING,
    SPEECH,
    TRANSCRIPT,
    Act,
    Emit,
    Pause,
    Step,
    Word,
    after_start,
    chunk,
    done,
    wav,
)
from fakes.voice_service import LOCAL, Address, Switches, VoiceService
from fakes.websocket_server import SOON_S

MAX_FRAME_BYTES: Final = 5 * 1024 * 1024
"""As the owner's backend: one byte more closes the connection."""

WAV_HEADER_BYTES: Final = 44

AUDIO: Final = base64.b64encode(wav(SPEECH)).decode()
EVENTS: Final = {
    Word.PROCESSING: [Emit("processing")],
    Word.TRANSCRIPT: [Emit("transcript", {"text": TRANSCRIPT})],
    Word.REPLY: [Emit("thinking", {"provider": "none"})],
    Word.SPEECH: [chunk(1, AUDIO), chunk(0, AUDIO)],
    Word.DONE: [done(2), LISTENING],
}
"""The messages of each word."""


class SocketIoVoice(VoiceService):
    """Collects sound by the name of the satellite, as the owner's backend does."""

    garbage = (
        Emit("nonsense"),
        Emit("transcript", ["no", "object"]),
        chunk(-1, ""),
        chunk(0, "%%%"),
    )

    greets: ClassVar[bool] = True
    """Whether it says that it listens as soon as a client is in."""

    def __init__(
        self, switches: Switches | None = None, log: Path | None = None, address: Address = LOCAL
    ) -> None:
        super().__init__(switches, log)
        self.joined = 0
        self._address = address
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._sounds: dict[str, bytes] = {}
        self._server: Any = socketio.AsyncServer(
            async_mode="aiohttp", max_http_buffer_size=MAX_FRAME_BYTES
        )
        self._server.on("connect", self._connect, namespace="/voice")
        self._server.on("*", self._hear, namespace="/voice")
        self._runner: web.AppRunner

    def __enter__(self) -> Self:
        self._thread.start()
        self._run_on_loop(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run_on_loop(self._leave())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SOON_S)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://{self._address[0]}:{self._runner.addresses[0][1]}"

    def throw(self, thing: Emit) -> None:
        self._run_on_loop(self._emit(None, thing))

    def too_large(self, size: int) -> Emit:
        return Emit("transcript", {"text": "A" * size})

    def admits(self, auth: object) -> bool:
        asks = self.switches.asks is not False
        return not asks or self.is_good(auth.get("token") if isinstance(auth, dict) else None)

    async def hear(self, sid: str, event: str, payload: Any) -> None:
        agent_id = payload["agentId"]
        match event:
            case "ping":
                await self._emit(sid, Emit("pong", {"agentId": agent_id}))
                self.note("ping", sid=sid)
            case "audio_start":
                self.note("start", sid=sid, payload=payload)
                self._sounds[agent_id] = b""
                if self.switches.listening:
                    await self._emit(sid, Emit("listening", {"agentId": agent_id}))
                await self._play(sid, after_start(self.switches.reply))
            case "audio_chunk":
                self._collect(sid, payload)
            case "audio_end":
                await self._end(sid, payload)

    def _collect(self, sid: str, payload: dict[str, Any]) -> None:
        audio = base64.b64decode(payload["audio"], validate=True)
        if payload["agentId"] in self._sounds:
            self._sounds[payload["agentId"]] += audio
        said = {"seq": payload["seq"], "keys": sorted(payload)}
        self.note("chunk", sid=sid, **said, **_summary(audio))

    async def _end(self, sid: str, payload: dict[str, Any]) -> None:
        audio = self._sounds.pop(payload["agentId"], None)
        if audio is None:
            self.note("end without start", sid=sid)
            return
        script = self.run(audio[WAV_HEADER_BYTES:], len(audio))
        self.note("end", sid=sid, payload=payload, **_summary(audio))
        await self._play(sid, script)

    async def _connect(self, sid: str, _environ: object, auth: object) -> None:
        await asyncio.sleep(self.switches.auth_delay_s)
        good = self.admits(auth)
        self.note("connect", sid=sid, good=good)
        if not good:
            raise socketio.exceptions.ConnectionRefusedError("Invalid or expired token")
        self.joined += 1
        if self.greets:
            await self._emit(sid, LISTENING)

    async def _hear(self, event: str, sid: str, payload: Any) -> None:
        await self.hear(sid, event.removeprefix("voice:"), payload)

    async def _play(self, sid: str, script: Iterator[Step]) -> None:
        for step in script:
            if not self._is_here(sid):
                return
            match step:
                case Emit():
                    await self._emit(sid, step)
                case Word():
                    for emit in EVENTS[step]:
                        await self._emit(sid, emit)
                case Pause(least_s, most_s):
                    await asyncio.sleep(self.pause(least_s, most_s))
                case Act.DIE:
                    os.kill(os.getpid(), signal.SIGKILL)
                case Act.STOP:
                    for _ in range(5):  # for the answer to leave, and not for the sound to come
                        await asyncio.sleep(0)
                    os.kill(os.getpid(), signal.SIGSTOP)

    async def _emit(self, sid: str | None, said: Emit) -> None:
        await self._server.emit(f"voice:{said.event}", said.payload, to=sid, namespace="/voice")

    def _is_here(self, sid: str) -> bool:
        return any(each == sid for each, _ in self._server.manager.get_participants("/voice", None))

    def _run_on_loop(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(SOON_S)

    async def _listen(self) -> None:
        app = web.Application()
        app.router.add_post("/api/auth/login", self._login)
        app.router.add_get("/control/{order}", self._control)
        self._server.attach(app)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, *self._address).start()

    async def _login(self, request: web.Request) -> web.Response:
        status, answer = self.login(await request.json())
        return web.json_response(answer, status=status)

    async def _control(self, request: web.Request) -> web.Response:
        """Disconnect every client (``kick``), or send each engine a CLOSE packet (``close``)."""
        if request.match_info["order"] == "kick":
            for sid, _ in list(self._server.manager.get_participants("/voice", None)):
                await self._server.disconnect(sid, namespace="/voice")
        else:
            for sid in list(self._server.eio.sockets):
                await self._server.eio.disconnect(sid)
        return web.Response()

    async def _leave(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(SOON_S / 2):
                await self._server.shutdown()
        await self._runner.cleanup()
        ours = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not ours]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _summary(audio: bytes) -> dict[str, Any]:
    return {"bytes": len(audio), "sha256": hashlib.sha256(audio).hexdigest()}
