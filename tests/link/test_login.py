"""The login against whatever may answer on that port."""

import asyncio
import contextlib
import errno
import json
import socket
import ssl
import threading
import time

import pytest
import requests

from fakes.tls import Authority, TlsFront
from jarvis_ear.errors import ConnectFailed, Rejected, RemoteProtocolError
from jarvis_ear.link.login import MAX_ABANDONED, MAX_BODY_BYTES, Login, NoLogin, read_token
from jarvis_ear.link.tls_and_tcp import TrustStore


@contextlib.contextmanager
def somebody(*pieces, pause_s=0.0):
    """Serve one connection after the other: read the request, answer with ``pieces``."""
    requests, stop = [], threading.Event()

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                requests.append(read_request(connection))
                for piece in pieces:
                    connection.sendall(piece)
                    stop.wait(pause_s)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests
        finally:
            stop.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            assert not thread.is_alive()


def read_request(connection):
    request = b""
    while not request.endswith(b"}"):
        piece = connection.recv(65_536)
        if not piece:
            break
        request += piece
    return request


def answer(status, body=b"", *headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def log_in(url, deadline_s=5.0):
    return asyncio.run(Login(url, "open sesame", deadline_s).token())


def login_threads():
    return [each for each in threading.enumerate() if each.name == "jarvis-ear-login"]


def join_logins():
    for thread in login_threads():
        thread.join(5)


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_password_for_a_token(monkeypatch, variable):
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with somebody(answer("200 OK", b'{"token": "abc", "expiresIn": "7d"}')) as (url, requests):
        assert log_in(url) == "abc"
    assert requests[0].startswith(b"POST /api/auth/login HTTP/1.1")
    assert requests[0].endswith(b'{"password": "open sesame"}')
    assert b"application/json" in requests[0]


def test_a_token_may_be_created():
    with somebody(answer("201 Created", b'{"token": "abc"}')) as (url, _):
        assert log_in(url) == "abc"


def test_what_a_netrc_says_goes_nowhere(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login owner password elsewhere\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with somebody(answer("200 OK", b'{"token": "abc"}')) as (url, requests):
        log_in(url)
    assert b"Authorization" not in requests[0]


def test_the_authorities_of_the_system_are_trusted(monkeypatch, tmp_path):
    authority = Authority(tmp_path)
    front = authority.vouch("backend", "IP:127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate.cert))  # as OpenSSL has it
    with (
        somebody(answer("200 OK", b'{"token": "abc"}')) as (url, _),
        TlsFront(int(url.rpartition(":")[2]), front) as tls,
    ):
        assert log_in(f"https://127.0.0.1:{tls.port}") == "abc"


def test_who_is_trusted_is_not_for_the_environment_to_say(monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "anybody.pem"))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path / "anybody.pem"))
    asked = []
    monkeypatch.setattr(
        requests.adapters.HTTPAdapter, "cert_verify", lambda *given: asked.append(given[3])
    )
    trust_store = TrustStore()
    for ca_file in (None, tmp_path / "ours.pem"):
        trust_store.ca_file = ca_file
        with contextlib.suppress(ConnectFailed):
            asyncio.run(Login("https://127.0.0.1:9", "open sesame", 2.0, trust_store).token())
    assert asked == [ssl.get_default_verify_paths().cafile, str(tmp_path / "ours.pem")]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer("401 Unauthorized", b"<html>no"), Rejected),
        (answer("500 Internal Server Error", b"<html>"), ConnectFailed),
        (answer("502 Bad Gateway"), ConnectFailed),
        (answer("302 Found", b"", "Location: http://127.0.0.1:9/"), RemoteProtocolError),
        (answer("307 Temporary Redirect", b"", "Location: /"), RemoteProtocolError),
        (answer("400 Bad Request", b'{"token": "abc"}'), RemoteProtocolError),
        (answer("404 Not Found", b'{"token": "abc"}'), NoLogin),
        (answer("405 Method Not Allowed"), NoLogin),
        (answer("426 Upgrade Required"), NoLogin),
        (answer("501 Unsupported method"), NoLogin),
        (answer("200 OK", b"<html>hello"), RemoteProtocolError),
        (answer("200 OK", b"x" * (MAX_BODY_BYTES + 1)), RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", ConnectFailed),
        (b"\x00\x01SSH-2.0-nobody\r\n\r\n", ConnectFailed),
        (b"", ConnectFailed),
    ],
)
def test_what_else_may_answer(reply, error):
    with somebody(reply) as (url, requests), pytest.raises(error) as raised:
        log_in(url)
    assert len(requests) == 1, "the password goes out once"
    assert "sesame" not in str(raised.value)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"H", b"TTP/1.1 200 OK\r\n"] + 40 * [b"X: y\r\n"],
        [b"HTTP/1.1 200 OK\r\n\r\n"] + 40 * [b" "],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"] + 40 * [b"1\r\n \r\n"],
    ],
)
def test_an_answer_that_does_not_end(pieces):
    with somebody(*pieces, pause_s=0.1) as (url, _):
        before = time.monotonic()
        with pytest.raises(ConnectFailed, match=r"no login within|did not end"):
            log_in(url, deadline_s=0.5)
        assert time.monotonic() - before < 3.0, "the whole of it takes four seconds"
    join_logins()
    assert login_threads() == [], "an abandoned thread ends with its socket"


