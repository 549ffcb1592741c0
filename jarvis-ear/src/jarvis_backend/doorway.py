"""Doorway: which web pages and which names may reach the server at all.

A satellite is no browser and sends no ``Origin``. A browser may only come from a page of this
server, or from one the owner named; without that, any page a person opens could talk to the backend
on their own machine. A page that re-binds its own name to our address is recognised by that name in
``Host``: it is one that somebody on the internet can own.
"""

import ipaddress
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

PRIVATE_SUFFIXES: Final = (".local", ".localhost", ".lan", ".internal", ".home.arpa")
"""Names that nobody on the internet can own, as a name without any dot."""

POLICY_VIOLATION: Final = 1008
"""Close code of a WebSocket that may not be opened (RFC 6455, 7.4.1)."""


REFUSAL: Final = "Forbidden: this name or page is not known here (allow_hosts, allow_origins)"
"""Told to whoever is refused: most often it is the owner, behind a proxy."""


class DoorRules:
    """Decides by ``Host`` and ``Origin``. Immutable: any thread may ask."""

    def __init__(self, hosts: Iterable[str], origins: Iterable[str]) -> None:
        """Admit the names ``hosts`` and the pages of ``origins``, besides what is always fine."""
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    def admits_host(self, host: str) -> bool:
        """Whether a request for ``host`` (perhaps with a port) means this server."""
        name = _hostname(host)
        if name is None:
            return False
        private = "." not in name or name.endswith(PRIVATE_SUFFIXES)
        return private or name in self._hosts or _is_address(name)

    def admits_origin(self, origin: str | None, host: str) -> bool:
        """Whether a page of ``origin`` may use the server it reached as ``host``."""
        if origin is None or origin.lower().rstrip("/") in self._origins:
            return True
        page = urlsplit(origin)
        return page.scheme in ("http", "https") and page.netloc.lower() == host.lower()


class Doorway:
    """ASGI middleware that answers 403 to whom the rules do not admit. Lives on the loop."""

    def __init__(self, app: ASGIApp, rules: DoorRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] not in ("http", "websocket") or self._admits(Headers(scope=scope)):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        else:
            await PlainTextResponse(REFUSAL, 403)(scope, receive, send)

    def _admits(self, headers: Headers) -> bool:
        host = headers.get("host", "")
        return self._rules.admits_host(host) and self._rules.admits_origin(
            headers.get("origin"), host
        )


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
