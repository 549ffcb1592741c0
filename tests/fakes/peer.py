"""One side of a WebSocket, played by a script, on the loop of the test."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

from aiohttp import web

Script: TypeAlias = Callable[[web.WebSocketResponse, web.Request], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    """Serve ``app`` on a free port of 127.0.0.1; gives its address."""
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def peer(
    path: str, script: Script, *, autoping: bool = True, echo: bool = False
) -> AsyncIterator[str]:
    """Accept WebSockets at ``path`` and do what ``script`` says; ``echo`` the subprotocol."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        protocols = (offered,) if echo and offered else ()
        raw = web.WebSocketResponse(max_msg_size=0, autoping=autoping, protocols=protocols)
        await raw.prepare(request)
        await script(raw, request)
        return raw

    app = web.Application()
    app.router.add_get(path, handle)
    async with serving(app) as url:
        yield url
