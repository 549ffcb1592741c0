"""Backend checks: name, connection, certificate, clock, login, token, wire and ping.

They send no audio, and log in once at most, so that they cannot lock the owner out.
"""

import asyncio
import base64
import http.client
import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from jarvis_ear.backend import Session
from jarvis_ear.config import Config
from jarvis_ear.doctor.checks import Results, attempt, fail, ok, skipped, warn, within
from jarvis_ear.errors import (
    ConnectFailed,
    Disconnected,
    JarvisEarError,
    Rejected,
    RemoteProtocolError,
)
from jarvis_ear.link.login import NONE_HERE, Admission, post, read_body, read_token
from jarvis_ear.link.tls_and_tcp import TrustStore, address, error_text

SLACK_S: Final = 3.0
"""Seconds that a check may take beyond the time-out of what it does."""

PING_S: Final = 5.0
"""Seconds to wait for the answer to a ping; a server that answers later is of no use."""

SLOW_S: Final = 1.0
"""Round trip from which a warning is due: a reply begins several round trips after a command."""

SOON_DAYS: Final = 14
"""Days of validity left at which a certificate should have been renewed."""

SKEW_S: Final = 30.0
"""Difference of the clocks that warrants a warning; a response and its Date may be 2 s apart."""

BAD_SKEW_S: Final = 300.0
"""Difference at which servers refuse signatures and tokens as too old or not yet valid."""

_DAY_S: Final = 86_400.0
_ALL: Final = ("dns", "tcp", "tls", "clock", "login", "token", "wire", "ping")
_LOGIN_PATH: Final = "/api/auth/login"

_WRONG_CERTIFICATE: Final[Mapping[int, str]] = {
    9: "its certificate is not valid yet: compare the clocks",
    10: "renew its certificate, or set the clock of this machine",
    18: "it has signed its own certificate: give that file as backend.ca_file",
    19: "give the certificate of its authority as backend.ca_file",
    20: "give the certificate of its authority as backend.ca_file",
    62: "use the name that its certificate has as the host of backend.url",
    64: "use the name that its certificate has as the host of backend.url",
}
"""What to do about an X509_V_ERR_* of openssl/x509_vfy.h."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What was found on the way to the host, up to the first failure. A value."""

    host: str
    port: int
    addresses: tuple[str, ...] = ()
    name_problem: str = ""
    tcp_problem: str = ""
    connected_s: float = 0.0
    """Seconds of the TCP connection."""
    is_tls: bool = False
    tls_problem: str = ""
    tls_code: int = 0
    """X509_V_ERR_* of a certificate that is not valid; 0: another problem."""
    tls_version: str = ""
    expires_at: float = 0.0
    """End of the certificate's validity, in seconds since 1970."""
    server_at: float | None = None
    """Time of the server, in seconds since 1970; None: it does not tell."""
    asked_at: float = 0.0
    """Our time when it was asked."""


