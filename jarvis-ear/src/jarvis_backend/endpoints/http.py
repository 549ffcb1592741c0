"""HTTP endpoints: who may ask, the console's page, status and health."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from jarvis_backend.agents import Agents
from jarvis_backend.auth import AccessRules, LoginRefused
from jarvis_backend.conversation import Engines
from jarvis_backend.engines.engine import NoEar, NoVoice
from jarvis_backend.event_bus import EventBus
from jarvis_ear.page import INDEX, KIND, PATH, Asset, headers, read_assets

BODY_BYTES: Final = 16 * 1024
"""Largest body that is read: a handful of words."""


class HttpDoor:
    """Lets requests in, or answers 401. Immutable."""

    def __init__(self, admission: AccessRules) -> None:
        self._admission = admission

    async def admit(self, request: Request) -> None:
        """Return if the peer may come in; made to be a dependency of a router."""
        peer = None if request.client is None else request.client.host
        try:
            self._admission.admit(peer, request.headers.get("authorization"))
        except LoginRefused as refused:
            raise HTTPException(401, str(refused)) from None


async def json_body(request: Request) -> dict[str, Any]:
    """Return the object in the body; empty if there is no body."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES:
            raise HTTPException(413, f"expected at most {BODY_BYTES} bytes")
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise HTTPException(400, "expected a JSON object") from None
    if not isinstance(value, dict):
        raise HTTPException(400, "expected a JSON object")
    return value


def console_routes(realtime_path: str) -> APIRouter:
    """Routes of the page, which talks over the realtime stream at ``realtime_path``."""
    routes = APIRouter()
    dress = headers(microphone=True)
    assets = read_assets()

    @routes.get(PATH)
    async def page() -> Response:
        return _served(assets[INDEX], dress)

    @routes.get(f"{PATH}/{KIND}")
    async def kind() -> Response:
        return JSONResponse({"kind": "backend", "realtime": realtime_path}, headers=dress)

    @routes.get(PATH + "/{name}")
    async def part(name: str) -> Response:
        asset = assets.get(name)
        return Response(status_code=404) if asset is None else _served(asset, dress)

    return routes


def _served(asset: Asset, dress: dict[str, str]) -> Response:
    return Response(asset.body, media_type=asset.media_type, headers=dress)


STATUS_PATH: Final = "/api/status"


def status_routes(http_door: HttpDoor, agents: Agents, bus: EventBus) -> APIRouter:
    """Routes of the status."""
    routes = APIRouter()

    @routes.get(STATUS_PATH, dependencies=[Depends(http_door.admit)])
    async def status() -> dict[str, Any]:
        return {"agents": await agents.everywhere(), "modules": bus.modules}

    return routes


def health_routes(engines: Engines, version: str, now: Callable[[], float]) -> APIRouter:
    """Routes that anybody may ask. ``now`` is a monotonic clock."""
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
        report["components"] = _components(engines)
        if _is_whole(engines):
            return JSONResponse(report)
        return JSONResponse(report | {"status": "degraded"}, 503)

    return routes


def _is_whole(engines: Engines) -> bool:
    return not isinstance(engines.stt, NoEar) and not isinstance(engines.tts, NoVoice)


def _components(engines: Engines) -> dict[str, dict[str, str]]:
    """Say what is used for each part, and why it is missing if it is."""
    return {
        "stt": _component(engines.stt.name, engines.stt),
        "brain": _component(engines.brain.provider, engines.brain),
        "tts": _component(engines.tts.name, engines.tts),
    }


def _component(name: str, engine: object) -> dict[str, str]:
    if isinstance(engine, (NoEar, NoVoice)):
        return {"engine": name, "status": "missing", "reason": engine.reason}
    return {"engine": name, "status": "ok"}
