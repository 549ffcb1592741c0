from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from jarvis_ear.audio.frames import Frame, Ring
from jarvis_ear.units import FRAME_BYTES, FRAME_SAMPLES, Samples


def frame(start: int) -> Frame:
    return Frame(Samples(start), bytes(FRAME_BYTES))


@settings(deadline=None)
@given(st.integers(1, 30), st.lists(st.integers(0, 500), max_size=80), st.integers(0, 60_000))
def test_a_ring_is_a_bounded_deque(capacity, gaps, position):
    ring, oracle, at = Ring(capacity), deque(maxlen=capacity), 0
    for gap in gaps:
        ring.push(frame(at + gap))
        oracle.append(frame(at + gap))
        at += gap + FRAME_SAMPLES
    assert ring.get() == list(oracle)
    assert ring.since(Samples(position)) == [one for one in oracle if one.end > position]


def test_since_takes_the_frame_that_holds_the_position():
    ring = Ring(10)
    for start in (0, 320, 640):
        ring.push(frame(start))
    assert [one.start for one in ring.since(Samples(320))] == [320, 640]
    assert [one.start for one in ring.since(Samples(319))] == [0, 320, 640]
    assert [one.start for one in ring.since(Samples(960))] == []


def test_clear_forgets():
    ring = Ring(2)
    ring.push(frame(0))
    ring.clear()
    assert ring.get() == []