def host_facts(url: str, context: ssl.SSLContext | None, timeout_s: float) -> HostFacts:
    """Resolve the host of ``url``, connect, and ask for the headers of its first page."""
    parts = urlsplit(url)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    known: dict[str, Any] = {"host": host, "port": port, "is_tls": is_tls}
    try:
        found = within(
            timeout_s, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
    except TimeoutError:
        return HostFacts(**known, name_problem=f"no name server answers within {timeout_s:g} s")
    except (OSError, UnicodeError) as error:
        return HostFacts(**known, name_problem=error_text(error))
    known["addresses"] = tuple(dict.fromkeys(str(one[4][0]) for one in found))
    began = time.monotonic()
    try:
        connection = socket.create_connection((host, port), timeout_s)
    except OSError as error:
        return HostFacts(**known, tcp_problem=error_text(error))
    known["connected_s"] = time.monotonic() - began
    with closing(connection):
        return _spoken(connection, context or ssl.create_default_context(), parts.path, known)


def _spoken(
    connection: socket.socket, context: ssl.SSLContext, path: str, known: dict[str, Any]
) -> HostFacts:
    """Return the facts of an open connection: TLS, and the clock of the server."""
    stream = connection
    try:
        if known["is_tls"]:
            stream = secured = context.wrap_socket(connection, server_hostname=known["host"])
            ends = str((secured.getpeercert() or {}).get("notAfter", ""))
            known["tls_version"] = secured.version() or ""
            known["expires_at"] = ssl.cert_time_to_seconds(ends) if ends else 0.0
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message
        return HostFacts(**known, tls_problem=why, tls_code=error.verify_code)
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", "") or error_text(error)
        return HostFacts(**known, tls_problem=str(why).lower().replace("_", " "))
    known["asked_at"] = time.time()
    known["server_at"] = _server_time(stream, known["host"], path)
    return HostFacts(**known)


def _server_time(stream: socket.socket, host: str, path: str) -> float | None:
    client = http.client.HTTPConnection(host)
    client.sock = stream
    with suppress(OSError, http.client.HTTPException, ValueError, TypeError):
        client.request("HEAD", path or "/", headers={"Connection": "close"})
        date = client.getresponse().getheader("Date")
        return None if date is None else parsedate_to_datetime(date).timestamp()
    return None


def judge_host(facts: HostFacts, now: float) -> Results:
    """Judge name, connection, certificate and clock; a failure skips what comes after it."""
    if facts.name_problem:
        text = f"{facts.host}: {facts.name_problem}"
        fix = "correct the host of backend.url, or look at /etc/resolv.conf: getent hosts NAME"
        return [fail("dns", text, fix, 69), *_skip(_ALL[1:4], "the name is not known")]
    shown = ", ".join(facts.addresses[:3])
    is_literal = facts.addresses == (facts.host,)
    name = ok("dns", shown if is_literal else f"{facts.host}: {shown}")
    place = f"port {facts.port} of {facts.host}"
    if facts.tcp_problem:
        fix = "is the backend running there? Is the port that of backend.url, and no firewall shut?"
        text = f"{place}: {facts.tcp_problem}"
        return [name, fail("tcp", text, fix, 69), *_skip(_ALL[2:4], "there is no connection")]
    tcp = ok("tcp", f"{place}, {1000 * facts.connected_s:.0f} ms")
    if facts.tls_problem:
        fix = _WRONG_CERTIFICATE.get(
            facts.tls_code, "does that port speak TLS? Else use http:// and allow_plaintext"
        )
        tls = fail("tls", facts.tls_problem, fix, 76)
        return [name, tcp, tls, *_skip(("clock",), "the server is not trusted")]
    return [name, tcp, *_judge_tls(facts, now), *judge_clock(facts)]


def _judge_tls(facts: HostFacts, now: float) -> Results:
    if not facts.is_tls:
        return [skipped("tls", "backend.url is http://")]
    days = (facts.expires_at - now) / _DAY_S
    text = f"{facts.tls_version}, the certificate is for {facts.host}, valid for {days:.0f} days"
    if days < SOON_DAYS:
        return [warn("tls", text, "renew the certificate of the backend now")]
    return [ok("tls", text)]


def judge_clock(facts: HostFacts) -> Results:
    """Compare the clocks. The Date of a server has whole seconds, and is up to a trip old."""
    if facts.server_at is None:
        return [skipped("clock", "the server does not tell its time")]
    skew = facts.asked_at - facts.server_at
    if abs(skew) <= SKEW_S:
        return [ok("clock", f"within {max(1, round(abs(skew)))} s of that of the server")]
    text = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} that of the server"
    fix = "timedatectl set-ntp true, here and there"
    if abs(skew) > BAD_SKEW_S:
        return [fail("clock", text, fix, 71)]
    return [warn("clock", text, fix)]


@dataclass(frozen=True, slots=True)
class LoginFacts:
    """How one login was answered. A value."""

    status: int = 0
    """HTTP status; 0: no answer."""
    retry_after: str = ""
    """Header of a server that allows no login now, in seconds."""
    token: str = ""
    problem: str = ""
    """Why there is no answer, or none that can be used."""


