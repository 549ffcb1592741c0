"""HTTP endpoints: the console's page, status, health, and the speech of a text."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from jarvis_backend.agents import Agents
from jarvis_backend.auth import Auth, LoginRefused
from jarvis_backend.config import Limits
from jarvis_backend.conversation import Engines
from jarvis_backend.endpoints.event_bus import EventBus
from jarvis_backend.endpoints.turns import pcm_of
from jarvis_backend.engines.engine import MissingEngine, TextToSpeech
from jarvis_backend.errors import EngineError, EngineMissing
from jarvis_backend.text import sentences
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.page import INDEX, KIND, PATH, headers, read_assets

_LOG: Final = logging.getLogger(__name__)

BODY_BYTES: Final = 16 * 1024
"""Maximum size of the body of a request, which holds a few words."""

STATUS_PATH: Final = "/api/status"
SPEECH_PATH: Final = "/api/tts"


def require(auth: Auth) -> Callable[[Request], Awaitable[None]]:
    """Return a dependency for routers that answers 401 to a client without access."""

    async def check(request: Request) -> None:
        peer = None if request.client is None else request.client.host
        try:
            auth.authorize(peer, request.headers.get("authorization"))
        except LoginRefused as refused:
            raise HTTPException(401, str(refused)) from None

    return check


async def read_body(request: Request, max_bytes: int) -> bytes | None:
    """Return the body of ``request``; None if it is larger than ``max_bytes``."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            return None
    return bytes(body)


async def json_body(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body, which is empty without a body."""
    body = await read_body(request, BODY_BYTES)
    if body is None:
        raise HTTPException(413, f"expected at most {BODY_BYTES} bytes")
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise HTTPException(400, "expected a JSON object")
    return value


def console_routes(realtime_path: str) -> APIRouter:
    """Return the routes of the page, which connects to the realtime stream."""
    routes = APIRouter()
    page_headers = headers(microphone=True)
    assets = read_assets()

    @routes.get(f"{PATH}/{KIND}")
    async def kind() -> Response:
        return JSONResponse({"kind": "backend", "realtime": realtime_path}, headers=page_headers)

    @routes.get(PATH)
    @routes.get(PATH + "/{name}")
    async def asset(name: str = INDEX) -> Response:
        found = assets.get(name)
        if found is None:
            return Response(status_code=404)
        return Response(found.body, media_type=found.media_type, headers=page_headers)

    return routes


def status_routes(
    require_access: Callable[[Request], Awaitable[None]], agents: Agents, bus: EventBus
) -> APIRouter:
    """Return the route of the status."""
    routes = APIRouter()

    @routes.get(STATUS_PATH, dependencies=[Depends(require_access)])
    async def status() -> dict[str, Any]:
        return {"agents": await agents.everywhere(), "modules": bus.modules}

    return routes


def speech_routes(
    require_access: Callable[[Request], Awaitable[None]], tts: TextToSpeech, limits: Limits
) -> APIRouter:
    """Return the route that speaks a text. ``limits.speakers`` sentences are spoken at a time."""
    routes = APIRouter()
    slots = asyncio.Semaphore(limits.speakers)

    async def pcm(sentence: str) -> bytes:
        async with slots:
            speech = await tts.speak(sentence)
        return await asyncio.to_thread(pcm_of, speech)

    @routes.post(SPEECH_PATH, dependencies=[Depends(require_access)])
    async def speak(request: Request) -> Response:
        text = (await json_body(request)).get("text")
        if not isinstance(text, str) or not 0 < len(text) <= limits.reply_chars:
            raise HTTPException(400, f"expected a text of 1 to {limits.reply_chars} letters")
        try:
            parts = [await pcm(each) for each in sentences(text, max_chars=limits.reply_chars)]
        except EngineMissing as missing:
            raise HTTPException(501, str(missing)) from None
        except EngineError as error:
            _LOG.warning("a text is not spoken: %s", error)
            raise HTTPException(503, "the text cannot be spoken") from None
        sound = b"".join(parts)
        if not sound:
            raise HTTPException(400, "expected a text with something to speak")
        return Response(pcm_to_wav(sound), media_type="audio/wav")

    return routes


def health_routes(engines: Engines, version: str, now: Callable[[], float]) -> APIRouter:
    """Return the routes of health, which are open to all. ``now`` is a monotonic clock."""
    routes = APIRouter()
    started = now()

    @routes.get("/health")
    async def healthy() -> dict[str, str]:
        return {"status": "healthy"}

    @routes.get("/api/health")
    async def health(request: Request) -> Response:
        report: dict[str, object] = {
            "status": "ok",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "uptime": round(now() - started, 3),
            "version": version,
        }
        if "liveness" in request.query_params:
            return JSONResponse(report)
        report["components"] = {
            "stt": _component(engines.stt.name, engines.stt),
            "brain": _component(engines.brain.provider, engines.brain),
            "tts": _component(engines.tts.name, engines.tts),
        }
        if isinstance(engines.stt, MissingEngine) or isinstance(engines.tts, MissingEngine):
            return JSONResponse(report | {"status": "degraded"}, 503)
        return JSONResponse(report)

    return routes


def _component(name: str, engine: object) -> dict[str, str]:
    if isinstance(engine, MissingEngine):
        return {"engine": name, "status": "missing", "reason": engine.reason}
    return {"engine": name, "status": "ok"}
