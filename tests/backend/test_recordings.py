"""Recordings: their bounds, their thirty seconds, and their connections."""

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


def test_pieces_are_joined_in_order_until_the_recording_is_taken(recordings):
    assert not recordings.is_open("a")
    recordings.start("a", "one")
    assert [recordings.add("a", piece) for piece in (b"x", b"", b"yz")] == [False] * 3
    assert recordings.take("a") == b"xyz"
    assert recordings.take("a") is None


def test_the_first_piece_after_thirty_seconds_ends_the_recording(recordings, clock):
    recordings.start("a", "one")
    recordings.add("a", b"x")
    clock.now += 30.0
    assert recordings.add("a", b"y") is False
    clock.now += 0.001
    assert recordings.add("a", b"z") is True
    assert recordings.take("a") == b"xyz"


def test_a_connection_that_ends_deletes_its_own_recordings(recordings):
    recordings.start("a", "one")
    recordings.start("b", "two")
    recordings.forget("one")
    assert (recordings.is_open("a"), recordings.is_open("b")) == (False, True)


def test_one_recording_too_many_is_refused_and_counted(recordings):
    for name in "ab":
        recordings.start(name, "one")
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


def test_all_recordings_have_one_bound_and_a_taken_one_makes_room(recordings):
    for name, size in (("a", 128), ("b", 64)):
        recordings.start(name, name)
        recordings.add(name, bytes(size * KIB))
    with pytest.raises(UtteranceError):
        recordings.add("b", b"x")
    recordings.start("b", "two")
    recordings.take("a")
    assert recordings.add("b", bytes(128 * KIB)) is False
