"""The doctor asks servers of every kind: good ones, wrong ones, and ones that do not answer."""

import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fakes.tls import Authority, TlsFront
from jarvis_ear.backend import session_of
from jarvis_ear.config import BackendOptions, Config
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.doctor.backend_checks import backend_results

PASSWORD = "canary-password"


def examined(url, report=None, *, knows_password=True, **options):
    """Every line about a backend, by its check, as grade and status."""
    backend = BackendOptions(url=url, **{"password": "jarvis", "connect_s": 2, **options})
    session = session_of(backend, Timing())
    lines = backend_results(Config(backend=backend), session, report, knows_password=knows_password)
    return {line.check: line for results in lines for line in results}


def graded(lines):
    return {check: (str(line.grade), line.exit_status) for check, line in lines.items()}


@pytest.mark.parametrize("protocol", ["socketio", "voice-ws", "session", "realtime"])
def test_a_good_backend_is_fine_on_every_wire(real_backend, protocol):
    lines = examined(real_backend, protocol=protocol)
    assert {check for check, line in lines.items() if line.grade in ("fail", "warn")} == set()
    assert str(lines["wire"].grade) == str(lines["ping"].grade) == "ok"
    asks = protocol in ("socketio", "realtime")
    assert (str(lines["login"].grade) == "ok") is asks


class Answers(BaseHTTPRequestHandler):
    """Answers every login with one status, and notes it."""

    def do_POST(self):
        self.server.asked.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.status)
        self.send_header("Retry-After", "30")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self):
        self.server.asked.append(self.path)
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_):
        """Be silent."""


@contextmanager
def answering(status):
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.status, server.asked = status, []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", server.asked
        server.shutdown()


@pytest.mark.parametrize(("status", "expected"), [(401, 77), (429, 75), (500, 76), (302, 76)])
def test_there_is_one_login_whatever_the_answer(status, expected):
    with answering(status) as (url, asked):
        lines = examined(url, password=PASSWORD)
    assert graded(lines)["login"] == ("fail", expected)
    assert [str(lines[each].grade) for each in ("token", "wire", "ping")] == ["skipped"] * 3
    assert asked == ["/", "/api/auth/login"]
    assert PASSWORD not in str(lines)


def test_a_server_that_is_no_backend_fails_at_the_wire():
    with answering(404) as (url, _):
        lines = examined(url)
        given = examined(url, token="opaque")
    assert (str(lines["login"].grade), lines["wire"].exit_status) == ("skipped", 76)
    assert (given["login"].text, str(given["token"].grade)) == ("backend.token is given", "ok")


def test_the_server_of_a_connected_ear_gets_no_login_and_no_link():
    with answering(200) as (url, asked):
        lines = examined(url, {"connected": True, "backend_url": url})
        assert asked == ["/"]
        assert graded(lines)["wire"] == ("ok", 0)
        others = examined(url, {"connected": False, "backend_url": url}, knows_password=False)
        assert asked == ["/", "/"]
    assert "sudo jarvis-ear doctor" in others["login"].text


def test_a_server_that_never_answers_ends_the_checks_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lines = examined(f"http://127.0.0.1:{silent.getsockname()[1]}", connect_s=0.5)
    assert graded(lines)["tcp"] == ("ok", 0)
    assert str(lines["clock"].grade) == "skipped"
    assert graded(lines)["login"] == ("fail", 69)


def test_a_name_and_a_port_that_lead_nowhere():
    nowhere = examined("http://nowhere.invalid:4000", allow_plaintext=True)
    assert graded(nowhere)["dns"][0] == "fail"
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    refused = examined(f"http://127.0.0.1:{port}")
    assert graded(refused)["tcp"] == ("fail", 69)
    assert "connection refused" in refused["tcp"].text
    assert str(refused["wire"].grade) == "skipped"


HERE = "IP:127.0.0.1"


@pytest.mark.parametrize(
    ("host", "days", "is_known", "fix"),
    [
        (HERE, 90, True, ""),
        (HERE, 3, True, "renew the certificate of the backend now"),
        (HERE, -1, True, "renew its certificate"),
        ("DNS:elsewhere.example", 90, True, "use the name that its certificate has"),
        (HERE, 90, False, "give the certificate of its authority as backend.ca_file"),
    ],
)
def test_a_certificate(tls, host, days, is_known, fix):
    lines = tls(host, days=days, is_known=is_known)
    assert lines["tls"].fix.startswith(fix)
    works = days > 0 and is_known and host == HERE
    assert str(lines["wire"].grade) == ("ok" if works else "skipped")
    assert lines["tls"].exit_status == (0 if works else 76)
    assert bool(fix) is (lines["tls"].grade != "ok")


@pytest.fixture
def tls(real_backend, tmp_path):
    """Examine the backend behind a certificate."""
    authority = Authority(tmp_path)

    def examine(host, *, days, is_known):
        certificate = authority.vouch("server", host, days=days)
        with TlsFront(int(real_backend.rpartition(":")[2]), certificate) as front:
            ca_file = authority.certificate.cert if is_known else None
            return examined(f"https://127.0.0.1:{front.port}", ca_file=ca_file)

    return examine


def test_a_plain_port_behind_https_is_explained(real_backend):
    lines = examined(real_backend.replace("http:", "https:"))
    assert graded(lines)["tls"] == ("fail", 76)
    assert "does that port speak TLS?" in lines["tls"].fix


def test_a_backend_that_runs_with_the_ear_or_is_not_valid_is_not_asked():
    own = backend_results(Config(with_backend=True), None, None, knows_password=True)
    assert {str(line.grade) for part in own for line in part} == {"skipped"}
    config = Config(backend=BackendOptions(url="http://127.0.0.1:9"))
    parts = list(backend_results(config, None, None, knows_password=True))
    assert {line.text for line in parts[-1]} == {"the configuration of the backend has a mistake"}
