"""A real Socket.IO backend in a process of its own, which misbehaves on demand.

``with VoiceServer(tmp_path) as server: ...`` starts it on a port that stays the same over
``kill`` and ``start``; ``server.switches`` says how it behaves from the next start on.
"""

import asyncio
import base64
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import socketio
from aiohttp import web

MAX_FRAME_BYTES = 5 * 1024 * 1024
"""As the owner's backend: one byte more closes the connection."""

Reply = Literal["spoken", "hostile", "none", "silent", "error", "dies"]


@dataclass(frozen=True, slots=True)
class Switches:
    """How the server behaves."""

    password: str = "open sesame"
    secret: str = "first"
    """Part of every token: a server with another secret refuses the tokens of this one."""
    auth_delay_s: float = 0.0
    """How long a connection is kept waiting for the answer of the namespace."""
    listening: bool = True
    """Whether a start is answered."""
    reply: Reply = "spoken"
    """What follows the end of an utterance: `spoken` three sentences out of order, `hostile`
    nonsense around one good sentence, `none` neither processing nor anything else, `silent` only
    processing, `error` a failure, `dies` nothing: the process kills itself."""


class VoiceServer:
    """Starts, kills and stops the server. Used by one test; its methods wait, within a deadline."""

    def __init__(self, folder: Path, switches: Switches | None = None) -> None:
        self.switches = switches or Switches()
        self.port = free_port()
        self._log = folder / f"server-{self.port}.jsonl"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self, **changes: Any) -> None:
        """Start it, with the switches changed, and wait until it listens."""
        self.switches = replace(self.switches, **changes)
        told = json.dumps(asdict(self.switches))
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self.port), str(self._log), told]
        )
        wait_until(self._listens)

    def kill(self) -> None:
        """SIGKILL: no goodbye to anybody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def wait_dead(self) -> None:
        """Wait until it has killed itself."""
        if self._process is not None:
            self._process.wait(10)

    def pause(self) -> None:
        """SIGSTOP: the kernel still answers for it, but nobody reads."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def kick(self) -> None:
        """Make it disconnect everybody, politely."""
        with urllib.request.urlopen(f"{self.url}/control/kick", timeout=5) as answer:
            answer.read()

    def received(self, event: str | None = None) -> list[dict[str, Any]]:
        """What it has received so far, over all its lives."""
        if not self._log.exists():
            return []
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line for line in lines if event is None or line["event"] == event]

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Any, within_s: float = 10.0) -> None:
    """Poll ``condition`` of another process until it holds, or fail."""
    ends = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends, f"not within {within_s} s: {condition}"
        time.sleep(0.01)


