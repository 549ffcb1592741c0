"""The session stream: ``/api/sessions`` to announce one, ``/ws/sessions/{id}`` to carry it."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Final, assert_never

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.websockets import WebSocket

from jarvis_backend.auth import is_this_machine
from jarvis_backend.config import Limits
from jarvis_backend.conversation import (
    AnswerText,
    BrainAsked,
    Conversation,
    ReplyMessage,
    Spoken,
    TranscriptReady,
    TurnDone,
)
from jarvis_backend.endpoints.http import HttpDoor, json_body
from jarvis_backend.endpoints.socket import PeerGone, SocketDoor, WireSocket
from jarvis_backend.endpoints.speaking import Pacer, Pauses, Speaking, in_order, pcm_of
from jarvis_backend.errors import EngineError, UtteranceError
from jarvis_backend.sessions import ID, Mode, Sessions, SessionState, VoiceSession
from jarvis_backend.text import one_line
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.units import FRAME_BYTES
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires import session as wire
from jarvis_ear.wires.dialect import check_pcm
from jarvis_ear.wires.json_fields import RemoteProtocolError

_LOG: Final = logging.getLogger(__name__)

STATUS_S: Final = 5.0
"""How often the status is said again when it has not changed."""

INVALID: Final = 4400
UNKNOWN: Final = 4404
TAKEN: Final = 4409
"""Close codes of our own (RFC 6455, 7.4.2), after HTTP 400, 404 and 409."""

_MODES: Final = f"mode: expected one of {', '.join(Mode)}"


def session_pcm_routes(
    door: SocketDoor,
    http_door: HttpDoor,
    conversation: Conversation,
    limits: Limits,
    sessions: Sessions,
) -> APIRouter:
    """Routes of the session stream."""
    routes = APIRouter()
    streams: dict[str, SessionStream] = {}
    orders = Orders(streams)
    sessions.when_changed_elsewhere(orders.obey)
    _add_api(routes, http_door, sessions, streams)

    @routes.websocket(wire.PATH)
    async def stream(socket: WebSocket, session_id: str) -> None:
        async def talk(line: WireSocket) -> None:
            session = await _taken(sessions, session_id, socket, line)
            streams[session_id] = SessionStream(line, session, conversation, limits, sessions)
            try:
                await streams[session_id].run()
            finally:
                del streams[session_id]
                await sessions.release(session)

        await door.serve(socket, talk)

    return routes


def _add_api(
    routes: APIRouter,
    http_door: HttpDoor,
    sessions: Sessions,
    streams: Mapping[str, "SessionStream"],
) -> None:
    behind = [Depends(http_door.admit)]

    @routes.post(wire.API_PATH, status_code=201, dependencies=behind)
    async def create(request: Request) -> dict[str, Any]:
        session = await sessions.create(_mode(await json_body(request)))
        if session is None:
            raise HTTPException(503, "Too many sessions at once")
        return _report(session)

    @routes.get(wire.API_PATH + "/{session_id}", dependencies=behind)
    async def report(session_id: str) -> dict[str, Any]:
        return _report(await _found(sessions, session_id))

    @routes.post(wire.API_PATH + "/{session_id}/{action}", dependencies=behind)
    async def control(session_id: str, action: str, request: Request) -> dict[str, Any]:
        await json_body(request)
        session = await _found(sessions, session_id)
        if action not in _ACTIONS:
            raise HTTPException(404, "expected start or stop")
        await sessions.enter(session, _ACTIONS[action])
        if session_id in streams:
            await streams[session_id].changed()
        return _report(session)


class Orders:
    """What other processes want of the sessions that are carried here. Lives on the loop."""

    def __init__(self, streams: Mapping[str, "SessionStream"]) -> None:
        self._streams = streams
        self._under_way: set[asyncio.Task[None]] = set()

    def obey(self, session: VoiceSession) -> None:
        """Tell the client of ``session`` how it is now."""
        stream = self._streams.get(session.session_id)
        if stream is None:
            return
        task = asyncio.create_task(stream.changed())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


async def _taken(
    sessions: Sessions, session_id: str, socket: WebSocket, line: WireSocket
) -> VoiceSession:
    """Return the session if this connection may carry it, else close and raise Gone."""
    try:
        mode = Mode(socket.query_params["mode"]) if "mode" in socket.query_params else None
    except ValueError:
        await line.close(INVALID, _MODES)
        raise PeerGone from None
    is_local = is_this_machine(socket.client and socket.client.host)
    session = await _wanted(sessions, session_id, is_local=is_local)
    if session is None:
        await line.close(UNKNOWN, "Unknown session, expected one of POST /api/sessions")
        raise PeerGone
    if not await sessions.take(session):
        await line.close(TAKEN, "This session has a connection already")
        raise PeerGone
    session.mode = mode or session.mode
    return session


async def _wanted(sessions: Sessions, session_id: str, *, is_local: bool) -> VoiceSession | None:
    """Return the session of that id; a program of this machine need not have announced it."""
    session = await sessions.find(session_id)
    if session is not None:
        return session if session.announced or is_local else None
    return await sessions.adopt(session_id) if is_local and ID.fullmatch(session_id) else None


class SessionStream:
    """One connection, which carries one session. Lives on the loop."""

    def __init__(
        self,
        line: WireSocket,
        session: VoiceSession,
        conversation: Conversation,
        limits: Limits,
        sessions: Sessions,
    ) -> None:
        self._line = line
        self._session = session
        self._sessions = sessions
        self._conversation = conversation
        self._pauses = Pauses(limits.recording_s)
        self._speaking = Speaking()
        self._turn_state = _resting(session.mode)
        self._complained = False

    async def run(self) -> None:
        """Serve until the peer stops or leaves."""
        status = asyncio.create_task(self._repeat_status())
        try:
            while self._session.state is not SessionState.STOPPED:
                await self._take(await self._line.receive())
        finally:
            self._session.state = SessionState.STOPPED
            status.cancel()
            await self._speaking.stop()

    async def changed(self) -> None:
        """Say how the session is now, and end the connection of one that was stopped."""
        try:
            await self._say_status()
        except PeerGone:
            return
        if self._session.state is SessionState.STOPPED:
            await self._line.close()

    async def _take(self, frame: str | bytes) -> None:
        try:
            if isinstance(frame, bytes):
                await self._hear(check_pcm(frame))
            else:
                await self._obey(wire.decode_from_client(frame))
        except RemoteProtocolError as error:
            await self._complain(str(error), of_sound=isinstance(frame, bytes))

    async def _complain(self, error: str, *, of_sound: bool) -> None:
        """Say what is wrong: of sound, which comes fifty times a second, only once."""
        if of_sound and self._complained:
            return
        self._complained |= of_sound
        await self._say(ear.ErrorMessage(error))

    async def _obey(self, message: wire.ToServer) -> None:
        match message:
            case wire.SessionStart(mode=mode):
                await self._enter_mode(Mode(mode) if mode else self._session.mode)
                self._session.state = SessionState.RUNNING
            case wire.Stop():
                self._session.state = SessionState.STOPPED
                await self._speaking.stop()
            case _:
                assert_never(message)
        await self._sessions.save(self._session)
        await self._say_status()

    async def _enter_mode(self, mode: Mode) -> None:
        if mode is self._session.mode:
            return
        await self._speaking.stop()
        self._session.mode = mode
        self._turn_state = _resting(mode)

    async def _hear(self, pcm: bytes) -> None:
        """Take sound, which starts a session that nobody has started."""
        if self._session.state is SessionState.CREATED:
            self._session.state = SessionState.RUNNING
            await self._sessions.save(self._session)
        self._session.received_bytes += len(pcm)
        if self._session.mode is Mode.LOOPBACK:
            await self._play(pcm)
            return
        for utterance in self._pauses.hear(pcm):
            await self._speaking.begin(self._turn(utterance))

    async def _turn(self, pcm: bytes) -> None:
        await self._enter(wire.PROCESSING)
        try:
            await self._answer(pcm)
        except (UtteranceError, EngineError) as error:
            _LOG.warning("turn failed: %s", one_line(str(error)))
            await self._say(ear.ErrorMessage(str(error)))
        await self._enter(wire.LISTENING)

    async def _enter(self, turn_state: str) -> None:
        self._turn_state = turn_state
        await self._say_status()

    async def _answer(self, pcm: bytes) -> None:
        pacer = Pacer(self._play, FRAME_BYTES)
        async with (
            aclosing(self._conversation.reply(pcm_to_wav(pcm))) as reply,
            aclosing(in_order(reply)) as messages,
        ):
            async for message in messages:
                await self._carry(message, pacer)

    async def _carry(self, message: ReplyMessage, pacer: Pacer) -> None:
        match message:
            case TranscriptReady(text):
                await self._say(ear.Transcript(text))
            case AnswerText(text):
                await self._say(ear.Answer(text))
            case Spoken(_, speech):
                await pacer.play(await pcm_of(speech))
            case BrainAsked() | TurnDone():
                pass  # the stream goes on
            case _:
                assert_never(message)

    async def _play(self, pcm: bytes) -> None:
        await self._line.say(pcm)
        self._session.sent_bytes += len(pcm)

    async def _repeat_status(self) -> None:
        while True:
            await asyncio.sleep(STATUS_S)
            await self._sessions.save(self._session)
            if self._session.state is SessionState.RUNNING:
                try:
                    await self._say_status()
                except PeerGone:
                    return

    async def _say_status(self) -> None:
        session = self._session
        await self._say(
            wire.SessionStatus(
                session.state.value,
                session.mode.value,
                session.received_bytes,
                session.sent_bytes,
                self._turn_state,
            )
        )

    async def _say(self, message: wire.ToClient) -> None:
        await self._line.say(wire.encode(message))


_ACTIONS: Final = {"start": SessionState.RUNNING, "stop": SessionState.STOPPED}


def _resting(mode: Mode) -> str:
    """Return what becomes of the turn in this mode while there is none."""
    return wire.LISTENING if mode is Mode.ASSISTANT else ""


def _mode(wish: dict[str, Any]) -> Mode:
    try:
        return Mode(wish.get("mode", Mode.ASSISTANT))
    except ValueError:
        raise HTTPException(400, _MODES) from None


async def _found(sessions: Sessions, session_id: str) -> VoiceSession:
    session = await sessions.find(session_id)
    if session is None:
        raise HTTPException(404, "Unknown session, expected one of POST /api/sessions")
    return session


def _report(session: VoiceSession) -> dict[str, Any]:
    return {
        "id": session.session_id,
        "mode": session.mode.value,
        "state": session.state.value,
        "path": wire.PATH.format(session_id=session.session_id),
        "receivedBytes": session.received_bytes,
        "sentBytes": session.sent_bytes,
    }
