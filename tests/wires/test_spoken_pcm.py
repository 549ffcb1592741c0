"""Bare sound becomes files that follow each other without a gap."""

from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.audio.wav import HEADER_BYTES
from jarvis_ear.wires.dialect import CONTENT_TYPE, FIRST_BYTES, NEXT_BYTES, SpokenPcm


@given(st.lists(st.integers(0, 12_000), max_size=8))
def test_the_pieces_are_the_whole_however_it_came(lengths):
    frames = [bytes([number + 1]) * (2 * length) for number, length in enumerate(lengths)]
    spoken = SpokenPcm()
    pieces = [piece for frame in frames for piece in spoken.add(frame)]
    assert len(pieces) == spoken.pieces
    pieces += spoken.rest()
    assert [piece.index for piece in pieces] == list(range(len(pieces)))
    assert {piece.content_type for piece in pieces} <= {CONTENT_TYPE}
    assert b"".join(piece.audio[HEADER_BYTES:] for piece in pieces) == b"".join(frames)
    sizes = [len(piece.audio) - HEADER_BYTES for piece in pieces]
    assert all(size == NEXT_BYTES for size in sizes[1:-1])
    assert all(size == FIRST_BYTES for size in sizes[:1] if len(sizes) > 1)


def test_a_rest_is_given_out_once():
    spoken = SpokenPcm()
    spoken.add(b"ab")
    assert len(spoken.rest()) == 1
    assert spoken.rest() == ()
