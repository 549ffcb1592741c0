"""``GET /health`` and ``GET /api/health``: is it there, and is everything it needs."""

from collections.abc import Callable
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from jarvis_backend.conversation import Engines
from jarvis_backend.engines.engine import NoEar, NoVoice


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
