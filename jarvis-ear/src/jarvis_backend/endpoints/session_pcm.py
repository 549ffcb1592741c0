"""The session stream: ``/api/sessions`` creates one, and ``/ws/sessions/{id}`` carries it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, assert_never

from fastapi import APIRouter, Depends, HTTPException, Request

from jarvis_backend.auth import is_this_machine
from jarvis_backend.config import Limits
from jarvis_backend.conversation import (
    AnswerText,
    BrainAsked,
    Conversation,
    ReplyFailed,
    ReplyMessage,
    Spoken,
    TranscriptReady,
    TurnDone,
)
from jarvis_backend.endpoints.http import json_body
from jarvis_backend.endpoints.turns import Pacer, TurnTask
from jarvis_backend.endpoints.websocket import PeerGone, WebSocketRoute, WireSocket
from jarvis_backend.sessions import ID, Mode, Sessions, SessionState, VoiceSession
from jarvis_backend.vad import UtteranceSplitter
from jarvis_ear.units import FRAME_BYTES
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires import session as wire
from jarvis_ear.wires.dialect import check_pcm
from jarvis_ear.wires.json_fields import RemoteProtocolError

STATUS_S: Final = 5.0
"""Seconds after which an unchanged status is sent again."""

INVALID: Final = 4400
UNKNOWN: Final = 4404
TAKEN: Final = 4409
"""Private close codes (RFC 6455, 7.4.2), after HTTP 400, 404 and 409."""

_NO_END: Final = TurnDone(0, "")
"""Asks for nothing: of a status that does not end an answer."""

_MODES: Final = f"mode: expected one of {', '.join(Mode)}"
_UNKNOWN_SESSION: Final = "Unknown session, expected one of POST /api/sessions"
_ACTIONS: Final = {"start": SessionState.RUNNING, "stop": SessionState.STOPPED}


def session_pcm_routes(
    route: WebSocketRoute,
    require_access: Callable[[Request], Awaitable[None]],
    conversation: Conversation,
    limits: Limits,
    sessions: Sessions,
) -> APIRouter:
    """Return the routes of the session stream; ``require_access`` protects those over HTTP."""
    streams: dict[str, SessionStream] = {}

    def announce(session: VoiceSession) -> None:
        if (stream := streams.get(session.session_id)) is not None:
            stream.changed.set()

    async def serve(socket: WireSocket) -> None:
        session = await _claim(sessions, socket)
        session_id = session.session_id
        streams[session_id] = SessionStream(socket, session, conversation, limits, sessions)
        try:
            await streams[session_id].run()
        finally:
            del streams[session_id]
            await sessions.release(session)

    sessions.when_changed(announce)
    routes = route.router(wire.PATH, serve)
    routes.include_router(_api(sessions), dependencies=[Depends(require_access)])
    return routes


def _api(sessions: Sessions) -> APIRouter:
    """Return the routes that create, report, start and stop sessions."""
    routes = APIRouter()

    @routes.post(wire.API_PATH, status_code=201)
    async def create(request: Request) -> dict[str, Any]:
        options = await json_body(request)
        try:
            session = VoiceSession(Mode(options.get("mode", Mode.ASSISTANT)))
        except ValueError:
            raise HTTPException(400, _MODES) from None
        if not await sessions.create(session):
            raise HTTPException(503, "Too many sessions at once")
        return _report(session)

    @routes.get(wire.API_PATH + "/{session_id}")
    async def report(session_id: str) -> dict[str, Any]:
        return _report(await find(session_id))

    @routes.post(wire.API_PATH + "/{session_id}/{action}")
    async def control(session_id: str, action: str, request: Request) -> dict[str, Any]:
        await json_body(request)
        session = await find(session_id)
        if action not in _ACTIONS:
            raise HTTPException(404, "expected start or stop")
        await sessions.enter(session, _ACTIONS[action])
        return _report(session)

    async def find(session_id: str) -> VoiceSession:
        session = await sessions.find(session_id)
        if session is None:
            raise HTTPException(404, _UNKNOWN_SESSION)
        return session

    return routes


def _report(session: VoiceSession) -> dict[str, Any]:
    return {
        "id": session.session_id,
        "mode": session.mode.value,
        "state": session.state.value,
        "path": wire.PATH.format(session_id=session.session_id),
        "receivedBytes": session.received_bytes,
        "sentBytes": session.sent_bytes,
    }


async def _claim(sessions: Sessions, socket: WireSocket) -> VoiceSession:
    """Return the session that ``socket`` may carry; otherwise close it and raise PeerGone.

    A client of this machine may name a session that has not been created over HTTP.
    """
    request = socket.socket
    try:
        mode = Mode(request.query_params["mode"]) if "mode" in request.query_params else None
    except ValueError:
        await socket.close(INVALID, _MODES)
        raise PeerGone from None
    session_id: str = request.path_params["session_id"]
    is_local = is_this_machine(request.client and request.client.host)
    session = await sessions.find(session_id)
    if session is None and is_local and ID.fullmatch(session_id):
        chosen = VoiceSession(Mode.LOOPBACK, session_id, announced=False)
        session = chosen if await sessions.create(chosen) else None
    if session is None or not (session.announced or is_local):
        await socket.close(UNKNOWN, _UNKNOWN_SESSION)
        raise PeerGone
    if not await sessions.claim(session):
        await socket.close(TAKEN, "This session has a connection already")
        raise PeerGone
    session.mode = mode or session.mode
    return session


class SessionStream:
    """One connection, which carries one session. Lives on the loop."""

    def __init__(
        self,
        socket: WireSocket,
        session: VoiceSession,
        conversation: Conversation,
        limits: Limits,
        sessions: Sessions,
    ) -> None:
        self._socket = socket
        self._session = session
        self._sessions = sessions
        self._splitter = UtteranceSplitter(limits.recording_s)
        self._pacer = Pacer(self._play, FRAME_BYTES)
        self._turn = TurnTask(conversation)
        self._turn_state = _idle_state(session.mode)
        self._has_reported_sound = False
        self.changed = asyncio.Event()
        """Set when the session has been started or stopped over HTTP."""

    async def run(self) -> None:
        """Serve until the session stops or the peer leaves."""
        status = asyncio.create_task(self._repeat_status())
        try:
            while self._session.state is not SessionState.STOPPED:
                await self._on_frame(await self._socket.receive())
        finally:
            self._session.state = SessionState.STOPPED
            status.cancel()
            await self._turn.cancel()

    async def _on_frame(self, frame: str | bytes) -> None:
        is_sound = isinstance(frame, bytes)
        try:
            if isinstance(frame, bytes):
                await self._on_sound(check_pcm(frame))
            else:
                await self._on_command(wire.decode_from_client(frame))
        except RemoteProtocolError as error:
            if not (is_sound and self._has_reported_sound):  # it comes fifty times a second
                self._has_reported_sound |= is_sound
                await self._send(ear.ErrorMessage(str(error)))

    async def _on_command(self, message: wire.ToServer) -> None:
        session = self._session
        match message:
            case wire.SessionStart(mode=name):
                mode = Mode(name) if name else session.mode
                if mode is not session.mode:
                    await self._turn.cancel()
                    session.mode = mode
                    self._turn_state = _idle_state(mode)
                session.state = SessionState.RUNNING
            case wire.Stop():
                session.state = SessionState.STOPPED
                await self._turn.cancel()
            case _:
                assert_never(message)
        await self._sessions.save(session)
        await self._send_status()

    async def _on_sound(self, pcm: bytes) -> None:
        """Take sound; the first sound starts a session that has not been started."""
        if self._session.state is SessionState.CREATED:
            self._session.state = SessionState.RUNNING
            await self._sessions.save(self._session)
        self._session.received_bytes += len(pcm)
        if self._session.mode is Mode.LOOPBACK:
            await self._play(pcm)
            return
        for utterance in self._splitter.feed(pcm):
            await self._answer(utterance)

    async def _answer(self, pcm: bytes) -> None:
        await self._turn.cancel()
        await self._enter(wire.PROCESSING)
        self._pacer = Pacer(self._play, FRAME_BYTES)
        await self._turn.start(pcm, self._send_reply)

    async def _send_reply(self, message: ReplyMessage) -> None:
        match message:
            case TranscriptReady(text):
                await self._send(ear.Transcript(text))
            case BrainAsked():
                pass  # this wire has no message for it
            case AnswerText(text):
                await self._send(ear.Answer(text))
            case Spoken(_, speech):
                await self._pacer.play(speech)
            case TurnDone():
                await self._enter(wire.LISTENING, message)
            case ReplyFailed(error):
                await self._send(ear.ErrorMessage(str(error)))
                await self._enter(wire.LISTENING)
            case _:
                assert_never(message)

    async def _enter(self, turn_state: str, done: TurnDone = _NO_END) -> None:
        self._turn_state = turn_state
        await self._send_status(done)

    async def _play(self, pcm: bytes) -> None:
        await self._socket.send(pcm)
        self._session.sent_bytes += len(pcm)

    async def _repeat_status(self) -> None:
        """Send the status when it changes over HTTP, and every ``STATUS_S``."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(STATUS_S):
                    await self.changed.wait()
            is_changed = self.changed.is_set()
            self.changed.clear()
            await self._sessions.save(self._session)
            try:
                if is_changed or self._session.state is SessionState.RUNNING:
                    await self._send_status()
            except PeerGone:
                return
            if self._session.state is SessionState.STOPPED:
                await self._socket.close()

    async def _send_status(self, done: TurnDone = _NO_END) -> None:
        session = self._session
        await self._send(
            wire.SessionStatus(
                session.state.value,
                session.mode.value,
                session.received_bytes,
                session.sent_bytes,
                self._turn_state,
                done.is_question,
                done.volume.percent,
                done.volume.change,
            )
        )

    async def _send(self, message: wire.ToClient) -> None:
        await self._socket.send(wire.encode(message))


def _idle_state(mode: Mode) -> str:
    """Return the state of the turn while there is none."""
    return wire.LISTENING if mode is Mode.ASSISTANT else ""
