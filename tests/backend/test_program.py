"""The program ``jarvis-backend``: how it starts and ends, and clients that are slow or hostile."""

import itertools
import os
import re
import resource
import signal
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

SOON_S = 60
"""A deadline for what takes a second: with three programs for each core a start took 20."""

FLOOD = 1150
"""More than the open files of a program by default."""

HALF = b"POST /api/auth/login HTTP/1.1\r\nHost: loc"
HOST = b"Host: 127.0.0.1\r\n"
LOGIN = b"POST /api/auth/login HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
BODILESS = LOGIN + b"Content-Length: 100\r\n\r\n"
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
ASK = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
SOCKET_IO = b"/socket.io/?EIO=4&transport=websocket"


class Program:
    """``jarvis-backend`` with as many open files as a service has by default."""

    def __init__(self, *arguments, **environment):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jarvis_backend", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                "PYTHONPATH": str(Path(jarvis_backend.__file__).parents[1]),
                "PATH": os.environ["PATH"],
                "JARVIS_BACKEND_STT__ENGINE": "none",
                **environment,
            },
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)),  # noqa: PLW1509 - no thread of the tests holds a lock here
        )

    def log_until(self, pattern):
        """Read the log up to ``pattern``, with a deadline."""
        deadline = threading.Timer(SOON_S, self.process.kill)
        deadline.start()
        try:
            for line in self.process.stderr:
                if found := re.search(pattern, line):
                    return found
            pytest.fail(f"the log never has {pattern!r}")
        finally:
            deadline.cancel()

    def listen(self):
        """Wait until it listens."""
        self.url = self.log_until(r"listening on (http://127\.0\.0\.1:\d+)")[1]
        return self

    def connect(self, source="127.0.0.1"):
        address = ("127.0.0.1", int(self.url.rpartition(":")[2]))
        return socket.create_connection(address, timeout=SOON_S, source_address=(source, 0))

    def ask(self, request):
        """Send ``request``, and return the status line of the answer; empty if there is none."""
        with self.connect() as line:
            line.sendall(request)
            return first_line(line)

    def log_in(self, password="jarvis"):
        login = {"password": password}
        return requests.post(f"{self.url}/api/auth/login", json=login, timeout=SOON_S).status_code

    def end(self, number=signal.SIGTERM):
        """Stop it, and return its exit status and the rest of its log."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self):
        _, log = self.process.communicate(timeout=SOON_S)
        return self.process.returncode, log


@pytest.fixture(scope="module")
def programs():
    """Start programs; those that still run at the end of the module are killed."""
    running = []

    def start(*arguments, port=0, **environment):
        running.append(Program(f"--port={port}", *arguments, **environment))
        return running[-1]

    yield start
    for one in running:
        one.process.kill()
        one.process.communicate(timeout=SOON_S)


def first_line(line):
    try:
        return line.recv(200).split(b"\r\n")[0]
    except ConnectionResetError:
        return b""


@pytest.fixture(scope="module", autouse=True)
def many_files():
    """Let the tests hold all their connections at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def program(programs):
    """One program for all tests that only look at what it answers."""
    return programs().listen()


@pytest.fixture
def fresh(programs):
    """A program whose whole log belongs to the test."""
    return programs().listen()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_program_serves_until_a_signal(programs, number):
    one = programs(JARVIS_PASSWORD="geheim").listen()
    answer = requests.get(f"{one.url}/health", timeout=SOON_S)
    assert answer.json() == {"status": "healthy"}
    assert one.log_in("geheim") == 200
    status, log = one.end(number)
    assert status == 0
    assert "stopped" in log
    assert "Traceback" not in log
    assert "geheim" not in log


@pytest.mark.long
def test_the_program_stops_within_two_seconds(fresh):
    asked = time.monotonic()
    assert fresh.end()[0] == 0
    assert time.monotonic() - asked < 2


def test_a_port_that_is_taken_is_one_line_and_69(programs):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, log = programs(port=taken.getsockname()[1]).ended()
    assert status == 69
    assert re.fullmatch(r"jarvis-backend: cannot listen on 127\.0\.0\.1:\d+: .*\n", log)


