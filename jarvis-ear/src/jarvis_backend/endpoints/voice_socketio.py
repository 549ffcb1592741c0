"""The Socket.IO namespace ``/voice``."""

import asyncio
import base64
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, assert_never

import socketio

from jarvis_backend.agents import Agents, AgentState, room_of
from jarvis_backend.auth import Auth, LoginRefused
from jarvis_backend.config import Limits
from jarvis_backend.conversation import (
    AnswerText,
    BrainAsked,
    Conversation,
    ReplyFailed,
    ReplyMessage,
    SendReply,
    Spoken,
    TranscriptReady,
    TurnDone,
)
from jarvis_backend.errors import UtteranceError
from jarvis_backend.process import CLIENT_LOG
from jarvis_backend.rate_limit import LOGGED_IN
from jarvis_backend.recordings import Recordings
from jarvis_backend.text import lenient_base64
from jarvis_ear.wires import socketio as wire

_LOG: Final = logging.getLogger(__name__)
_CLIENT_LOG: Final = logging.getLogger(CLIENT_LOG)

AGENT_ID_LETTERS: Final = 128
"""Maximum length of a satellite's name; the id of the connection replaces a longer one."""


class VoiceNamespace(socketio.AsyncNamespace):  # type: ignore[misc]  # the package has no types
    """Connects the clients of ``/voice`` with a Conversation. Lives on the loop.

    Handlers run in the order of the messages and never wait for a turn. Bound: ``limits.turns``
    per connection. Policy: one more utterance is refused with an error.
    """

    def __init__(
        self,
        auth: Auth,
        conversation: Conversation,
        limits: Limits,
        now: Callable[[], float],
        agents: Agents,
    ) -> None:
        super().__init__(wire.NAMESPACE)
        self._auth = auth
        self._conversation = conversation
        self._limits = limits
        self._recordings = Recordings(limits, now)
        self._agents = agents
        self._turns: dict[str, set[asyncio.Task[None]]] = {}
        self._senders: dict[str, SendReply] = {}
        self._handlers: Mapping[str, Callable[[str, object], Any]] = {
            wire.AUDIO_START: self._on_audio_start,
            wire.AUDIO_CHUNK: self._on_audio_chunk,
            wire.AUDIO_END: self._on_audio_end,
            wire.PING: self._on_ping,
        }

    async def trigger_event(self, event: str, *arguments: Any) -> None:  # noqa: ANN401 - foreign
        """Call the handler of ``event``; the names contain colons, unlike those of methods."""
        if event == "connect":
            sid, environ, auth = (*arguments, None)[:3]  # the authentication is optional
            self._on_connect(sid, auth)
            environ.get("asgi.scope", {})[LOGGED_IN] = True
        elif event == "disconnect":
            self._on_disconnect(arguments[0])
        elif (handler := self._handlers.get(event)) is not None:
            sid, payload = (*arguments, None)[:2]
            try:
                await handler(sid, payload)
            except UtteranceError as error:
                await self._fail(sid, str(error))

    def has_logged_in(self, session_id: str) -> bool:
        """Return whether the library's session ``session_id`` has logged in."""
        return self.server.manager.sid_from_eio_sid(session_id, wire.NAMESPACE) is not None

    def sessions(self) -> int:
        """Return the number of all sessions of the library."""
        return len(self.server.eio.sockets)

    async def aclose(self) -> None:
        """Cancel all turns."""
        turns = [turn for turns in self._turns.values() for turn in turns]
        for turn in turns:
            turn.cancel()
        await asyncio.gather(*turns, return_exceptions=True)

    def _on_connect(self, sid: str, auth: object) -> None:
        try:
            self._auth.check_token(auth.get("token") if isinstance(auth, dict) else None)
        except LoginRefused as refused:
            _CLIENT_LOG.info("connection refused: %s", refused)
            raise socketio.exceptions.ConnectionRefusedError(str(refused)) from None
        if len(self._turns) >= self._limits.connections:
            raise socketio.exceptions.ConnectionRefusedError("Too many connections")
        self._turns[sid] = set()
        self._senders[sid] = partial(self._send_reply, sid)
        self._agents.add(sid)
        # In a task: the library answers the connection only when this returns.
        self._spawn(sid, self._send(sid, wire.LISTENING, {}))

    def _on_disconnect(self, sid: str) -> None:
        self._recordings.forget(sid)
        self._agents.remove(sid)
        if (send := self._senders.pop(sid, None)) is not None:
            self._conversation.close_rooms(send)
        for turn in self._turns.pop(sid, set()):
            turn.cancel()

    async def _on_audio_start(self, sid: str, payload: object) -> None:
        agent_id = _agent_id(payload, sid)
        self._recordings.start(agent_id, sid)
        self._agents.update(sid, agent_id=agent_id, state=AgentState.RECORDING)
        await self._enter(sid, agent_id)
        await self._send(sid, wire.LISTENING, {"agentId": agent_id})

    async def _on_audio_chunk(self, sid: str, payload: object) -> None:
        agent_id = _agent_id(payload, sid)
        if self._recordings.is_open(agent_id):
            is_over = self._recordings.add(agent_id, _audio(payload))
            if is_over:
                await self._begin_turn(sid, agent_id)

    async def _on_audio_end(self, sid: str, payload: object) -> None:
        agent_id = _agent_id(payload, sid)
        if self._recordings.is_open(agent_id):
            await self._begin_turn(sid, agent_id)

    async def _on_ping(self, sid: str, payload: object) -> None:
        agent_id = _agent_id(payload, sid)
        self._agents.update(sid, agent_id=agent_id)
        await self._enter(sid, agent_id)
        await self._send(sid, wire.PONG, {"agentId": agent_id})

    async def _enter(self, sid: str, agent_id: str) -> None:
        """Have the satellite reached by its name."""
        await self.enter_room(sid, room_of(agent_id))
        if (send := self._senders.get(sid)) is not None:
            self._conversation.open_room(agent_id, send)

    async def _begin_turn(self, sid: str, agent_id: str) -> None:
        utterance = self._recordings.take(agent_id) or b""
        if not utterance:
            raise UtteranceError("No audio received")
        if len(self._turns.get(sid, ())) >= self._limits.turns:
            raise UtteranceError(f"Too many commands at once, expected {self._limits.turns}")
        self._agents.update(sid, state=AgentState.PROCESSING)
        await self._send(sid, wire.PROCESSING, {})
        self._spawn(sid, self._turn(sid, agent_id, utterance))

    async def _turn(self, sid: str, agent_id: str, utterance: bytes) -> None:
        try:
            send = partial(self._send_reply, sid)
            await self._conversation.reply(utterance, send, room=agent_id)
        except Exception:  # noqa: BLE001 - the satellite waits for the end of its turn
            _LOG.exception("turn failed unexpectedly")
            await self._fail(sid, "Internal error")

    async def _send_reply(self, sid: str, message: ReplyMessage) -> None:
        match message:
            case TranscriptReady(text):
                await self._send(sid, wire.TRANSCRIPT, {"text": text})
            case BrainAsked(provider):
                await self._send(sid, wire.THINKING, {"provider": provider})
            case AnswerText():
                pass  # this wire has no message for it
            case Spoken(index, speech):
                audio = base64.b64encode(speech.audio).decode("ascii")
                chunk = {"index": index, "contentType": speech.content_type, "audio": audio}
                await self._send(sid, wire.TTS_CHUNK, chunk)
            case TurnDone(attempted, unspoken, is_question, volume):
                # Without text-to-speech the message carries the text, which satellites ignore.
                more: dict[str, object] = {"text": unspoken} if unspoken else {}
                more |= {"followUp": True} if is_question else {}
                more |= volume.fields()
                await self._send(sid, wire.TTS_DONE, {"totalChunks": attempted} | more)
                await self._ready(sid)
            case ReplyFailed(error):
                await self._fail(sid, str(error))
            case _:
                assert_never(message)

    async def _fail(self, sid: str, text: str) -> None:
        await self._send(sid, wire.ERROR, {"error": text})
        await self._ready(sid)

    async def _ready(self, sid: str) -> None:
        self._agents.update(sid, state=AgentState.LISTENING)
        await self._send(sid, wire.LISTENING, {})

    async def _send(self, sid: str, event: str, payload: dict[str, object]) -> None:
        # The connection belongs to this process: no sound goes through the message queue.
        await self.emit(event, payload, to=sid, ignore_queue=True)

    def _spawn(self, sid: str, work: Any) -> None:  # noqa: ANN401 - any coroutine
        """Run ``work`` in a task that ends with the connection."""
        turns = self._turns.setdefault(sid, set())
        task = asyncio.create_task(work)
        turns.add(task)
        task.add_done_callback(turns.discard)


def _agent_id(payload: object, sid: str) -> str:
    """Return the name of the satellite, or the id of its connection if the name is unusable."""
    agent_id = payload.get("agentId") if isinstance(payload, dict) else None
    if isinstance(agent_id, str) and 0 < len(agent_id) <= AGENT_ID_LETTERS:
        return agent_id
    return sid


_JSON_NAMES: Final = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
}


def _json_name(value: object) -> str:
    """Return the JSON name of a type: that is what the author of a client knows."""
    return _JSON_NAMES.get(type(value), "an object")


def _audio(payload: object) -> bytes:
    """Return the sound of a message: base64, raw bytes, or nothing. Raises UtteranceError."""
    if isinstance(payload, str):
        return b""
    if not isinstance(payload, dict):
        raise UtteranceError(f"{wire.AUDIO_CHUNK} is {_json_name(payload)}, expected an object")
    audio = payload.get("audio")
    if isinstance(audio, str):
        return lenient_base64(audio)
    if isinstance(audio, bytes):
        return audio
    if audio is None:
        return b""
    raise UtteranceError(f"audio is {_json_name(audio)}, expected base64 text")
