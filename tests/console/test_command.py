"""`jarvis-ear console` as a process."""

import signal
import socket
import stat
import threading
import time
import urllib.request
from pathlib import Path


def test_a_console_prints_its_address_once_and_ends_at_a_signal(run_console, tmp_path):
    with run_console(tmp_path, "--port", "0") as process:
        page, _, token = process.stdout.readline().strip().partition("#token=")
        assert page.startswith("http://127.0.0.1:")
        assert len(token) >= 43  # 256 bits
        with urllib.request.urlopen(page, timeout=10) as answer:
            assert b"<title>Jarvis</title>" in answer.read()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, "")
    assert token not in err
    assert err == "no ear to show: it is not running\n"


def test_a_port_in_use_and_an_unknown_option_are_clear_errors(run_console, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        for options, status, words in (
            (("--port", port), 1, ["cannot listen on 127.0.0.1:", "expected a free port"]),
            (("--prot", "1"), 78, []),
        ):
            with run_console(tmp_path, *options) as process:
                _, err = process.communicate(timeout=20)
            assert process.returncode == status
            assert all(each in err for each in words)
            assert "Traceback" not in err


def test_the_browser_opens_it_without_the_token_in_any_argument(run_console, tmp_path):
    opened, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" > {opened}.new && mv {opened}.new {opened}\n')
    browser.chmod(0o755)
    page = tmp_path / "console.html"
    options = ("--open", "--port", "0")
    with run_console(tmp_path, *options, BROWSER=f"{browser} %s") as process:
        token = process.stdout.readline().strip().partition("#token=")[2]
        deadline = time.monotonic() + 10
        while not opened.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)
        assert opened.read_text().strip() == page.as_uri()
        assert token in page.read_text()
        assert stat.S_IMODE(page.stat().st_mode) == 0o600
        assert token not in Path(f"/proc/{process.pid}/cmdline").read_text()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert not page.exists()
