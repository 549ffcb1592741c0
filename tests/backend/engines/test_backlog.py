"""How much may wait to be understood."""

import pytest

from jarvis_backend.engines.sphinx_pool import FIRST_PACE, Backlog
from jarvis_backend.errors import EngineBusy


def test_so_many_wait_and_one_more_is_refused_and_counted():
    backlog = Backlog(decoders=2, most=3, patience_s=30)
    for _ in range(5):
        backlog.enter(0.1)
    with pytest.raises(EngineBusy, match=r"it is busy, 3 utterances wait already$"):
        backlog.enter(0.1)
    assert backlog.refused == 1
    backlog.leave(0.1)
    backlog.enter(0.1)


def test_who_could_not_be_answered_in_time_is_told_at_once():
    backlog = Backlog(decoders=2, most=100, patience_s=9.2)
    for _ in range(17):
        backlog.enter(1 / FIRST_PACE)  # a second of work each, for two
    with pytest.raises(EngineBusy, match=r"this would take \d+ s, expected at most 9\.2 s$"):
        backlog.enter(1 / FIRST_PACE)
    backlog.leave(1 / FIRST_PACE)
    backlog.leave(1 / FIRST_PACE)
    backlog.enter(1 / FIRST_PACE)
    assert backlog.refused == 1


def test_it_learns_how_fast_the_machine_is():
    slow, fast = (Backlog(decoders=1, most=100, patience_s=10) for _ in range(2))
    for backlog, work_s in ((slow, 5.0), (fast, 0.1)):
        for _ in range(20):
            backlog.enter(1)
            backlog.took(work_s, 1)
            backlog.leave(1)
        backlog.enter(1)
        backlog.enter(1)
    with pytest.raises(EngineBusy):
        slow.enter(1)
    for _ in range(80):
        fast.enter(1)


def test_while_a_decoder_is_free_nobody_is_refused():
    backlog = Backlog(decoders=2, most=0, patience_s=1)
    backlog.took(1000, 1)
    backlog.enter(300)
    backlog.enter(300)
    with pytest.raises(EngineBusy):
        backlog.enter(0)


def test_nothing_said_teaches_nothing():
    backlog = Backlog(decoders=1, most=1, patience_s=1)
    backlog.took(1, 0)
    backlog.enter(0)
    backlog.enter(1)
