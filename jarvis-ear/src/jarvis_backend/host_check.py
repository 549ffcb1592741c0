"""HostCheck: which Host and Origin a request may name."""

import ipaddress
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

IPV6_BITS: Final = 64
"""One household or machine has all addresses of such a network (RFC 6177)."""


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
"""Names that nobody on the internet can own, as a name without any dot; somebody on the local
network can."""

LOOPBACK: Final = "localhost"
"""This machine, and every name in it: ``x.localhost`` (RFC 6761, 6.3)."""

IN_PROCESS: Final = "testserver"
"""What Starlette's TestClient calls us, and says that we are: no socket has a word for an
address."""

POLICY_VIOLATION: Final = 1008
"""Close code of a WebSocket that may not be opened (RFC 6455, 7.4.1)."""


REFUSAL: Final = "Forbidden: this name or page is not known here (allow_hosts, allow_origins)"
"""Told to whoever is refused: most often it is the owner, who has named the machine otherwise."""

MALFORMED: Final = "Bad Request: Host or Origin is malformed"


class Malformed(ValueError):
    """A ``Host`` or ``Origin`` that cannot be read at all."""


class HostRules:
    """Decides by ``Host`` and ``Origin``. Immutable: any thread may ask."""

    def __init__(self, hosts: Iterable[str], origins: Iterable[str]) -> None:
        """Admit the names ``hosts`` and the pages of ``origins``, besides what is always fine."""
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    def admits_host(self, host: str, *, with_token: bool = False) -> bool:
        """Whether a request for ``host`` (perhaps with a port) means this server.

        ``with_token``: it shows a good token. Raises ``Malformed``.
        """
        name = _hostname(host)
        if not name:
            return False
        if name == LOOPBACK or name.endswith("." + LOOPBACK) or _is_address(name):
            return True
        private = "." not in name or name.endswith(PRIVATE_SUFFIXES)
        return name in self._hosts or (with_token and private)

    def admits_origin(self, origin: str | None, host: str) -> bool:
        """Whether a page of ``origin`` may use the server it reached as ``host``.

        Raises ``Malformed``.
        """
        if origin is None or origin.lower().rstrip("/") in self._origins:
            return True
        try:
            page = urlsplit(origin)
        except ValueError:
            raise Malformed from None
        return page.scheme in ("http", "https") and page.netloc.lower() == host.lower()


class HostCheck:
    """ASGI middleware that answers 403 to whom the rules do not admit, and 400 to nonsense.

    Lives on the loop.
    """

    def __init__(
        self, app: ASGIApp, rules: HostRules, shows_token: Callable[[Headers], bool]
    ) -> None:
        self._app = app
        self._rules = rules
        self._shows_token = shows_token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            refusal = None if self._admits(scope) else PlainTextResponse(REFUSAL, 403)
        except Malformed:
            refusal = PlainTextResponse(MALFORMED, 400)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        else:
            await refusal(scope, receive, send)

    def _admits(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._rules.admits_origin(headers.get("origin"), host):
            return False
        is_known = self._rules.admits_host(host) or _is_in_process(scope, host)
        return is_known or self._rules.admits_host(host, with_token=self._shows_token(headers))


def _is_in_process(scope: Scope, host: str) -> bool:
    server = scope.get("server") or ("",)
    return server[0] == IN_PROCESS == _hostname(host)


def _hostname(host: str) -> str:
    """Return the name in ``host``, without its port and the dot of the root."""
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
