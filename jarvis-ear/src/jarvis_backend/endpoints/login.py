"""``POST /api/auth/login``: returns a token for the password.

Status codes and bodies are those of the production backend, as measured, including the 500 for a
body that is not JSON: satellites are tested against them.
"""

import asyncio
import json
import math
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from jarvis_backend.auth import TOKEN_DAYS, Auth, LoginLimiter
from jarvis_backend.endpoints.http import read_body

PATH: Final = "/api/auth/login"

BODY_BYTES: Final = 100 * 1024
"""Maximum size of a body, which holds a password."""

OK: Final = 200
UNAUTHORIZED: Final = 401


def login_routes(auth: Auth, limiter: LoginLimiter) -> APIRouter:
    """Return the routes of the login."""
    routes = APIRouter()

    @routes.post(PATH)
    async def login(request: Request) -> Response:
        body = await read_body(request, BODY_BYTES)
        if body is None:
            return HTMLResponse("Payload Too Large", 413)
        if not body or not _is_json(request):
            return HTMLResponse("Internal Server Error", 500)
        peer = "" if request.client is None else request.client.host
        async with limiter.attempt(peer) as wait_s:
            if wait_s > 0:
                headers = {"Retry-After": str(math.ceil(wait_s))}
                return JSONResponse({"error": "Too many attempts"}, 429, headers)
            answer = await asyncio.to_thread(_answer, auth, body)  # scrypt takes 50 ms
            if answer.status_code == UNAUTHORIZED:
                await limiter.failed(peer)
            elif answer.status_code == OK:
                limiter.succeeded(peer)
        return answer

    @routes.get(PATH)
    async def no_page() -> Response:
        return JSONResponse({"error": "Authentication required"}, 401)

    return routes


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0]
    return media_type.strip().lower() == "application/json"


def _answer(auth: Auth, body: bytes) -> Response:
    try:
        login = json.loads(body)
    except (ValueError, RecursionError):
        return HTMLResponse("Bad Request", 400)
    if not isinstance(login, (dict, list)):
        return HTMLResponse("Bad Request", 400)
    if isinstance(login, dict) and auth.check_password(login.get("password")):
        return JSONResponse({"token": auth.issue(), "expiresIn": f"{TOKEN_DAYS}d"})
    return JSONResponse({"error": "Invalid password"}, UNAUTHORIZED)
