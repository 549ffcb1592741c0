"""Fake voice servers of the bare WebSocket wires, made after our pages and of none of our code."""

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

from fakes.voice_script import SPEECH, TRANSCRIPT, Act, Pause, Word, pcm_of, wav
from fakes.voice_service import LOCAL, Address, Switches, VoiceService
from fakes.websocket_server import WebSocketServer, refusal

WAV: Final = wav(SPEECH)
SILENCE_WORDS: Final = 6400
"""0.8 s of nothing, in pairs of samples: what ends an utterance of a session."""


def message(kind: str, **said: Any) -> str:
    """Make a text frame of the voice channel or of a session."""
    return json.dumps({"type": kind, **said})


def event(kind: str, **payload: Any) -> str:
    return message(kind, payload=payload, timestamp="2026-01-01T00:00:00Z")


def pieces(size: int) -> list[bytes]:
    return [SPEECH[at : at + size] for at in range(0, len(SPEECH), size)]


def _session_status(turn: str) -> str:
    counts = {"receivedBytes": 0, "sentBytes": 0}
    return message("status", state="running", mode="assistant", turn=turn, **counts)


class WebSocketVoice(WebSocketServer, VoiceService):
    path: ClassVar[str]
    frames: ClassVar[Mapping[Word, Sequence[str | bytes]]]
    asks: ClassVar[bool] = False
    """Whether the wire cannot do without a token."""
    refused: ClassVar[int] = 401

    def __init__(
        self, switches: Switches | None = None, log: Path | None = None, address: Address = LOCAL
    ) -> None:
        WebSocketServer.__init__(self, *address)
        VoiceService.__init__(self, switches, log)
        self._sounds: dict[ServerConnection, bytearray] = {}

    def admit(self, request: Request) -> Response | None:
        if request.path.rpartition("/")[0] != self.path.rpartition("/")[0]:
            return refusal(404)
        asks = self.asks if self.switches.asks is None else self.switches.asks
        good = not asks or self.is_good(self.token_in(request))
        return None if good else refusal(self.refused)

    def token_in(self, request: Request) -> str:
        return request.headers.get("Authorization", "").removeprefix("Bearer ")

    def post(self, path: str, asked: Any, token: str | None) -> tuple[int, Any]:
        return self.login(asked) if path == "/api/auth/login" else super().post(path, asked, token)

    def too_large(self, size: int) -> bytes:
        return bytes(size)

    def sound(self, line: ServerConnection) -> bytearray:
        return self._sounds.setdefault(line, bytearray())

    def answer(self, line: ServerConnection, pcm: bytes) -> None:
        self.sound(line).clear()
        for step in self.run(pcm):
            match step:
                case Word():
                    for frame in self.frames[step]:
                        line.send(frame)
                case Pause(least_s, most_s):
                    time.sleep(self.pause(least_s, most_s))
                case Act.DIE:
                    os.kill(os.getpid(), signal.SIGKILL)
        if self.switches.closes:
            line.close()


class VoiceWsVoice(WebSocketVoice):
    path = "/ws/voice"
    garbage = ("{", "[]", '{"type":"nonsense"}', '{"type":"transcript","text":7}', b"\0")
    frames: ClassVar = {
        Word.PROCESSING: [message("processing")],
        Word.TRANSCRIPT: [message("transcript", text=TRANSCRIPT)],
        Word.REPLY: [message("reply", text="Late.")],
        Word.SPEECH: pieces(1280),
        Word.DONE: [message("done")],
    }

    def hear(self, line: ServerConnection, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            self.sound(line).extend(frame)
            line.send(message("audio_received", bytes=len(frame)))
            return
        match json.loads(frame)["type"]:
            case "ping":
                line.send(message("pong"))
            case "start":
                self.sound(line).clear()
            case "end":
                self.answer(line, bytes(self.sound(line)))


class SessionVoice(WebSocketVoice):
    path = "/ws/sessions/one"
    garbage = ("{", "[]", '{"type":"nonsense"}', '{"type":"status","state":7}', b"\0")
    frames: ClassVar = {
        **VoiceWsVoice.frames,
        Word.PROCESSING: [_session_status("processing")],
        Word.SPEECH: pieces(640),
        Word.DONE: [_session_status("listening")],
    }

    def post(self, path: str, asked: Any, token: str | None) -> tuple[int, Any]:
        if not path.startswith("/api/sessions"):
            return super().post(path, asked, token)
        if self.switches.asks and not self.is_good(token):
            return 401, {"error": "Who are you?"}
        session = {"id": "one", "mode": "assistant", "path": self.path}
        return (201 if path == "/api/sessions" else 200), session

    def hear(self, line: ServerConnection, frame: str | bytes) -> None:
        if isinstance(frame, str):
            line.send(_session_status("listening"))
            return
        self.sound(line).extend(frame)
        utterance = _utterance_in(bytes(self.sound(line)))
        if utterance:
            self.answer(line, utterance)


class RealtimeVoice(WebSocketVoice):
    """Speaks the realtime stream; the token is the subprotocol."""

    path = "/ws/realtime"
    asks = True
    refused = 403
    garbage = ("{", "[]", '{"type":"nonsense","payload":{},"timestamp":"now"}', b"unannounced")
    frames: ClassVar = {
        Word.PROCESSING: [event("status", state="transcribing")],
        Word.TRANSCRIPT: [
            event("transcript", text="what", is_final=False),
            event("transcript", text=TRANSCRIPT, is_final=True),
        ],
        Word.REPLY: [event("status", state="responding"), event("response", text="Late.")],
        Word.SPEECH: [event("audio", format="audio/wav", size=len(WAV)), WAV],
        Word.DONE: [event("status", state="idle")],
    }

    def token_in(self, request: Request) -> str:
        return request.headers.get("Sec-WebSocket-Protocol", "")

    def greet(self, line: ServerConnection) -> None:
        line.send(event("status", state="recording"))

    def hear(self, line: ServerConnection, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            self.sound(line).extend(pcm_of(frame))
        else:
            self.answer(line, bytes(self.sound(line)))


def _utterance_in(collected: bytes) -> bytes:
    """Return the utterance that 0.8 s of silence have ended; empty if there is none."""
    words = np.frombuffer(collected[: len(collected) // 4 * 4], "<u4")
    spoken = np.flatnonzero(words)
    if len(spoken) == 0 or len(words) - 1 - spoken[-1] < SILENCE_WORDS:
        return b""
    return words[spoken[0] : spoken[-1] + 1].tobytes()
