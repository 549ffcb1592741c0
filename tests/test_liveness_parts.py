"""What is taken for a sign of life."""

from dataclasses import fields
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from jarvis_ear import components
from jarvis_ear.errors import DeviceError
from jarvis_ear.hearing.events import State


class Alive:
    """The threads of the ear, as counters."""

    def __init__(self):
        self.ear = SimpleNamespace(
            iterations=0, frames=0, proofs=0, state=State.IDLE, last_frame=b""
        )
        self.capture = SimpleNamespace(iterations=0, is_muted=False, is_over=False, source=None)
        self.backend = SimpleNamespace(iterations=0, counters=dict)
        with_counters = MagicMock()
        self.parts = components.Components(
            **{each.name: with_counters for each in fields(components.Components) if each.init}
            | {"ear": self.ear, "capture": self.capture, "backend": self.backend}
        )
        self.beat = self.parts.beat
        self.now = 1000.0
        self.beat._monotonic = lambda: self.now
        self.beat._moved_at = [self.now] * 5

    def goes_on(self, *, without: str, seconds: int = 80) -> bool:
        """Whether the beat still goes when everything moves but one counter."""
        for _ in range(seconds * 10):
            self.now += 0.1
            self.capture.iterations += without != "capture"
            self.backend.iterations += without != "network"
            for name in ("iterations", "frames", "proofs"):
                setattr(self.ear, name, getattr(self.ear, name) + (name != without))
            works = self.beat.look()
        return works


def test_it_beats_while_everything_moves():
    assert Alive().goes_on(without="nothing")


@pytest.mark.parametrize(
    ("without", "stuck"),
    [
        ("capture", "capture thread"),
        ("iterations", "ear thread"),
        ("network", "network"),
        ("frames", "sound"),
        ("proofs", "wake model"),
    ],
)
def test_it_stops_when_one_part_stops(without, stuck):
    alive = Alive()
    assert not alive.goes_on(without=without)
    assert alive.beat.stuck == (stuck,)


def test_a_capture_thread_that_hangs_ends_the_program():
    alive = Alive()
    alive.parts.require_capture()
    alive.goes_on(without="capture")
    with pytest.raises(DeviceError, match="only a new process can hear"):
        alive.parts.require_capture()


@pytest.mark.parametrize("without", ["frames", "proofs"])
def test_without_a_microphone_or_muted_there_need_be_no_sound(without):
    for state in (State.DEAF, State.MUTED):
        alive = Alive()
        alive.ear.state = state
        assert alive.goes_on(without=without)
    muted = Alive()
    muted.capture.is_muted = True
    assert muted.goes_on(without=without)


@pytest.mark.parametrize("without", ["capture", "frames", "proofs"])
def test_after_the_end_of_a_file_nothing_has_to_be_read_or_heard(without):
    alive = Alive()
    alive.capture.is_over = True
    assert alive.goes_on(without=without)
    alive.parts.require_capture()


@pytest.mark.parametrize("without", ["iterations", "network"])
def test_but_who_waits_for_the_last_answer_has_to_live(without):
    alive = Alive()
    alive.capture.is_over = True
    assert not alive.goes_on(without=without)


@pytest.mark.parametrize("without", ["capture", "iterations"])
def test_but_the_threads_have_to_live(without):
    alive = Alive()
    alive.ear.state = State.DEAF
    assert not alive.goes_on(without=without)
