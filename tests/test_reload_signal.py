import os
import signal

import pytest

from jarvis_ear import process
from jarvis_ear.process import ReloadSignal


@pytest.fixture
def before():
    former = signal.getsignal(signal.SIGHUP)
    yield former
    signal.signal(signal.SIGHUP, former)


def test_it_is_noted_once_per_look(before, monkeypatch, tmp_path):
    monkeypatch.setattr(process, "TERMINAL", str(tmp_path / "none"))
    with ReloadSignal() as asked:
        assert not asked.take()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
        assert asked.take()
        assert not asked.take()
    os.kill(os.getpid(), signal.SIGHUP)  # one that comes while the program ends


def test_on_a_terminal_it_ends_the_program_as_ever(before, monkeypatch, tmp_path):
    terminal = tmp_path / "tty"
    terminal.touch()
    monkeypatch.setattr(process, "TERMINAL", str(terminal))
    with ReloadSignal():
        assert signal.getsignal(signal.SIGHUP) is before
