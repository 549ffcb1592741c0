"""Host checks: name, connection and certificate of the backend's host, and its clock."""

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from jarvis_ear.doctor.checks import Results, fail, ok, skip, skipped, warn, within
from jarvis_ear.link.tls_and_tcp import error_text

HOST_CHECKS: Final = ("dns", "tcp", "tls", "clock")
"""The checks of this module, each of which needs those before it."""

DAY_S: Final = 86_400.0
SOON_DAYS: Final = 14
"""Days of validity left at which a certificate should have been renewed."""

SKEW_S: Final = 30.0
"""Difference of the clocks that warrants a warning; a response and its Date may be 2 s apart."""

BAD_SKEW_S: Final = 300.0
"""Difference at which servers refuse signatures and tokens as too old or not yet valid."""

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
        found = within(timeout_s, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
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
        return [fail("dns", text, fix, 69), *skip(HOST_CHECKS[1:], "the name is not known")]
    shown = ", ".join(facts.addresses[:3])
    is_literal = facts.addresses == (facts.host,)
    name = ok("dns", shown if is_literal else f"{facts.host}: {shown}")
    place = f"port {facts.port} of {facts.host}"
    if facts.tcp_problem:
        fix = "is the backend running there? Is the port that of backend.url, and no firewall shut?"
        text = f"{place}: {facts.tcp_problem}"
        return [name, fail("tcp", text, fix, 69), *skip(HOST_CHECKS[2:], "there is no connection")]
    tcp = ok("tcp", f"{place}, {1000 * facts.connected_s:.0f} ms")
    if facts.tls_problem:
        fix = _WRONG_CERTIFICATE.get(
            facts.tls_code, "does that port speak TLS? Else use http:// and allow_plaintext"
        )
        tls = fail("tls", facts.tls_problem, fix, 76)
        return [name, tcp, tls, *skip(("clock",), "the server is not trusted")]
    return [name, tcp, *_judge_tls(facts, now), *judge_clock(facts)]


def _judge_tls(facts: HostFacts, now: float) -> Results:
    if not facts.is_tls:
        return [skipped("tls", "backend.url is http://")]
    days = (facts.expires_at - now) / DAY_S
    text = f"{facts.tls_version}, the certificate is for {facts.host}, valid for {days:.0f} days"
    if days < SOON_DAYS:
        return [warn("tls", text, "renew the certificate of the backend now")]
    return [ok("tls", text)]


def judge_clock(facts: HostFacts) -> Results:
    """Compare the clocks. The Date of a server is in whole seconds, and as old as its way here."""
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
