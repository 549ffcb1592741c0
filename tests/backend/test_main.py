"""The program ``jarvis-backend``, started as such."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

import jarvis_backend
from jarvis_backend import __main__ as program

SOON_S = 60
"""A deadline for what takes a second: with three programs for each core a start took 20."""


def environment(**extra):
    source = Path(jarvis_backend.__file__).parents[1]
    return {"PYTHONPATH": str(source), "PATH": os.environ["PATH"], **extra}


@pytest.fixture
def start():
    """Start programs; whatever still runs at the end is killed."""
    running = []

    def begin(*arguments, **extra):
        one = subprocess.Popen(
            [sys.executable, "-m", "jarvis_backend", *arguments],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(**extra),
        )
        running.append(one)
        return one

    yield begin
    for one in running:
        one.kill()
        one.communicate(timeout=SOON_S)


def told(one, pattern):
    """Read what it says until ``pattern``, within a deadline."""
    deadline = threading.Timer(SOON_S, one.kill)
    deadline.start()
    try:
        for line in one.stderr:
            if found := re.search(pattern, line):
                return found
        pytest.fail(f"it never said {pattern!r}")
    finally:
        deadline.cancel()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(start, number):
    one = start("--port", "0", JARVIS_PASSWORD="geheim")
    url = told(one, r"listening on (http://127\.0\.0\.1:\d+)")[1]
    assert requests.get(f"{url}/health", timeout=SOON_S).json() == {"status": "healthy"}
    login = {"password": "geheim"}
    assert requests.post(f"{url}/api/auth/login", json=login, timeout=SOON_S).status_code == 200
    one.send_signal(number)
    assert one.wait(SOON_S) == 0
    rest = one.stderr.read()
    assert "stopped" in rest
    assert "Traceback" not in rest
    assert "geheim" not in rest


@pytest.mark.long
def test_it_stops_within_two_seconds(start):
    one = start("--port", "0")
    told(one, "listening on")
    asked = time.monotonic()
    one.terminate()
    assert one.wait(SOON_S) == 0
    assert time.monotonic() - asked < 2


def test_a_port_that_is_taken_is_one_line_and_69(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        one = start("--port", str(taken.getsockname()[1]))
        _, said = one.communicate(timeout=SOON_S)
    assert one.returncode == 69
    assert re.fullmatch(r"jarvis-backend: cannot listen on 127\.0\.0\.1:\d+: .*\n", said)


def test_a_bad_option_is_one_line_and_78(capsys):
    assert program.main(["--port", "x"]) == 78
    assert re.fullmatch("jarvis-backend: port: .*\n", capsys.readouterr().err)


def test_the_help_is_no_error():
    with pytest.raises(SystemExit) as ended:
        program.main(["--help"])
    assert ended.value.code == 0


@pytest.mark.parametrize(
    ("options", "warnings"),
    [
        ({"host": "127.0.0.1"}, 0),
        ({"host": "::1"}, 0),
        ({"host": "localhost"}, 0),
        ({"host": "0.0.0.0", "insecure_password": True}, 2),  # noqa: S104 - configured, never bound here
        ({"host": "192.168.1.2"}, 1),
        ({"host": "0.0.0.0", "password": "geheim"}, 1),  # noqa: S104 - configured, never bound here
    ],
)
def test_an_open_door_is_warned_about(caplog, options, warnings):
    program._warn_if_open(program.BackendConfig(**options))
    assert len(caplog.records) == warnings
    assert ("insecure" in caplog.text) is (warnings == 2)


@pytest.mark.parametrize("password", [None, "jarvis", "1234567"])
def test_a_password_that_anybody_guesses_is_not_for_other_machines(start, password):
    words = {} if password is None else {"JARVIS_PASSWORD": password}
    one = start("--host", "0.0.0.0", "--port", "0", **words)  # noqa: S104 - refused
    _, said = one.communicate(timeout=SOON_S)
    assert one.returncode == 78
    assert re.fullmatch(
        r"jarvis-backend: password: .* JARVIS_PASSWORD .* --insecure-password if you insist\n", said
    )
    assert password is None or password == "jarvis" or password not in said


def test_who_insists_may_listen_with_any_password(start):
    one = start("--host", "0.0.0.0", "--port", "0", "--insecure-password")  # noqa: S104 - a test
    told(one, "anybody guesses")
    url = told(one, r"listening on (http://127\.0\.0\.1:\d+)")[1]
    login = {"password": "jarvis"}
    assert requests.post(f"{url}/api/auth/login", json=login, timeout=SOON_S).status_code == 200
