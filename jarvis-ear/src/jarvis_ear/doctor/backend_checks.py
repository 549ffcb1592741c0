"""Backend checks: login, token, wire and ping, after those of the host.

They send no audio, and log in once at most, so that they cannot lock the owner out.
"""

import asyncio
import base64
import json
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from jarvis_ear import errors
from jarvis_ear.backend import Session
from jarvis_ear.config import Config
from jarvis_ear.doctor.checks import Results, attempt, fail, ok, skip, skipped, warn
from jarvis_ear.doctor.host_checks import DAY_S, HOST_CHECKS, SOON_DAYS, host_facts, judge_host
from jarvis_ear.link.login import ISSUED, NONE_HERE, Admission, post, read_body, read_token
from jarvis_ear.link.tls_and_tcp import TrustStore, address, error_text

SLACK_S: Final = 3.0
"""Seconds that a check may take beyond the time-out of what it does."""

PING_S: Final = 5.0
"""Seconds to wait for the answer to a ping; a server that answers later is of no use."""

SLOW_S: Final = 1.0
"""Round trip from which a warning is due: a reply begins several round trips after a command."""

_ALL: Final = (*HOST_CHECKS, "login", "token", "wire", "ping")
_LOGIN_PATH: Final = "/api/auth/login"


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
            if status not in ISSUED:
                wait = str(response.headers.get("Retry-After", ""))
                return LoginFacts(status, wait if re.fullmatch("[0-9]{1,6}", wait) else "")
            return LoginFacts(status, token=read_token(read_body(response, ends)))
    except errors.JarvisEarError as error:
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
    text = f"valid for {left_s / DAY_S:.1f} days"
    if is_given and left_s < SOON_DAYS * DAY_S:
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
        with suppress(TimeoutError, errors.Disconnected):
            ping_s = await asyncio.wait_for(link.round_trip(), PING_S)
        return WireFacts(opened_s, ping_s, remark=link.remark)
    except (errors.Rejected, errors.ConnectFailed, errors.RemoteProtocolError) as error:
        return WireFacts(is_rejected=isinstance(error, errors.Rejected), problem=str(error))
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
            *skip(("ping",), "there is no link"),
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


def judge_satellite(report: Mapping[str, Any] | None) -> Results:
    """Judge the wire on which Home Assistant connects to the ear: only a running ear can tell."""
    others = skip(
        (check for check in _ALL if check != "wire"), "Home Assistant connects to the ear"
    )
    if report is None:
        return [*others, skipped("wire", "no ear waits for Home Assistant now")]
    if report.get("connected"):
        return [*others, ok("wire", "Home Assistant is connected")]
    fix = "add the ear in Home Assistant (Wyoming Protocol), see docs/home-assistant.md"
    return [*others, warn("wire", "Home Assistant is not connected", fix)]


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
        yield skip(_ALL, "with_backend: it runs with the ear")
        return
    if backend.protocol == "wyoming":
        yield judge_satellite(report)
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
        yield skip(_ALL[4:], "the configuration of the backend has a mistake")
    elif any(result.exit_status and result.check != "clock" for result in found):
        yield skip(_ALL[4:], "the server is not reached")
    elif report is not None and report.get("connected") and _is_same(report, backend.url):
        text = f"the running ear is connected ({backend.protocol})"
        yield [ok("login", text), *skip(("token",), text), ok("wire", text)]
        yield skip(("ping",), "the running ear keeps the only link")
    elif not knows_password:
        why = "only the service knows its password; root can read it: sudo jarvis-ear doctor"
        yield skip(_ALL[4:], why)
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
            yield skip(("login", "token"), f"{protocol} asked for no token")
            yield found
            return
    token = session.config.token.get_secret_value()
    is_given = bool(token)
    if is_given:
        yield skip(("login",), "backend.token is given")
    else:
        logins: list[LoginFacts] = []

        def log_in() -> Results:
            logins.append(login_facts(session))
            return judge_login(logins[-1])

        found = attempt("login", limit_s, log_in)
        yield found
        if any(result.exit_status for result in found):
            yield skip(("token", "wire", "ping"), "there is no token")
            return
        token = logins[-1].token
    if token:
        yield attempt("token", limit_s, lambda: judge_token(token, now(), is_given=is_given))
    else:
        yield skip(("token",), "the server issues none")
    yield attempt("wire", link_s, lambda: open_link(token or None))


def _context(trust_store: TrustStore) -> ssl.SSLContext | None:
    context = trust_store.context
    return context if isinstance(context, ssl.SSLContext) else None


def _is_same(report: Mapping[str, Any], url: str) -> bool:
    return bool(report.get("backend_url") == address(url.rstrip("/")))
