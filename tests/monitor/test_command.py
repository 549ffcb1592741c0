"""`jarvis-ear monitor` as a process: on a terminal, on a dumb one, and into a pipe."""

import json
import os
import pty
import select
import signal
import termios
import time
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from fakes.ear_feed import FeedingEar
from fakes.program import VERB
from jarvis_ear import cli
from jarvis_ear.errors import MicrophoneBusy
from jarvis_ear.monitor import local_ear

RECORDING = Path(__file__).parents[1] / "data" / "hey-jarvis-what-time-is-it.wav"
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
def terminal(environ, *words):
    master, slave = pty.openpty()
    streams = {"stdin": slave, "stdout": slave, "stderr": slave}
    command = [*VERB, "monitor", *map(str, words)]
    with Popen(command, **streams, env=environ, start_new_session=True) as process:
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


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_pipe_does_not_wait_for_an_ear(environ, words):
    with local(environ, *words) as process:
        said, why = process.communicate(timeout=SOON_S)
    assert (process.returncode, said) == (2, b"")
    assert why == b"jarvis-ear: no ear is running (for this user)\n"


def local(environ, *words):
    return Popen([*VERB, "monitor", *map(str, words)], stdout=PIPE, stderr=PIPE, env=environ)


def test_a_sound_file_is_heard_here_and_nothing_is_kept(tmp_path, environ):
    folders = {f"XDG_{name}_HOME": str(tmp_path / name) for name in ("STATE", "CONFIG", "CACHE")}
    with local(environ | folders, RECORDING) as process:
        out, err = process.communicate(timeout=SOON_S)
    lines = [line.split(maxsplit=1)[1] for line in out.decode().splitlines()]
    assert lines[0] == "watching the ear"
    assert "state: hearing: hears an utterance" in lines
    last = sorted(lines[-2:])  # one look may find both
    assert last[0] == "state: hearing: waits for the wake word"
    assert last[1].startswith("turn dropped (nothing is sent), score 0.9")
    assert (process.returncode, err) == (0, b"")
    assert [*tmp_path.iterdir()] == []


def test_a_terminal_keeps_the_last_screen_of_a_file(environ):
    with terminal(environ, RECORDING) as screen:
        screen.until(RECORDING.name)
        screen.until("this ear is for looking at only")
        screen.until(LEAVES)
        assert screen.process.wait(SOON_S) == 0
        while select.select([screen.master], [], [], 0)[0]:
            screen.read += os.read(screen.master, 65536).decode()
        assert "dropped (nothing is sent), score 0.9" in screen.read.rpartition(LEAVES)[2]


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (("/none.wav",), 66, "/none.wav cannot be read"),
        ((__file__,), 66, "is not a WAV file"),
        ((RECORDING, "--threshold", "7"), 78, 'given "7"'),
        (("a.wav", "b.wav"), 64, "expected at most one FILE"),
    ],
)
def test_a_mistake_is_one_line_and_no_screen(environ, words, status, why):
    with local(environ, *words) as process:
        out, err = process.communicate(timeout=SOON_S)
    assert (process.returncode, out) == (status, b"")
    assert why in err.decode()
    assert err.count(b"\n") == 1


def test_a_microphone_that_the_running_ear_holds_is_named(monkeypatch, capsys):
    class Held:
        def open(self):
            raise MicrophoneBusy("microphone 'usb' is held by jarvis-ear")

        def close(self):
            pass

    monkeypatch.setattr(local_ear, "make_source", lambda _options: Held())
    monkeypatch.setattr(local_ear, "check_source", lambda _options, **_: None)
    assert cli.main(["monitor", "--device", "usb"]) == 69
    said = capsys.readouterr()
    assert "held by jarvis-ear; jarvis-ear monitor alone shows the running ear" in said.err
    assert said.out == ""
