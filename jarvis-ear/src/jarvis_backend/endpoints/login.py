"""``POST /api/auth/login``: the password for a token.

Status codes and bodies are those of the backend this one stands in for, measured, down to the
500 for a body that is no JSON: satellites are tried against these answers.
"""

import asyncio
import json
import math
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from jarvis_backend.auth import TOKEN_DAYS, Auth, LoginLimiter

PATH: Final = "/api/auth/login"

BODY_BYTES: Final = 100 * 1024
"""Largest body that is read: a password is shorter."""

WRONG: Final = 401
"""Status of the answer to a wrong password."""

RIGHT: Final = 200
"""Status of the answer to the right one."""


def login_routes(auth: Auth, guesses: LoginLimiter) -> APIRouter:
    """Routes of the login."""
    routes = APIRouter()

    @routes.post(PATH)
    async def login(request: Request) -> Response:
        body = await _bounded(request)
        if body is None:
            return HTMLResponse("Payload Too Large", 413)
        if not body or not _is_json(request):
            return HTMLResponse("Internal Server Error", 500)
        peer = "" if request.client is None else request.client.host
        async with guesses.turn_of(peer) as wait_s:
            if wait_s > 0:
                headers = {"Retry-After": str(math.ceil(wait_s))}
                return JSONResponse({"error": "Too many attempts"}, 429, headers)
            answer = await asyncio.to_thread(_answer, auth, body)  # a hash takes its time
            if answer.status_code == WRONG:
                await guesses.wrong(peer)
            elif answer.status_code == RIGHT:
                guesses.right(peer)
        return answer

    @routes.get(PATH)
    async def no_page() -> Response:
        return JSONResponse({"error": "Authentication required"}, 401)

    return routes


async def _bounded(request: Request) -> bytes | None:
    """Return the body, or None if it is larger than a login can be."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES:
            return None
    return bytes(body)


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
    if isinstance(login, dict) and auth.knows(login.get("password")):
        return JSONResponse({"token": auth.issue(), "expiresIn": f"{TOKEN_DAYS}d"})
    return JSONResponse({"error": "Invalid password"}, WRONG)
