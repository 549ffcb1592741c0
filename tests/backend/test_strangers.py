"""The real program against clients that nobody knows: they cost little, and lock nobody out."""

import itertools
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests

import jarvis_backend
from fakes.engines import scripted
from jarvis_backend import http_protocol
from jarvis_backend import server as server_module
from jarvis_backend.connections import Connections
from jarvis_backend.http_protocol import BODY_S, HEADER_S

FLOOD = 1150
"""More than the open files of a program that nobody gave more."""

FLOODER = "127.0.0.9"
HALF = b"POST /api/auth/login HTTP/1.1\r\nHost: loc"
BODILESS = (
    b"POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100\r\n\r\n"
)
HOST = b"Host: 127.0.0.1\r\n"
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
ASK = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
SOCKET_IO = b"/socket.io/?EIO=4&transport=websocket"
POLLING = b"/socket.io/?EIO=4&transport=polling"


class Program:
    """``jarvis-backend`` on a free port, with its log in a file."""

    def __init__(self, log, *arguments):
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jarvis_backend", "--port=0", "--companion", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env={
                    "PYTHONPATH": str(Path(jarvis_backend.__file__).parents[1]),
                    "PATH": os.environ["PATH"],
                    "JARVIS_BACKEND_STT__ENGINE": "none",
                },
                preexec_fn=few_files,  # noqa: PLW1509 - no thread of the tests holds a lock here
            )
        self.url = self.process.stdout.readline().strip()
        self.address = ("127.0.0.1", int(self.url.rpartition(":")[2]))

    def connect(self, source="127.0.0.1"):
        return socket.create_connection(self.address, timeout=60, source_address=(source, 0))

    def ask(self, request):
        """Send ``request``, and return the status line of the answer; empty if there is none."""
        with self.connect() as line:
            line.sendall(request)
            return first_line(line)

    def log_in(self):
        login = {"password": "jarvis"}
        return requests.post(f"{self.url}/api/auth/login", json=login, timeout=60).status_code

    def end(self):
        self.process.terminate()
        self.process.communicate(timeout=60)
        return self.log.read_text()


def few_files():
    """As many as a service has by default."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))


def first_line(line):
    try:
        return line.recv(200).split(b"\r\n")[0]
    except ConnectionResetError:
        return b""


@pytest.fixture(scope="module", autouse=True)
def many_files():
    """The tests hold all their connections at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """One program for all tests that only look at what it answers."""
    one = Program(tmp_path_factory.mktemp("program") / "log")
    yield one
    one.process.kill()
    one.process.communicate(timeout=60)


@pytest.fixture
def fresh(tmp_path):
    """A program of one's own, whose log is looked at."""
    one = Program(tmp_path / "log")
    yield one
    one.process.kill()
    one.process.communicate(timeout=60)


def flood(program, request, source):
    lines = []
    for _ in range(FLOOD):
        lines.append(program.connect(source))
        with suppress(OSError):  # it had to make room already
            lines[-1].sendall(request)
    return lines


@pytest.mark.parametrize("request_", [b"", HALF, BODILESS], ids=["nothing", "header", "body"])
@pytest.mark.parametrize("source", [FLOODER, "127.0.0.1"], ids=["elsewhere", "same-address"])
def test_half_written_requests_lock_nobody_out_and_fill_no_log(fresh, request_, source):
    lines = flood(fresh, request_, source)
    assert [fresh.log_in() for _ in range(5)] == [200] * 5
    for line in lines:
        line.close()
    said = fresh.end()
    assert "connections are open" in said
    assert "left out for a minute" in said
    assert "Traceback" not in said
    assert len(said) < 5_000


def given_up(connect, request):
    """Return after how long a connection that says ``request`` and no more is closed."""
    began = time.monotonic()
    with connect() as line:
        line.sendall(request)
        assert first_line(line) == b""
    return time.monotonic() - began


def given_up_dripping(connect, every_s):
    """The same for one that was answered once, and asks for ever then, byte by byte."""
    stopped = threading.Event()
    with connect() as line:
        line.sendall(ASK)
        assert first_line(line) == b"HTTP/1.1 200 OK"
        began = time.monotonic()

        def drip():
            with suppress(OSError):
                for byte in itertools.chain(ASK[:-2], itertools.repeat(ord("x"))):
                    if stopped.wait(every_s):
                        return
                    line.send(bytes([byte]))

        dripping = threading.Thread(target=drip)
        dripping.start()
        while first_line(line):
            pass
        took = time.monotonic() - began
        stopped.set()
        dripping.join()
    return took


@pytest.mark.long
@pytest.mark.parametrize(
    ("request_", "most_s"), [(b"", HEADER_S), (HALF, HEADER_S), (BODILESS, BODY_S)]
)
def test_who_does_not_finish_a_request_is_given_up(program, request_, most_s):
    assert most_s - 0.5 < given_up(program.connect, request_) < most_s + 10


@pytest.mark.long
def test_drop_by_drop_is_not_longer(program):
    assert given_up_dripping(program.connect, 0.3) < HEADER_S + 10


