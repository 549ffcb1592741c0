"""The program ends once, in order, and says why."""

import os
import signal

import pytest

from jarvis_ear.errors import TurnFailed
from jarvis_ear.lifecycle import StopSignal


def test_it_waits_until_something_ends_it() -> None:
    ending = StopSignal()
    assert not ending.wait(0)
    ending.finish()
    assert ending.wait(0)


def test_it_raises_what_it_failed_with() -> None:
    ending = StopSignal()
    ending.fail(ValueError("no microphone"))
    with pytest.raises(ValueError, match="no microphone"):
        ending.wait(0)


def test_the_first_end_counts() -> None:
    ending = StopSignal()
    ending.finish()
    ending.fail(ValueError("too late"))
    assert ending.wait(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_the_old_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopSignal() as ending:
        os.kill(os.getpid(), number)
        assert ending.wait(10)
    assert signal.getsignal(number) is before


def test_a_second_signal_ends_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    with StopSignal() as ending:
        os.kill(os.getpid(), signal.SIGTERM)
        assert ending.wait(10)
        os.kill(os.getpid(), signal.SIGTERM)
        ending.wait(0)
    assert statuses == [128 + signal.SIGTERM]


def test_it_raises_what_did_not_succeed() -> None:
    ending = StopSignal()
    ending.finish(TurnFailed("the backend is away"))
    with pytest.raises(TurnFailed):
        ending.wait(0)
