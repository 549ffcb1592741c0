"""``/console``: the page through which a person sees the backend, and talks to it.

The page says nothing that only some may know: whoever wants to use it logs in from it, and comes to
the other routes as every client does.
"""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from jarvis_ear.page import INDEX, KIND, PATH, Asset, headers, read_assets


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