class _Program:
    """The server itself: one event loop in the process that ``VoiceServer`` starts."""

    def __init__(self, switches: Switches, log: Path) -> None:
        self._switches = switches
        self._log = log.open("a", buffering=1)
        self._logins = 0
        self._audio: dict[str, bytes] = {}
        self._server: Any = socketio.AsyncServer(
            async_mode="aiohttp", max_http_buffer_size=MAX_FRAME_BYTES
        )
        self._server.on("connect", self._connect, namespace="/voice")
        for name in ("audio_start", "audio_chunk", "audio_end", "ping"):
            handler = getattr(self, f"_{name}")
            self._server.on(f"voice:{name}", handler, namespace="/voice")

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/api/auth/login", self._login)
        app.router.add_get("/control/kick", self._kick)
        self._server.attach(app)
        return app

    def _note(self, event: str, **details: Any) -> None:
        self._log.write(json.dumps({"event": event, **details}) + "\n")

    async def _login(self, request: web.Request) -> web.Response:
        asked = await request.json()
        good = asked == {"password": self._switches.password}
        self._note("login", good=good)
        if not good:
            return web.json_response({"error": "Invalid password"}, status=401)
        self._logins += 1
        token = f"canary-{self._switches.secret}-{self._logins}"
        return web.json_response({"token": token, "expiresIn": "7d"})

    async def _kick(self, _request: web.Request) -> web.Response:
        for sid, _ in list(self._server.manager.get_participants("/voice", None)):
            await self._server.disconnect(sid, namespace="/voice")
        return web.Response()

    async def _connect(self, sid: str, _environ: object, auth: object) -> None:
        await asyncio.sleep(self._switches.auth_delay_s)
        token = auth.get("token") if isinstance(auth, dict) else None
        good = str(token).startswith(f"canary-{self._switches.secret}-")
        self._note("connect", sid=sid, good=good)
        if not good:
            raise socketio.exceptions.ConnectionRefusedError("Invalid or expired token")
        await self._say(sid, "listening")

    async def _audio_start(self, sid: str, payload: dict[str, Any]) -> None:
        self._note("start", sid=sid, payload=payload)
        self._audio[sid] = b""
        if self._switches.listening:
            await self._say(sid, "listening", agentId=payload["agentId"])

    async def _audio_chunk(self, sid: str, payload: dict[str, Any]) -> None:
        audio = base64.b64decode(payload["audio"], validate=True)
        self._audio[sid] += audio
        self._note(
            "chunk",
            sid=sid,
            seq=payload["seq"],
            keys=sorted(payload),
            bytes=len(audio),
            sha256=hashlib.sha256(audio).hexdigest(),
        )

    async def _audio_end(self, sid: str, payload: dict[str, Any]) -> None:
        audio = self._audio.pop(sid)
        digest = hashlib.sha256(audio).hexdigest()
        self._note("end", sid=sid, payload=payload, bytes=len(audio), sha256=digest)
        await getattr(self, f"_reply_{self._switches.reply}")(sid)

    async def _ping(self, sid: str, payload: dict[str, Any]) -> None:
        await self._say(sid, "pong", agentId=payload["agentId"])
        self._note("ping", sid=sid)

    async def _say(self, sid: str, event: str, **payload: Any) -> None:
        await self._server.emit(f"voice:{event}", payload, to=sid, namespace="/voice")

    async def _sentence(self, sid: str, index: Any) -> None:
        audio = base64.b64encode(b"RIFF" + bytes(60)).decode()
        await self._say(sid, "tts_chunk", index=index, contentType="audio/wav", audio=audio)

    async def _reply_none(self, _sid: str) -> None:
        """Say nothing at all."""

    async def _reply_dies(self, _sid: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    async def _reply_silent(self, sid: str) -> None:
        await self._say(sid, "processing")

    async def _reply_error(self, sid: str) -> None:
        await self._say(sid, "processing")
        await self._say(sid, "error", error="Could not understand audio")
        await self._say(sid, "listening")

    async def _reply_spoken(self, sid: str) -> None:
        await self._say(sid, "processing")
        await self._say(sid, "transcript", text="what time is it")
        await self._say(sid, "thinking", provider="none")
        for index in (1, 0, 2):
            await self._sentence(sid, index)
        await self._say(sid, "tts_done", totalChunks=3)
        await self._say(sid, "listening")

    async def _reply_late_first(self, sid: str) -> None:
        """Synthesise two sentences in parallel, of which the first is the slower one."""
        await self._say(sid, "processing")
        await self._say(sid, "transcript", text="what time is it")
        await self._sentence(sid, 1)
        await asyncio.sleep(1.7)
        await self._sentence(sid, 0)
        await self._say(sid, "tts_done", totalChunks=2)

    async def _reply_of_another(self, sid: str) -> None:
        """Say everything about another ear on this one's connection, and then answer."""
        await self._say(sid, "processing", agentId="kitchen")
        await self._say(sid, "transcript", text="open the door", agentId="kitchen")
        await self._say(sid, "tts_done", totalChunks=3, agentId="kitchen")
        await self._say(sid, "error", error="Could not understand audio", agentId="kitchen")
        await self._say(sid, "listening", agentId="kitchen")
        await self._reply_spoken(sid)

    async def _reply_unasked(self, sid: str) -> None:
        """Answer, and go on speaking."""
        await self._reply_spoken(sid)
        await self._sentence(sid, 0)
        await self._sentence(sid, 1)
        await self._say(sid, "tts_done", totalChunks=2)

    async def _reply_hostile(self, sid: str) -> None:
        await self._say(sid, "processing")
        for index in (True, -1, 2**63, "0", 1.5, None, 512):
            await self._sentence(sid, index)
        await self._say(sid, "tts_chunk", index=0, contentType={}, audio="UklGRg==")
        await self._say(sid, "tts_chunk", index=0, contentType="audio/wav", audio="***")
        await self._say(sid, "tts_chunk", index=0, contentType="audio/wav", audio=7)
        await self._server.emit("voice:transcript", ["no", "object"], to=sid, namespace="/voice")
        await self._server.emit("voice:unheard_of", {}, to=sid, namespace="/voice")
        await self._sentence(sid, 3)
        await self._sentence(sid, 3)
        await self._say(sid, "tts_done", totalChunks=4)
        await self._say(sid, "tts_done", totalChunks=4)


def _main() -> None:
    port, log, switches = int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    program = _Program(Switches(**switches), log)
    web.run_app(
        program.app(), host="127.0.0.1", port=port, print=None, handle_signals=True, access_log=None
    )


if __name__ == "__main__":
    _main()
