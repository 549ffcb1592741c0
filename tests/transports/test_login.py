"""The login against whatever may answer on that port."""

import asyncio
import contextlib
import errno
import json
import socket
import threading
import time

import pytest
import requests

from jarvis_ear.errors import ConnectFailed, Rejected, RemoteProtocolError
from jarvis_ear.transports.cuttable import CuttableAdapter
from jarvis_ear.transports.login import MAX_BODY_BYTES, Login, read_token


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


def log_in(url, deadline_s=2.0):
    return asyncio.run(Login(url, "open sesame", deadline_s).token())


def test_a_password_for_a_token(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with somebody(answer("200 OK", b'{"token": "abc", "expiresIn": "7d"}')) as (url, requests):
        assert log_in(url) == "abc"
    assert requests[0].startswith(b"POST /api/auth/login HTTP/1.1")
    assert requests[0].endswith(b'{"password": "open sesame"}')
    assert b"application/json" in requests[0]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer("401 Unauthorized", b"<html>no"), Rejected),
        (answer("500 Internal Server Error", b"<html>"), ConnectFailed),
        (answer("502 Bad Gateway"), ConnectFailed),
        (answer("302 Found", b"", "Location: http://127.0.0.1:9/"), RemoteProtocolError),
        (answer("307 Temporary Redirect", b"", "Location: /"), RemoteProtocolError),
        (answer("404 Not Found", b'{"token": "abc"}'), RemoteProtocolError),
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
        assert [each.name for each in threading.enumerate() if "login" in each.name] == []


def test_nobody_is_there():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectFailed, match="connection refused"):
        log_in(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("url", ["nonsense", "http://", "http://[::1", "ftp://127.0.0.1"])
def test_an_address_that_is_none(url):
    with pytest.raises(ConnectFailed):
        log_in(url)


def test_one_login_at_a_time(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(10) and [])

    async def twice():
        login = Login("http://backend.invalid", "open sesame", 0.05)
        with pytest.raises(ConnectFailed, match="no login within"):
            await login.token()
        with pytest.raises(ConnectFailed, match="still looking"):
            await login.token()
        release.set()

    asyncio.run(twice())


@pytest.mark.parametrize(
    "body",
    [
        {"token": ""},
        {"token": 7},
        {"token": None},
        {"token": "x" * 8193},
        {"token": "line\nbreak"},
        {"token": "é"},
        {},
        [],
        "token",
    ],
)
def test_tokens_that_are_none(body):
    with pytest.raises(RemoteProtocolError):
        read_token(json.dumps(body).encode())


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 60_000, b'{"token": "a"'])
def test_answers_that_are_no_json(body):
    with pytest.raises(RemoteProtocolError):
        read_token(body)


def test_a_reset_while_connecting_is_a_failure_like_others(monkeypatch):
    def reset(_adapter, _connection):
        raise ConnectionResetError(errno.ECONNRESET, "reset")

    monkeypatch.setattr(CuttableAdapter, "_dial", reset)
    with pytest.raises(ConnectFailed, match="connection reset by peer"):
        log_in("http://127.0.0.1:9")


def test_whatever_a_library_raises_is_a_failure_like_others(monkeypatch):
    def stumble(*_arguments, **_options):
        raise AttributeError("s3cret")

    monkeypatch.setattr(requests.Session, "post", stumble)
    with pytest.raises(ConnectFailed, match=r"^login failed: AttributeError$"):
        log_in("http://127.0.0.1:9")
