"""Recordings: bounds, the thirty seconds, and whose they are."""

import pytest

from fakes.clock import FakeClock
from jarvis_backend.config import Limits
from jarvis_backend.errors import UtteranceError
from jarvis_backend.recordings import Recordings

KIB = 1024


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def recordings(clock):
    limits = Limits(recordings=2, recording_bytes=128 * KIB, recordings_bytes=192 * KIB)
    return Recordings(limits, clock.monotonic)


def test_chunks_are_joined_in_the_order_of_their_arrival(recordings):
    recordings.start("a", "one")
    assert [recordings.add("a", piece) for piece in (b"x", b"", b"yz")] == [False] * 3
    assert recordings.take("a") == b"xyz"
    assert recordings.take("a") is None


def test_what_was_never_started_is_not_open(recordings):
    assert not recordings.is_open("a")
    assert recordings.take("a") is None


def test_a_second_start_throws_the_first_away(recordings):
    recordings.start("a", "one")
    recordings.add("a", b"old")
    recordings.start("a", "two")
    recordings.add("a", b"new")
    assert recordings.take("a") == b"new"


def test_the_first_chunk_after_thirty_seconds_completes_it(recordings, clock):
    recordings.start("a", "one")
    recordings.add("a", b"x")
    clock.now += 30.0
    assert recordings.add("a", b"y") is False
    clock.now += 0.001
    assert recordings.add("a", b"z") is True
    assert recordings.take("a") == b"xyz"


def test_a_connection_that_goes_takes_what_it_started(recordings):
    recordings.start("a", "one")
    recordings.start("b", "two")
    recordings.forget("one")
    assert (recordings.is_open("a"), recordings.is_open("b")) == (False, True)


def test_one_recording_too_many_is_refused_and_counted(recordings):
    recordings.start("a", "one")
    recordings.start("b", "one")
    with pytest.raises(UtteranceError, match=r"^Too many recordings, expected at most 2$"):
        recordings.start("c", "one")
    recordings.start("b", "one")
    assert (len(recordings), recordings.refused) == (2, 1)


def test_a_recording_that_grows_too_large_is_deleted(recordings):
    recordings.start("a", "one")
    recordings.add("a", bytes(128 * KIB))
    with pytest.raises(UtteranceError, match=r"^Recording too large, expected at most 131072"):
        recordings.add("a", b"x")
    assert (recordings.is_open("a"), recordings.refused) == (False, 1)


def test_all_together_have_a_bound_and_what_ends_makes_room(recordings):
    recordings.start("a", "one")
    recordings.start("b", "two")
    recordings.add("a", bytes(128 * KIB))
    recordings.add("b", bytes(64 * KIB))
    with pytest.raises(UtteranceError):
        recordings.add("b", b"x")
    recordings.start("b", "two")
    recordings.take("a")
    assert recordings.add("b", bytes(128 * KIB)) is False
