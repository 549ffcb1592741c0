"""The program ends once, in order, and says why."""

import os
import signal

import pytest

from jarvis_ear.delivery.events import Finished, Verdict
from jarvis_ear.errors import TurnFailed
from jarvis_ear.hearing.events import SendUtterance, TurnDropped
from jarvis_ear.hearing.utterance import CapturedUtterance, EndReason
from jarvis_ear.lifecycle import LastTurn, StopSignal
from jarvis_ear.units import Samples

UTTERANCE = CapturedUtterance(
    *(Samples(0), Samples(0), Samples(2), Samples(4)),
    pcm=bytes(8),
    reason=EndReason.HANGOVER,
    lost=Samples(0),
)


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


def last_turn(*verdicts: Verdict) -> LastTurn:
    """Turns that were sent and ended so, one after the other."""
    last = LastTurn()
    for number, verdict in enumerate(verdicts):
        last.effect(SendUtterance(str(number), UTTERANCE))
        last.reply_started(str(number))
        last.reply_ended(str(number))
        last.delivery(Finished(str(number), verdict, "too_old", 0))
    return last


@pytest.mark.parametrize(
    "verdict", [Verdict.FAILED, Verdict.EXPIRED, Verdict.IN_DOUBT, Verdict.REPLY_LOST]
)
def test_the_last_command_of_a_file_that_did_not_succeed_is_said_in_one_line(
    verdict: Verdict,
) -> None:
    failure = last_turn(Verdict.DONE, verdict).failure()
    assert isinstance(failure, TurnFailed)
    assert failure.exit_status == 75
    words = verdict.replace("_", " ")
    assert str(failure) == f"the last command of the input ended as {words} (too old)"


@pytest.mark.parametrize("verdict", [Verdict.DONE, Verdict.ABANDONED])
def test_one_that_succeeded_or_was_given_up_is_no_failure(verdict: Verdict) -> None:
    assert last_turn(Verdict.FAILED, verdict).failure() is None


def test_without_a_command_there_is_no_failure() -> None:
    last = LastTurn()
    last.effect(TurnDropped("1", "no speech"))
    last.delivery(Finished("of another life", Verdict.EXPIRED, "too_old", 0))
    assert last.failure() is None


def test_a_turn_without_a_verdict_is_not_judged_by_the_one_before() -> None:
    last = last_turn(Verdict.FAILED)
    last.effect(SendUtterance("newer", UTTERANCE))
    assert last.failure() is None
