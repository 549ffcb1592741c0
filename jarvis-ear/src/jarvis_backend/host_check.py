"""Checks the ``Host`` and ``Origin`` of requests, against web pages of other servers."""

import ipaddress
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

IPV6_BITS: Final = 64
"""Prefix of the IPv6 network that one household has (RFC 6177)."""


def origin_of(peer: str) -> str:
    """Return the IPv4 address or the IPv6 network of ``peer``, or ``peer`` if it is neither."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), IPV6_BITS), strict=False))


PRIVATE_SUFFIXES: Final = (".local", ".localhost", ".lan", ".internal", ".home.arpa")
"""Suffixes of names that cannot be registered on the internet, but used on the local network. The
same holds for a name without a dot."""

LOOPBACK: Final = "localhost"
"""Name of this machine, and suffix of further ones: ``x.localhost`` (RFC 6761, 6.3)."""

IN_PROCESS: Final = "testserver"
"""Host and address of the server in Starlette's TestClient; no socket can have it."""

POLICY_VIOLATION: Final = 1008
"""Close code of a refused WebSocket (RFC 6455, 7.4.1)."""

REFUSAL: Final = "Forbidden: this name or page is not known here (allow_hosts, allow_origins)"
"""Names the options, because most refused clients are the owner's, under a new host name."""

MALFORMED: Final = "Bad Request: Host or Origin is malformed"


class Malformed(ValueError):
    """A ``Host`` or ``Origin`` cannot be parsed."""


class HostRules:
    """Decides by ``Host`` and ``Origin``. Immutable: any thread may use it."""

    def __init__(self, hosts: Iterable[str], origins: Iterable[str]) -> None:
        """Allow ``hosts`` and ``origins``, besides this machine and pages of this server."""
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    def allows_host(self, host: str, *, with_token: bool = False) -> bool:
        """Return whether ``host`` (perhaps with a port) may name this server.

        ``with_token``: the request has a valid token. Raises Malformed.
        """
        name = _hostname(host)
        if not name:
            return False
        if name == LOOPBACK or name.endswith("." + LOOPBACK) or _is_address(name):
            return True
        private = "." not in name or name.endswith(PRIVATE_SUFFIXES)
        return name in self._hosts or (with_token and private)

    def allows_origin(self, origin: str | None, host: str) -> bool:
        """Return whether a page of ``origin`` may use the server as ``host``. Raises Malformed."""
        if origin is None or origin.lower().rstrip("/") in self._origins:
            return True
        try:
            page = urlsplit(origin)
        except ValueError:
            raise Malformed from None
        return page.scheme in ("http", "https") and page.netloc.lower() == host.lower()


class HostCheck:
    """ASGI middleware that answers 403 to a forbidden request, and 400 to a malformed one."""

    def __init__(
        self, app: ASGIApp, rules: HostRules, has_token: Callable[[Headers], bool]
    ) -> None:
        self._app = app
        self._rules = rules
        self._has_token = has_token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            refusal = None if self._allows(scope) else PlainTextResponse(REFUSAL, 403)
        except Malformed:
            refusal = PlainTextResponse(MALFORMED, 400)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        else:
            await refusal(scope, receive, send)

    def _allows(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._rules.allows_origin(headers.get("origin"), host):
            return False
        is_known = self._rules.allows_host(host) or _is_in_process(scope, host)
        return is_known or self._rules.allows_host(host, with_token=self._has_token(headers))


def _is_in_process(scope: Scope, host: str) -> bool:
    server = scope.get("server") or ("",)
    return server[0] == IN_PROCESS == _hostname(host)


def _hostname(host: str) -> str:
    """Return the name in ``host``, without its port and trailing dot."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        name.encode("ascii").decode("idna")
    except ValueError:  # UnicodeError is one
        raise Malformed from None
    return name.removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
