import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jarvis_ear.audio.frames import Block, Frame, Framer
from jarvis_ear.units import FRAME_SAMPLES, Samples

ROOM = np.arange(20_000, dtype="<u2").tobytes()  # every sample is its own position


def room(start: int, count: int) -> bytes:
    return ROOM[2 * start : 2 * (start + count)]


def block(start: int, count: int) -> Block:
    return Block(Samples(start), room(start, count))


def push_all(framer: Framer, blocks: list[Block]) -> list[Frame]:
    return [frame for one in blocks for frame in framer.push(one)]


def cut(start: int, end: int, lengths: list[int]) -> list[Block]:
    blocks = []
    for length in [*lengths, end - start]:
        count = min(length, end - start)
        blocks.append(block(start, count))
        start += count
    return blocks


lengths = st.lists(st.integers(0, 5000), max_size=30)


@settings(deadline=None)
@given(st.integers(0, 20_000), lengths)
def test_any_cut_gives_the_same_frames(end, cuts):
    frames = push_all(Framer(), cut(0, end, cuts))
    assert frames == Framer().push(block(0, end))
    assert b"".join(frame.pcm for frame in frames) == room(0, end // 320 * 320)
    assert [frame.start for frame in frames] == list(range(0, end - 319, 320))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 900), st.integers(1, 1500)), max_size=8), lengths)
def test_with_gaps_every_frame_holds_what_its_start_says(stretches, cuts):
    framer, at, whole, frames = Framer(), 0, 0, []
    for gap, length in stretches:
        start, at = at + gap, at + gap + length
        frames += push_all(framer, cut(start, at, cuts))
        whole += length
    assert all(frame.pcm == room(frame.start, FRAME_SAMPLES) for frame in frames)
    assert all(a.end <= b.start for a, b in itertools.pairwise(frames))
    carried = at - framer.samples_lost - len(frames) * FRAME_SAMPLES
    assert 0 <= carried < FRAME_SAMPLES
    assert framer.samples_lost >= at - whole


def test_a_gap_drops_the_remainder_and_starts_anew():
    framer = Framer()
    assert framer.push(block(0, 300)) == []
    frames = framer.push(block(1000, 330))
    assert frames == [Frame(Samples(1000), room(1000, 320))]
    assert (framer.gaps, framer.samples_lost) == (1, 1000)
    assert framer.push(block(1330, 310))[0].start == 1320
    assert framer.gaps == 1


def test_a_late_beginning_and_a_new_one_are_gaps():
    framer = Framer()
    assert framer.push(block(640, 320))[0].start == 640
    assert (framer.gaps, framer.samples_lost) == (1, 640)
    framer = Framer()
    framer.push(block(0, 330))
    assert framer.push(block(0, 320))[0].start == 0
    assert (framer.gaps, framer.samples_lost) == (1, 10)  # not twice


def test_an_empty_block_changes_nothing():
    framer = Framer()
    framer.push(block(0, 100))
    assert framer.push(block(100, 0)) == []
    assert len(framer.push(block(100, 220))) == 1
    assert framer.gaps == 0
