"""The ear that hears through every fault would notice a loss."""

import queue
import time

import pytest

from fakes.listening import Listening


def test_it_hears_without_a_loss():
    with Listening() as listening:
        deadline = time.monotonic() + 10
        while listening.frames < 20:
            assert time.monotonic() < deadline
    assert listening.lost == {}


def test_what_nobody_fetched_in_time_is_told():
    told = queue.Queue()
    listening = Listening(on_lost=told.put)
    listening.__enter__()
    deadline = time.monotonic() + 10
    while listening.frames == 0:  # the microphone is open from then on
        assert time.monotonic() < deadline
    listening._microphone._began -= 5
    assert told.get(timeout=10)["microphone"] >= 2.9 * 16_000
    with pytest.raises(AssertionError, match="microphone"):
        listening.__exit__(None, None, None)