def login_facts(session: Session) -> LoginFacts:
    """Log in once."""
    ends = time.monotonic() + session.timing.login_s
    body = {"password": session.config.password.get_secret_value()}
    try:
        with post(
            session.url + _LOGIN_PATH, body, session.timing.login_s, session.trust_store
        ) as response:
            status = response.status_code
            if status != HTTPStatus.OK:
                wait = str(response.headers.get("Retry-After", ""))
                return LoginFacts(status, wait if re.fullmatch("[0-9]{1,6}", wait) else "")
            return LoginFacts(status, token=read_token(read_body(response, ends)))
    except JarvisEarError as error:
        return LoginFacts(problem=str(error))
    except Exception as error:  # noqa: BLE001 - a peer can make the library raise anything
        return LoginFacts(problem=error_text(error))


def judge_login(facts: LoginFacts) -> Results:
    """Judge the answer to a login."""
    if facts.token:
        return [ok("login", "the backend accepts the password")]
    if facts.problem:
        fix = "is that a backend? Look at its log, and at backend.url"
        return [fail("login", facts.problem, fix, 69)]
    if facts.status == HTTPStatus.UNAUTHORIZED:
        fix = "JARVIS_PASSWORD, backend.password_file, or sudo jarvis-ear service password"
        return [fail("login", "the backend does not accept the password", fix, 77)]
    if facts.status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = f"; wait {facts.retry_after} s" if facts.retry_after else ""
        fix = "something here uses a wrong password again and again: correct it, then wait"
        return [fail("login", f"the backend allows no login now (status 429){wait}", fix, 75)]
    if facts.status in NONE_HERE:
        return [skipped("login", f"the server has no login (status {facts.status})")]
    fix = "is that a backend? Look at its log, and at backend.url"
    return [fail("login", f"answered with status {facts.status}, expected 200 or 401", fix, 76)]


def judge_token(token: str, now: float, *, is_given: bool) -> Results:
    """Judge how long a token is valid, if it says so: not its signature, which is the server's."""
    claims = _claims(token)
    expires = claims.get("exp")
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        return [ok("token", "received; it does not tell how long it is valid")]
    left_s = expires - now
    fix = "issue a new backend.token" if is_given else "compare the clocks here and there"
    if left_s <= 0:
        return [fail("token", f"it expired {-left_s / 3600:.1f} h ago", fix, 77)]
    text = f"valid for {left_s / _DAY_S:.1f} days"
    if is_given and left_s < SOON_DAYS * _DAY_S:
        return [warn("token", text, "issue a new backend.token before")]
    return [ok("token", text)]


