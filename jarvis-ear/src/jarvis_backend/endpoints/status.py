"""``GET /api/status``: which satellites are connected, and which modules are on."""

from typing import Any, Final

from fastapi import APIRouter, Depends

from jarvis_backend.agents import Agents
from jarvis_backend.endpoints.http_door import HttpDoor
from jarvis_backend.event_bus import EventBus

PATH: Final = "/api/status"


def status_routes(http_door: HttpDoor, agents: Agents, bus: EventBus) -> APIRouter:
    """Routes of the status."""
    routes = APIRouter()

    @routes.get(PATH, dependencies=[Depends(http_door.admit)])
    async def status() -> dict[str, Any]:
        return {"agents": await agents.everywhere(), "modules": bus.modules}

    return routes