def test_nobody_is_there():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectFailed, match="connection refused"):
        log_in(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("url", ["nonsense", "http://", "http://[::1", "ftp://127.0.0.1"])
def test_an_address_that_is_none(url):
    with pytest.raises(ConnectFailed):
        log_in(url)


def test_logins_that_hang_are_abandoned_and_counted(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(10) and [])

    async def scene():
        login = Login("http://backend.invalid", "open sesame", 0.05)
        for _ in range(MAX_ABANDONED):
            with pytest.raises(ConnectFailed, match="no login within"):
                await login.token()
        with pytest.raises(ConnectFailed, match="still hang"):
            await login.token()
        assert len(login_threads()) == MAX_ABANDONED
        release.set()
        join_logins()
        with pytest.raises(ConnectFailed, match=r"login failed|no login within"):
            await login.token()

    asyncio.run(scene())


def test_a_stop_does_not_wait_for_a_login_that_hangs(monkeypatch):
    asked, release = threading.Event(), threading.Event()

    def hang(*_arguments, **_options):
        asked.set()
        release.wait(10)
        raise OSError

    async def scene():
        asking = asyncio.create_task(Login("http://127.0.0.1:9", "open sesame", 10.0).token())
        assert await asyncio.to_thread(asked.wait, 10)
        before = time.monotonic()
        asking.cancel()
        await asyncio.wait({asking})
        assert asking.cancelled()
        assert time.monotonic() - before < 0.5
        assert len(login_threads()) == 1
        release.set()

    monkeypatch.setattr(requests, "post", hang)
    asyncio.run(scene())
    join_logins()


NO_TOKENS = ("", 7, None, "x" * 8193, "line\nbreak", "é")


@pytest.mark.parametrize(
    "body",
    [
        *(json.dumps({"token": token}).encode() for token in NO_TOKENS),
        *(b"{}", b"[]", b'"token"'),
        *(b"", b"\xff\xfe", b"[" * 60_000, b'{"token": "a"'),
    ],
)
def test_an_answer_without_a_token_is_refused(body):
    with pytest.raises(RemoteProtocolError):
        read_token(body)


@pytest.mark.parametrize(
    ("called", "error", "match"),
    [
        (
            "urllib3.util.connection.create_connection",
            ConnectionResetError(errno.ECONNRESET, "reset"),
            "connection reset by peer",
        ),
        ("requests.post", AttributeError("s3cret"), r"^login failed: AttributeError$"),
    ],
)
def test_an_error_of_a_library_is_a_failure_like_others(monkeypatch, called, error, match):
    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr(called, fail)
    with pytest.raises(ConnectFailed, match=match):
        log_in("http://127.0.0.1:9")