def _claims(token: str) -> Mapping[str, Any]:
    """Return the claims of a JSON Web Token; none if it is another kind of token."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, claims and signature
        return {}
    with suppress(ValueError, RecursionError):
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return claims if isinstance(claims, dict) else {}
    return {}


@dataclass(frozen=True, slots=True)
class WireFacts:
    """How the backend answered on its wire. A value."""

    opened_s: float | None = None
    """Seconds until the link was open; None: it was not."""
    ping_s: float | None = None
    """Seconds of a round trip; None: no answer."""
    is_rejected: bool = False
    problem: str = ""
    remark: str = ""


def wire_facts(session: Session, token: str | None) -> WireFacts:
    """Open a link, send one ping, and close the link. No audio is sent."""
    return asyncio.run(_wire_facts(session, token))


async def _wire_facts(session: Session, token: str | None) -> WireFacts:
    link, began = session.make_link(lambda: None), time.monotonic()
    try:
        await link.open(token)
        opened_s = time.monotonic() - began
        ping_s = None
        with suppress(TimeoutError, Disconnected):
            ping_s = await asyncio.wait_for(link.round_trip(), PING_S)
        return WireFacts(opened_s, ping_s, remark=link.remark)
    except (Rejected, ConnectFailed, RemoteProtocolError) as error:
        return WireFacts(is_rejected=isinstance(error, Rejected), problem=str(error))
    finally:
        await link.close()


def judge_wire(facts: WireFacts, protocol: str) -> Results:
    """Judge the handshake of the wire and the round trip."""
    if facts.opened_s is None:
        fix = f"does the server speak {protocol} (backend.protocol), at that path (backend.path)?"
        if facts.is_rejected:
            fix = "the server wants another token: look at password or backend.token"
        status = 77 if facts.is_rejected else 76
        return [
            fail("wire", f"{protocol}: {facts.problem}", fix, status),
            *_skip(("ping",), "there is no link"),
        ]
    more = f"; {facts.remark}" if facts.remark else ""
    wire = ok("wire", f"{protocol} is open after {1000 * facts.opened_s:.0f} ms{more}")
    if facts.ping_s is None:
        fix = "the ear notices a dead link later on such a server"
        return [wire, warn("ping", f"no answer within {PING_S:g} s", fix)]
    text = f"{1000 * facts.ping_s:.0f} ms"
    if facts.ping_s > SLOW_S:
        return [wire, warn("ping", text, "replies begin late: look at the network in between")]
    return [wire, ok("ping", text)]


def _skip(checks: tuple[str, ...], why: str) -> Results:
    return [skipped(check, why) for check in checks]


def backend_results(
    config: Config,
    session: Session | None,
    report: Mapping[str, Any] | None,
    *,
    knows_password: bool,
    now: Callable[[], float] = time.time,
) -> Iterator[Results]:
    """Yield the results of each check. ``session`` is None if the configuration has no valid one.

    A running ear that is connected has logged in: then no second login and no second link is made.
    ``knows_password``: False if the ear is a service whose password this process cannot read.
    """
    backend = config.backend
    if config.with_backend:
        yield _skip(_ALL, "with_backend: it runs with the ear")
        return
    limit_s = backend.connect_s + SLACK_S
    context = None if session is None else _context(session.trust_store)
    found = attempt(
        "tcp",
        2 * limit_s,
        lambda: judge_host(host_facts(backend.url, context, backend.connect_s), now()),
    )
    yield found
    if session is None:
        yield _skip(_ALL[4:], "the configuration of the backend has a mistake")
    elif any(result.exit_status and result.check != "clock" for result in found):
        yield _skip(_ALL[4:], "the server is not reached")
    elif report is not None and report.get("connected") and _is_same(report, backend.url):
        text = f"the running ear is connected ({backend.protocol})"
        yield [ok("login", text), *_skip(("token",), text), ok("wire", text)]
        yield _skip(("ping",), "the running ear keeps the only link")
    elif not knows_password:
        why = "this user cannot read the password of the service: sudo jarvis-ear doctor"
        yield _skip(_ALL[4:], why)
    else:
        yield from _session_results(session, limit_s, now)


def _session_results(
    session: Session, limit_s: float, now: Callable[[], float]
) -> Iterator[Results]:
    """Yield the results of login, token, wire and ping, in the order of the ear's dialer."""
    protocol = session.config.protocol
    facts: list[WireFacts] = []

    def open_link(token: str | None) -> Results:
        facts.append(wire_facts(session, token))
        return judge_wire(facts[-1], protocol)

    link_s = limit_s + PING_S
    if session.wire.admission is Admission.UNASKED:
        found = attempt("wire", link_s, lambda: open_link(None))
        if not facts or not facts[-1].is_rejected:
            yield _skip(("login", "token"), f"{protocol} asked for no token")
            yield found
            return
    token = session.config.token.get_secret_value()
    is_given = bool(token)
    if is_given:
        yield _skip(("login",), "backend.token is given")
    else:
        logins: list[LoginFacts] = []

        def log_in() -> Results:
            logins.append(login_facts(session))
            return judge_login(logins[-1])

        found = attempt("login", limit_s, log_in)
        yield found
        if any(result.exit_status for result in found):
            yield _skip(("token", "wire", "ping"), "there is no token")
            return
        token = logins[-1].token
    if token:
        yield attempt("token", limit_s, lambda: judge_token(token, now(), is_given=is_given))
    else:
        yield _skip(("token",), "the server issues none")
    yield attempt("wire", link_s, lambda: open_link(token or None))


def _context(trust_store: TrustStore) -> ssl.SSLContext | None:
    context = trust_store.context
    return context if isinstance(context, ssl.SSLContext) else None


def _is_same(report: Mapping[str, Any], url: str) -> bool:
    return bool(report.get("backend_url") == address(url.rstrip("/")))
