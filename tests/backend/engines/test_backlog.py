"""How much may wait to be understood."""

import pytest

from jarvis_backend.engines.sphinx_pool import FIRST_PACE, Backlog
from jarvis_backend.errors import EngineBusy


def test_so_many_wait_and_one_more_is_refused_and_counted():
    backlog = Backlog(decoders=2, max_waiting=3, max_wait_s=30)
    for _ in range(5):
        backlog.add(0.1)
    with pytest.raises(EngineBusy, match=r"it is busy, 3 utterances wait already$"):
        backlog.add(0.1)
    assert backlog.refused == 1
    backlog.remove(0.1)
    backlog.add(0.1)


def test_who_could_not_be_answered_in_time_is_told_at_once():
    backlog = Backlog(decoders=2, max_waiting=100, max_wait_s=9.2)
    for _ in range(17):
        backlog.add(1 / FIRST_PACE)  # a second of work each, for two
    with pytest.raises(EngineBusy, match=r"this would take \d+ s, expected at most 9\.2 s$"):
        backlog.add(1 / FIRST_PACE)
    backlog.remove(1 / FIRST_PACE)
    backlog.remove(1 / FIRST_PACE)
    backlog.add(1 / FIRST_PACE)
    assert backlog.refused == 1


def test_it_learns_how_fast_the_machine_is():
    slow, fast = (Backlog(decoders=1, max_waiting=100, max_wait_s=10) for _ in range(2))
    for backlog, work_s in ((slow, 5.0), (fast, 0.1)):
        for _ in range(20):
            backlog.add(1)
            backlog.record(work_s, 1)
            backlog.remove(1)
        backlog.add(1)
        backlog.add(1)
    with pytest.raises(EngineBusy):
        slow.add(1)
    for _ in range(80):
        fast.add(1)


def test_while_a_decoder_is_free_nobody_is_refused():
    backlog = Backlog(decoders=2, max_waiting=0, max_wait_s=1)
    backlog.record(1000, 1)
    backlog.add(300)
    backlog.add(300)
    with pytest.raises(EngineBusy):
        backlog.add(0)


def test_nothing_said_teaches_nothing():
    backlog = Backlog(decoders=1, max_waiting=1, max_wait_s=1)
    backlog.record(1, 0)
    backlog.add(0)
    backlog.add(1)
