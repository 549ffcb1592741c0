"""What HTTP routes behind the door share: who may come in, and how much they may say."""

import json
from typing import Any, Final

from fastapi import HTTPException, Request

from jarvis_backend.auth import Admission, Refused

BODY_BYTES: Final = 16 * 1024
"""Largest body that is read: a handful of words."""


class HttpDoor:
    """Lets requests in, or answers 401. Immutable."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    async def admit(self, request: Request) -> None:
        """Return if the peer may come in; made to be a dependency of a router."""
        peer = None if request.client is None else request.client.host
        try:
            self._admission.admit(peer, request.headers.get("authorization"))
        except Refused as refused:
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