@pytest.fixture
def hasty(serve, monkeypatch):
    """Connect to a server in this process whose deadlines are short."""
    monkeypatch.setattr(http_protocol, "HEADER_S", 0.3)
    monkeypatch.setattr(http_protocol, "BODY_S", 0.6)
    host, port = serve(scripted()).removeprefix("http://").split(":")
    return lambda: socket.create_connection((host, int(port)), timeout=20)


@pytest.mark.parametrize(("request_", "least_s"), [(b"", 0.3), (HALF, 0.3), (BODILESS, 0.6)])
def test_a_deadline_begins_with_what_it_is_for(hasty, request_, least_s):
    assert given_up(hasty, request_) >= least_s - 0.05


def test_neither_drops_nor_an_answer_begin_a_deadline_anew(hasty):
    # At one byte in 50 ms, and with an answer that began it anew, a header of 16 KiB takes minutes.
    assert given_up_dripping(hasty, 0.05) < 20


def test_a_body_that_comes_too_late_for_an_answer_has_a_deadline_too(hasty):
    with hasty() as line:
        line.sendall(b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 100\r\n\r\n{")
        assert first_line(line) == b"HTTP/1.1 404 Not Found"
        while first_line(line):
            pass


def test_a_malformed_body_after_the_answer_is_the_end(hasty, caplog):
    head = b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    with hasty() as line:
        line.sendall(head)
        assert first_line(line) == b"HTTP/1.1 404 Not Found"
        line.sendall(b"zz\r\n")
        while first_line(line):
            pass
    assert "Traceback" not in caplog.text


@pytest.fixture
def paused(monkeypatch):
    """One permit for each time that a server in this process had to stop writing to a client."""
    permits = threading.Semaphore(0)
    pause_writing = http_protocol.HttpProtocol.pause_writing

    def noted(protocol):
        pause_writing(protocol)
        permits.release()

    monkeypatch.setattr(http_protocol.HttpProtocol, "pause_writing", noted)
    return permits


def test_who_does_not_read_makes_room(serve, paused, monkeypatch):
    """A client that asks for pages and reads none keeps its place only while nobody wants it."""
    places = Connections(4, 2)
    monkeypatch.setattr(server_module, "connections_for", lambda _: places)
    url = serve(scripted(), console=True)
    host, port = url.removeprefix("http://").split(":")
    page = b"GET /console HTTP/1.1\r\n" + HOST + b"\r\n"
    with ExitStack() as open_lines:
        lines = [open_lines.enter_context(socket.socket()) for _ in range(2)]
        for line in lines:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.settimeout(20)
            line.connect((host, int(port)))
            line.sendall(page * 500)  # few enough to be sent whole, too many answers for the kernel
            assert paused.acquire(timeout=20), "the kernel took all answers"
        assert requests.get(f"{url}/health", timeout=20).ok
        assert places.refused == 1


def test_a_request_in_two_parts_is_answered(program):
    body = b'{"password": "jarvis"}'
    head = (
        b"POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )
    with program.connect() as line:
        for part in (head[:20], head[20:], body[:5], body[5:], head + body):
            line.sendall(part)
        answers = b""
        while answers.count(b"HTTP/1.1 200 OK") < 2:
            answers += line.recv(4096)


@pytest.mark.parametrize("path", [b"/health", b"/ws/voice", SOCKET_IO])
@pytest.mark.parametrize("upgrade", [b"", UPGRADE], ids=["http", "websocket"])
@pytest.mark.parametrize(
    "headers",
    [
        HOST + b"Origin: http://[\r\n",
        b"Host: xn--\r\n",
        b"Host: \xff\xfe\r\n",
        b"Host: [\r\n",
        b"",
        HOST + b"Content-Length: x\r\n",
        HOST + b"Transfer-Encoding: x\r\n",
    ],
)
def test_a_malformed_header_is_400_or_nothing(program, path, upgrade, headers):
    answer = program.ask(b"GET " + path + b" HTTP/1.1\r\n" + headers + upgrade + b"\r\n")
    # A WebSocket that is not opened has one status for every reason.
    assert re.fullmatch(
        rb"|HTTP/1\.1 (400 Bad Request|501 .*|%s)" % (b"403 " if upgrade else b"-"), answer
    )


def send_nonsense(program, path):
    post = b"POST " + path + b" HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    for _ in range(3):
        with program.connect() as line:
            line.sendall(post + b"Content-Length: 100\r\n\r\n{")  # and leaves in the middle of it
        program.ask(post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
        program.ask(post + b"Content-Length: 2\r\n\r\n\xff\xff")
        program.ask(post + UPGRADE + b"\r\n\xff\xff\xff")
        program.ask(b"GET " + path + b"%ff%00\x80 HTTP/1.1\r\n" + HOST + b"\r\n")
        for header in (b"Sec-WebSocket-Protocol: \xff", b"Sec-WebSocket-Extensions: \xff"):
            program.ask(b"GET /ws/voice HTTP/1.1\r\n" + HOST + UPGRADE + header + b"\r\n\r\n")


def test_no_client_brings_a_traceback_into_the_log(fresh):
    for path in (b"/api/auth/login", b"/api/sessions", POLLING):
        send_nonsense(fresh, path)
        assert fresh.log_in() == 200
    assert "Traceback" not in fresh.end()