def test_a_weak_password_is_not_for_other_machines(programs):
    weak = {"JARVIS_PASSWORD": "1234567"}
    status, log = programs("--host", "0.0.0.0", **weak).ended()  # noqa: S104 - refused
    assert status == 78
    assert re.fullmatch(
        r"jarvis-backend: password: .* JARVIS_PASSWORD .* --insecure-password to allow it\n", log
    )
    assert "1234567" not in log


def test_with_insecure_password_any_password_is_for_other_machines(programs):
    one = programs("--host", "0.0.0.0", "--insecure-password")  # noqa: S104 - a test
    one.log_until("easy to guess")
    assert one.listen().log_in() == 200


# Clients that are slow or hostile


def flood(program, request, source):
    lines = []
    for _ in range(FLOOD):
        lines.append(program.connect(source))
        with suppress(OSError):  # it had to make room already
            lines[-1].sendall(request)
    return lines


@pytest.mark.parametrize("request_", [b"", HALF, BODILESS], ids=["nothing", "header", "body"])
@pytest.mark.parametrize("source", ["127.0.0.9", "127.0.0.1"], ids=["elsewhere", "same-address"])
def test_half_written_requests_leave_room_and_fill_no_log(fresh, request_, source):
    lines = flood(fresh, request_, source)
    assert [fresh.log_in() for _ in range(5)] == [200] * 5
    for line in lines:
        line.close()
    _, log = fresh.end()
    assert "connections are open" in log
    assert "left out for a minute" in log
    assert "Traceback" not in log
    assert len(log) < 5_000


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
def test_an_unfinished_request_is_given_up(program, request_, most_s):
    assert most_s - 0.5 < given_up(program.connect, request_) < most_s + 10


@pytest.mark.long
def test_a_request_byte_by_byte_has_no_longer_deadline(program):
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


def test_neither_a_byte_nor_an_answer_begins_a_deadline_anew(hasty):
    # At one byte in 50 ms, and with an answer that began it anew, a header of 16 KiB takes minutes.
    assert given_up_dripping(hasty, 0.05) < 20


@pytest.mark.parametrize(
    ("header", "body"),
    [(b"Content-Length: 100", b"{"), (b"Transfer-Encoding: chunked", b"zz\r\n")],
    ids=["unfinished", "malformed"],
)
def test_after_an_answer_the_body_of_the_request_has_its_end_too(hasty, caplog, header, body):
    with hasty() as line:
        line.sendall(b"POST /nowhere HTTP/1.1\r\n" + HOST + header + b"\r\n\r\n")
        assert first_line(line) == b"HTTP/1.1 404 Not Found"
        line.sendall(body)
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


def test_a_client_that_does_not_read_makes_room(serve, paused, monkeypatch):
    """A client that asks for pages and reads none keeps its place only while it is not needed."""
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
    head = LOGIN + b"Content-Length: %d\r\n\r\n" % len(body)
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


def test_nonsense_brings_no_traceback_into_the_log(fresh):
    for path in (b"/api/auth/login", b"/api/sessions", b"/socket.io/?EIO=4&transport=polling"):
        post = b"POST " + path + b" HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
        get = b"GET /ws/voice HTTP/1.1\r\n" + HOST + UPGRADE
        for _ in range(3):
            with fresh.connect() as line:
                line.sendall(post + b"Content-Length: 100\r\n\r\n{")  # and leaves in the middle
            fresh.ask(post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
            fresh.ask(post + b"Content-Length: 2\r\n\r\n\xff\xff")
            fresh.ask(post + UPGRADE + b"\r\n\xff\xff\xff")
            fresh.ask(b"GET " + path + b"%ff%00\x80 HTTP/1.1\r\n" + HOST + b"\r\n")
            for header in (b"Sec-WebSocket-Protocol: \xff", b"Sec-WebSocket-Extensions: \xff"):
                fresh.ask(get + header + b"\r\n\r\n")
        assert fresh.log_in() == 200
    assert "Traceback" not in fresh.end()[1]
