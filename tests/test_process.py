"""What a process passes on, the signals that it obeys, and how its parts stop at the same time."""

import logging
import os
import signal
import threading
from contextlib import contextmanager

import pytest

from jarvis_ear import process
from jarvis_ear.errors import TurnFailed
from jarvis_ear.lifecycle import ConcurrentStop, StopSignal, timed
from jarvis_ear.process import ReloadSignal, inherited


def test_no_other_program_inherits_what_is_meant_for_the_ear_alone():
    inheritable = {"PATH", "ALSA_CONFIG_PATH", "JARVIS_BACKEND_LOG__LEVEL"}
    ours = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY"}
    ours |= {"JARVIS_PASSWORD", "JARVIS_EAR_BUS__KEY"}
    assert set(inherited(dict.fromkeys(inheritable | ours, "value"))) == inheritable


@pytest.mark.parametrize(
    ("environ", "command"),
    [
        ({}, ""),
        ({"SYSTEMD_EXEC_PID": "1", "INVOCATION_ID": "a"}, ""),  # a terminal that a service opened
        ({"SYSTEMD_EXEC_PID": str(os.getpid())}, "systemctl"),
        ({"SYSTEMD_EXEC_PID": str(os.getpid()), "MANAGERPID": "900"}, "systemctl --user"),
    ],
)
def test_a_process_knows_which_service_manager_has_started_it(environ, command):
    assert process.systemctl(environ) == command


@pytest.fixture
def handler():
    """The handler of SIGHUP before a test."""
    former = signal.getsignal(signal.SIGHUP)
    yield former
    signal.signal(signal.SIGHUP, former)


def test_a_reload_signal_is_noted_once_per_look(handler, monkeypatch, tmp_path):
    monkeypatch.setattr(process, "TERMINAL", str(tmp_path / "none"))
    with ReloadSignal() as asked:
        assert not asked.take()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
        assert asked.take()
        assert not asked.take()
    os.kill(os.getpid(), signal.SIGHUP)  # one that comes while the program ends


def test_on_a_terminal_a_hangup_ends_the_program(handler, monkeypatch, tmp_path):
    terminal = tmp_path / "tty"
    terminal.touch()
    monkeypatch.setattr(process, "TERMINAL", str(terminal))
    with ReloadSignal():
        assert signal.getsignal(signal.SIGHUP) is handler


def test_a_program_waits_for_its_first_end():
    ending = StopSignal()
    assert not ending.wait(0)
    ending.finish()
    ending.fail(ValueError("too late"))
    assert ending.wait(0)


@pytest.mark.parametrize("end", ["fail", "finish"])
def test_a_failure_is_raised(end):
    ending = StopSignal()
    getattr(ending, end)(TurnFailed("the backend is away"))
    with pytest.raises(TurnFailed, match="the backend is away"):
        ending.wait(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_program_and_a_second_one_at_once(monkeypatch, number):
    before = signal.getsignal(number)
    statuses = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    with StopSignal() as ending:
        os.kill(os.getpid(), number)
        assert ending.wait(10)
        assert statuses == []
        os.kill(os.getpid(), number)
        ending.wait(0)
    assert statuses == [128 + number]
    assert signal.getsignal(number) is before


@contextmanager
def part(calls, name, stop=lambda: None):
    calls.append(f"{name} starts")
    try:
        yield name
    finally:
        stop()
        calls.append(f"{name} stops")


def start(*parts):
    with ConcurrentStop() as together:
        for name, each in zip("ab", parts, strict=True):
            together.add(name, each)


def test_parts_start_in_order_and_stop_at_once():
    calls, meeting = [], threading.Barrier(2, timeout=10)
    with ConcurrentStop() as together:
        assert together.add("a", part(calls, "a", meeting.wait)) == "a"
        together.add("b", part(calls, "b", meeting.wait))
        assert calls == ["a starts", "b starts"]
    assert sorted(calls[2:]) == ["a stops", "b stops"]


def test_what_one_part_raises_is_raised_when_all_have_stopped():
    calls, meeting = [], threading.Barrier(2, timeout=10)

    def break_down():
        meeting.wait()
        raise ValueError("it broke")

    with pytest.raises(ValueError, match="it broke"):
        start(part(calls, "a", meeting.wait), part(calls, "b", break_down))
    assert "a stops" in calls


def test_parts_stop_when_a_later_one_cannot_start():
    calls = []

    @contextmanager
    def unfit():
        raise OSError("no room")
        yield

    with pytest.raises(OSError, match="no room"):
        start(part(calls, "a"), unfit())
    assert calls == ["a starts", "a stops"]


def test_the_time_of_a_stop_is_logged_for_debugging(caplog):
    caplog.set_level(logging.DEBUG)
    with timed("the capture", part([], "a")):
        assert caplog.records == []
    [record] = caplog.records
    assert record.levelname == "DEBUG"
    assert record.message.startswith("the capture stopped in ")
