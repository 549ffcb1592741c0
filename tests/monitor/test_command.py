"""`jarvis-ear monitor` as a process: on a terminal, on a dumb one, and into a pipe."""

import json
import os
import pty
import select
import signal
import termios
import time
from contextlib import contextmanager
from subprocess import PIPE, Popen

import pytest

from fakes.ear_feed import FeedingEar
from fakes.program import VERB

SOON_S = 20.0
ENTERS, LEAVES, SHOWS_CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"


@pytest.fixture
def environ(tmp_path):
    plain = {"RUNTIME_DIRECTORY": str(tmp_path), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
    return {**os.environ, **plain, "COLUMNS": "80", "LINES": "24"}


class Terminal:
    """A terminal with the program in it, as far as it is read."""

    def __init__(self, master: int, process: Popen):
        self.master = master
        self.process = process
        self.read = ""

    def until(self, words: str) -> None:
        """Read on until the words are there."""
        deadline = time.monotonic() + SOON_S
        while words not in self.read:
            assert time.monotonic() < deadline, self.read[-2000:]
            if select.select([self.master], [], [], 1.0)[0]:
                self.read += os.read(self.master, 65536).decode()

    def forget(self) -> None:
        self.read = ""


@contextmanager
def terminal(environ):
    master, slave = pty.openpty()
    streams = {"stdin": slave, "stdout": slave, "stderr": slave}
    with Popen([*VERB, "monitor"], **streams, env=environ, start_new_session=True) as process:
        try:
            yield Terminal(master, process)
        finally:
            process.kill()
            os.close(slave)
            os.close(master)


def test_a_terminal_shows_the_ear_through_its_restart_and_is_left_clean(tmp_path, environ):
    with terminal(environ) as screen:
        before = termios.tcgetattr(screen.master)
        screen.until("no ear: it is not running")
        assert ENTERS in screen.read
        with FeedingEar(tmp_path) as ear:
            screen.until("waits for the wake word")
            ear.mute("owner", until="13:40")
            screen.until("muted by you until 13:40")
        screen.forget()
        screen.until("no ear: ")
        with FeedingEar(tmp_path):
            screen.until("waits for the wake word")
            screen.until("the ear once")
        screen.process.send_signal(signal.SIGINT)
        screen.until(LEAVES)
        screen.until(SHOWS_CURSOR)
        assert screen.process.wait(SOON_S) == 0
        assert termios.tcgetattr(screen.master) == before
        assert "Traceback" not in screen.read


def test_a_dumb_terminal_gets_lines_without_any_control(tmp_path, environ):
    with FeedingEar(tmp_path) as ear, terminal(environ | {"TERM": "dumb"}) as screen:
        screen.until("watching the ear")
        ear.state("deaf", "the microphone is gone")
        screen.until("state: deaf: no sound from the microphone")
        screen.process.send_signal(signal.SIGTERM)
        assert screen.process.wait(SOON_S) == 0
        assert "\x1b" not in screen.read


def test_json_is_the_feed_and_ends_with_its_reader(tmp_path, environ):
    with (
        FeedingEar(tmp_path),
        Popen([*VERB, "monitor", "--json"], stdout=PIPE, env=environ) as process,
    ):
        lines = iter(process.stdout.readline, b"")
        snapshot = next(
            line for line in map(json.loads, lines) if "about" in line.get("snapshot", {})
        )
        assert snapshot["snapshot"]["ear"] == {"up": True}
        assert "sound" in dict(next(json.loads(line)["deltas"] for line in lines))
        process.stdout.close()
        assert process.wait(SOON_S) == 141
