"""Parts stop at the same time, whatever becomes of each."""

import logging
import threading
from contextlib import contextmanager

import pytest

from jarvis_ear.process import ConcurrentStop, timed

SOON_S = 10.0


@contextmanager
def part(story, name, stop=lambda: None):
    story.append(f"{name} starts")
    try:
        yield name
    finally:
        stop()
        story.append(f"{name} stops")


def start_both(one, other):
    with ConcurrentStop() as together:
        together.add("one", one)
        together.add("other", other)


def test_parts_start_in_order_and_stop_at_once():
    story, meeting = [], threading.Barrier(2, timeout=SOON_S)
    with ConcurrentStop() as together:
        assert together.add("a", part(story, "a", meeting.wait)) == "a"
        together.add("b", part(story, "b", meeting.wait))
        assert story == ["a starts", "b starts"]
    assert sorted(story[2:]) == ["a stops", "b stops"]


def test_what_one_raises_is_raised_when_all_are_over():
    story, meeting = [], threading.Barrier(2, timeout=SOON_S)

    def breaks():
        meeting.wait()
        raise ValueError("it broke")

    with pytest.raises(ValueError, match="it broke"):
        start_both(part(story, "a", meeting.wait), part(story, "b", breaks))
    assert "a stops" in story


def test_parts_stop_when_a_later_one_cannot_start():
    story = []

    @contextmanager
    def unfit():
        raise OSError("no room")
        yield

    with pytest.raises(OSError, match="no room"):
        start_both(part(story, "a"), unfit())
    assert story == ["a starts", "a stops"]


def test_how_long_each_took_is_told_in_detail_only(caplog):
    caplog.set_level(logging.DEBUG)
    with timed("the capture", part([], "a")):
        assert caplog.records == []
    [record] = caplog.records
    assert record.levelname == "DEBUG"
    assert record.message.startswith("the capture stopped in ")
