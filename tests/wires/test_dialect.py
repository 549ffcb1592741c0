"""What the dialects share: a fence of pings, and sound in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.wires.dialect import Fence, PingFrame, PongFrame, number_of, numbered, slices


def test_only_the_answer_to_its_own_ping_opens_the_fence():
    fence = Fence()
    fence.ping()
    assert not fence.pong()
    fence.ping()
    fence.put_up()
    assert not fence.pong()
    assert fence.pong()
    assert not fence.pong()


def test_numbered_answers_may_be_left_out_or_come_again():
    fence = Fence()
    first, second = fence.ping(), fence.put_up()
    assert (first, second) == (1, 2)
    assert not fence.pong(1)
    assert not fence.pong(1)
    assert fence.pong(3)


@given(st.integers(0, 10**17))
def test_a_number_comes_back(number):
    frame = numbered(number)
    assert isinstance(frame, PingFrame)
    assert number_of(PongFrame(frame.payload)) == number


@pytest.mark.parametrize("payload", [b"", b"-1", b"9" * 19, "²".encode(), b"x", b"1.0"])
def test_an_answer_that_nobody_asked_is_no_number(payload):
    assert number_of(PongFrame(payload)) == 0


@given(st.binary(max_size=200).filter(lambda pcm: len(pcm) % 2 == 0), st.integers(2, 50))
def test_pieces_hold_whole_samples_and_make_the_whole(pcm, most):
    pieces = slices(pcm, most)
    assert b"".join(pieces) == pcm
    assert all(0 < len(piece) <= most and len(piece) % 2 == 0 for piece in pieces)
