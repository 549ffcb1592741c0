"""`jarvis-ear console` as a process."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest


@pytest.fixture
def console(tmp_path):
    started = []

    def start(*options: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "jarvis_ear", "console", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "RUNTIME_DIRECTORY": str(tmp_path), **environment},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_it_prints_its_address_once_and_ends_at_a_signal(console):
    process = console("--port", "0")
    address = process.stdout.readline().strip()
    page, _, token = address.partition("#token=")
    assert page.startswith("http://127.0.0.1:")
    assert len(token) >= 43  # 256 bits
    with urllib.request.urlopen(page, timeout=10) as answer:
        assert b"<title>Jarvis</title>" in answer.read()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, "")
    assert token not in err
    assert err == "no ear to show: it is not running\n"


def test_a_port_in_use_is_one_clear_error(console):
    with socket.create_server(("127.0.0.1", 0)) as other:
        process = console("--port", str(other.getsockname()[1]))
        _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "cannot listen on 127.0.0.1:" in err
    assert "expected a free port" in err
    assert "Traceback" not in err


def test_the_browser_opens_it_without_the_token_in_any_argument(console, tmp_path):
    said = tmp_path / "said"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" > {said}.new && mv {said}.new {said}\n')
    browser.chmod(0o755)
    process = console("--open", "--port", "0", BROWSER=f"{browser} %s")
    token = process.stdout.readline().strip().partition("#token=")[2]
    page = tmp_path / "console.html"
    deadline = 1000
    while not said.exists() and deadline:
        deadline -= 1
        assert process.poll() is None
        threading.Event().wait(0.01)
    assert said.read_text().strip() == page.as_uri()
    assert token in page.read_text()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert token not in Path(f"/proc/{process.pid}/cmdline").read_text()
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert not page.exists()


def test_an_unknown_option_is_reported(console):
    process = console("--prot", "1")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 78
    assert "Traceback" not in err
