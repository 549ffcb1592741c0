"""The fault server on all wires at once: what it runs on any of them stands in the same account.

On the bare WebSockets it answers as ``reply="worker"`` does, whatever its switches say, and writes
down what it runs before it answers.
"""

import asyncio
import json
import logging
import secrets
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web

from fakes.fault_server import FaultServer, _FaultProgram
from fakes.numbered import number_in
from fakes.voice_server import Switches
from jarvis_ear.audio.wav import HEADER_BYTES, pcm_to_wav
from jarvis_ear.wires import messages, realtime, session, voice_ws
from jarvis_ear.wires.realtime import RealtimeState

SILENCE_WORDS = 6400
"""0.8 s of nothing, in pairs of samples: what ends an utterance of a session."""

SPEECH = bytes(range(256)) * 25

Say = Callable[[str | bytes], Awaitable[None]]


class WireServer(FaultServer):
    """A ``FaultServer`` that speaks every wire."""

    program = __file__


class _WireProgram(_FaultProgram):
    """Runs in the process of ``WireServer``."""

    def __init__(self, switches: Switches, log: Path) -> None:
        super().__init__(switches, log)
        self._turns: set[asyncio.Task[None]] = set()

    def app(self) -> web.Application:
        app = super().app()
        app.router.add_get(voice_ws.PATH, self._voice)
        app.router.add_get(realtime.PATH, self._realtime)
        app.router.add_post(session.API_PATH, self._announce)
        app.router.add_post(session.API_PATH + "/{session_id}/stop", self._stop)
        app.router.add_get(session.PATH, self._session)
        return app

    async def _announce(self, _request: web.Request) -> web.Response:
        return web.json_response({"id": secrets.token_urlsafe(16)}, status=201)

    async def _stop(self, _request: web.Request) -> web.Response:
        return web.json_response({})

    async def _voice(self, request: web.Request) -> web.WebSocketResponse:
        socket, say = await _accept(request)
        collected = bytearray()
        async for message in socket:
            if isinstance(message.data, bytes):
                collected += message.data
                continue
            match voice_ws.decode_from_client(message.data):
                case voice_ws.VoiceWsPing():
                    await say(voice_ws.encode(messages.Pong()))
                case voice_ws.VoiceWsStart():
                    collected.clear()
                case voice_ws.End():
                    self._run(bytes(collected), self._answer_voice(say))
                case _:
                    pass
        return socket

    async def _answer_voice(self, say: Say) -> None:
        await say(voice_ws.encode(messages.Processing()))
        await self._think()
        await say(voice_ws.encode(messages.Transcript("what time is it")))
        await self._think()
        await say(SPEECH)
        await say(voice_ws.encode(voice_ws.Done()))

    async def _realtime(self, request: web.Request) -> web.WebSocketResponse:
        token = request.headers.get("Sec-WebSocket-Protocol", "")
        if not token.startswith(f"canary-{self._switches.secret}-"):
            raise web.HTTPForbidden
        socket, say = await _accept(request, token)
        await say(_status(RealtimeState.RECORDING))
        collected = bytearray()
        async for message in socket:
            if isinstance(message.data, bytes):
                collected += message.data[HEADER_BYTES:]
            else:
                self._run(bytes(collected), self._answer_realtime(say))
                collected.clear()
        return socket

    async def _answer_realtime(self, say: Say) -> None:
        await say(_status(RealtimeState.TRANSCRIBING))
        await self._think()
        transcript = realtime.RealtimeTranscript("what time is it", is_final=True)
        await say(realtime.encode(transcript, 0.0))
        await self._think()
        wav = pcm_to_wav(SPEECH)
        await say(realtime.encode(realtime.Audio("audio/wav", len(wav)), 0.0))
        await say(wav)
        await say(_status(RealtimeState.IDLE))

    async def _session(self, request: web.Request) -> web.WebSocketResponse:
        socket, say = await _accept(request)
        collected = bytearray()
        async for message in socket:
            if isinstance(message.data, str):
                await say(_session_status(session.LISTENING))
                continue
            collected += message.data
            utterance = _ended(bytes(collected))
            if utterance:
                self._run(utterance, self._answer_session(say))
                collected.clear()
        return socket

    async def _answer_session(self, say: Say) -> None:
        await say(_session_status(session.PROCESSING))
        await self._think()
        await say(session.encode(messages.Transcript("what time is it")))
        await self._think()
        await say(SPEECH)
        await say(_session_status(session.LISTENING))

    def _run(self, pcm: bytes, answer: Any) -> None:
        """Write down what runs, now, and answer it in a task of its own."""
        self._note("run", number=number_in(pcm), bytes=len(pcm))
        task = asyncio.create_task(_unless_gone(answer))
        self._turns.add(task)
        task.add_done_callback(self._turns.discard)

    async def _think(self) -> None:
        await asyncio.sleep(self._random.uniform(0.0, 0.25))


async def _unless_gone(answer: Awaitable[None]) -> None:
    with suppress(ConnectionError):
        await answer


async def _accept(request: web.Request, token: str = "") -> tuple[web.WebSocketResponse, Say]:
    socket = web.WebSocketResponse(max_msg_size=0, protocols=(token,) if token else ())
    await socket.prepare(request)

    async def say(frame: str | bytes) -> None:
        await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))

    return socket, say


def _ended(collected: bytes) -> bytes:
    """Return the utterance that 0.8 s of silence have ended; empty if there is none."""
    words = np.frombuffer(collected[: len(collected) // 4 * 4], "<u4")
    spoken = np.flatnonzero(words)
    if len(spoken) == 0 or len(words) - 1 - spoken[-1] < SILENCE_WORDS:
        return b""
    return words[spoken[0] : spoken[-1] + 1].tobytes()


def _status(state: RealtimeState) -> str:
    return realtime.encode(realtime.RealtimeStatus(state), 0.0)


def _session_status(turn: str) -> str:
    return session.encode(session.SessionStatus("running", "assistant", turn=turn))


def _main() -> None:
    port, log, switches = int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    logging.disable()  # of clients that are gone: that is what it is for
    program = _WireProgram(Switches(**switches), log)
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
