"""A server of Socket.IO `/voice` by python-socketio, and no code of ours."""

import asyncio
import base64
import io
import threading
import wave
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, ClassVar, Self

import socketio
from aiohttp import web

from fakes.stranger import PASSWORD, SOON_S, SPEECH, TOKEN, TRANSCRIPT, Stranger, wav


class SocketIoStranger(Stranger):
    """Speaks Jarvis voice. Its loop has a thread of its own."""

    garbage: ClassVar[Sequence[Any]] = (
        ("voice:nonsense", {}),
        ("voice:transcript", ["no", "object"]),
        ("voice:tts_chunk", {"index": -1, "contentType": "audio/wav", "audio": ""}),
        ("voice:tts_chunk", {"index": 0, "contentType": "audio/wav", "audio": "%%%"}),
    )

    def __init__(self, *, asks: bool = False) -> None:
        super().__init__(asks=asks)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._sounds: dict[str, bytes] = {}
        self._runner: web.AppRunner
        self._server: Any = socketio.AsyncServer(async_mode="aiohttp")
        self._server.on("connect", self._connect, namespace="/voice")
        for name in ("audio_start", "audio_chunk", "audio_end", "ping"):
            self._server.on(f"voice:{name}", getattr(self, f"_{name}"), namespace="/voice")

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._leave())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SOON_S)
        self._loop.close()

    def throw(self, thing: Any) -> None:
        """Emit it to everybody."""
        event, payload = thing
        self._run(self._server.emit(event, payload, namespace="/voice"))

    def oversize(self, size: int) -> None:
        """Say one message of so many bytes to everybody."""
        self.throw(("voice:transcript", {"text": "A" * size}))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(SOON_S)

    async def _listen(self) -> None:
        app = web.Application()
        app.router.add_post("/api/auth/login", self._login)
        self._server.attach(app)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()

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

    async def _login(self, request: web.Request) -> web.Response:
        if await request.json() != {"password": PASSWORD}:
            return web.json_response({"error": "Invalid password"}, status=401)
        return web.json_response({"token": TOKEN})

    async def _connect(self, sid: str, _environ: object, auth: object) -> None:
        if auth != {"token": TOKEN}:
            raise socketio.exceptions.ConnectionRefusedError("Invalid or expired token")
        self.joined += 1
        await self._say(sid, "listening")

    async def _audio_start(self, sid: str, payload: dict[str, Any]) -> None:
        self._sounds[sid] = b""
        await self._say(sid, "listening", agentId=payload["agentId"])

    async def _audio_chunk(self, sid: str, payload: dict[str, Any]) -> None:
        with wave.open(io.BytesIO(base64.b64decode(payload["audio"]))) as file:
            self._sounds[sid] += file.readframes(file.getnframes())

    async def _audio_end(self, sid: str, _payload: dict[str, Any]) -> None:
        self.heard.append(self._sounds.pop(sid))
        await self._say(sid, "processing")
        await self._say(sid, "transcript", text=TRANSCRIPT)
        await self._say(sid, "thinking", provider="none")
        audio = base64.b64encode(wav(SPEECH)).decode()
        for index in (1, 0):
            await self._say(sid, "tts_chunk", index=index, contentType="audio/wav", audio=audio)
        if not self.hangs:
            await self._say(sid, "tts_done", totalChunks=2)
            await self._say(sid, "listening")

    async def _ping(self, sid: str, payload: dict[str, Any]) -> None:
        await self._say(sid, "pong", agentId=payload["agentId"])

    async def _say(self, sid: str, event: str, **payload: Any) -> None:
        await self._server.emit(f"voice:{event}", payload, to=sid, namespace="/voice")
