"""`jarvis-ear console` as a process."""

import re
import signal
import socket
import stat
import threading
import time
import urllib.request
from pathlib import Path

import pytest

WITHOUT_BROWSER = "start it without --open, and open the address that it prints"


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
        _, err = process.communicate(timeout=10)
        assert process.returncode == 0
    assert re.search(rf"^opens http://127.0.0.1:[0-9]+/console with {browser}$", err, re.MULTILINE)
    assert token not in err
    assert not page.exists()


def test_a_browser_that_fails_is_told(run_console, tmp_path):
    with run_console(tmp_path, "--open", "--port", "0", BROWSER="false %s") as process:
        lines = iter(process.stderr.readline, "")
        said = next(line for line in lines if "ended" in line)
        assert said == "false ended with status 1: open the address above yourself\n"


@pytest.mark.parametrize(
    ("browser", "reason"),
    [
        ("", "no browser is found, or there is no display"),
        ("no-such-browser %s", "the browser no-such-browser ($BROWSER) is not installed"),
        ("w3m", "the only browser, w3m, runs no scripts"),
    ],
)
def test_without_a_browser_nothing_is_served(run_console, tmp_path, browser, reason):
    (tmp_path / "w3m").write_text("#!/bin/sh\n")
    (tmp_path / "w3m").chmod(0o755)
    environ = {"PATH": str(tmp_path), "DISPLAY": "", "WAYLAND_DISPLAY": "", "BROWSER": browser}
    if not browser:
        (tmp_path / "w3m").unlink()
    with run_console(tmp_path, "--open", "--port", "0", **environ) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (69, "")
    assert err == f"jarvis-ear: {reason}: {WITHOUT_BROWSER}\n"
