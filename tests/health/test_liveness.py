"""The signs of life, and the watchdog that they feed."""

from dataclasses import fields
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from fakes.clock import FakeClock
from jarvis_ear import components
from jarvis_ear.errors import DeviceError
from jarvis_ear.health.liveness import Beat, Part, Watchdog
from jarvis_ear.hearing.events import State


class Machine:
    """Two parts: one that must always move, one that may rest for five seconds."""

    def __init__(self):
        self.clock = FakeClock()
        self.frames = self.proofs = 0
        self.needed = True
        self.beat = Beat(
            [
                Part("sound", lambda: self.frames, is_needed=lambda: self.needed),
                Part("model", lambda: self.proofs, limit_s=5.0),
            ],
            monotonic=self.clock.monotonic,
        )

    def look(self, *, frames: int = 0, proofs: int = 0) -> bool:
        self.clock.now += 1.0
        self.frames += frames
        self.proofs += proofs
        return self.beat.look()


def test_a_part_that_must_always_move_and_does_not_stops_the_beat():
    machine = Machine()
    assert all(machine.look(frames=1, proofs=1) for _ in range(10))
    assert (machine.beat.count, machine.beat.stuck) == (10, ())
    assert not machine.look(proofs=1)
    assert (machine.beat.count, machine.beat.stuck) == (10, ("sound",))


def test_a_part_that_may_rest_stops_the_beat_when_it_rests_too_long():
    machine = Machine()
    assert [machine.look(frames=1) for _ in range(7)] == [True] * 5 + [False] * 2
    assert machine.beat.stuck == ("model",)
    assert machine.look(frames=1, proofs=1)


def test_a_part_that_is_not_needed_may_rest():
    machine = Machine()
    machine.needed = False
    assert all(machine.look(proofs=1) for _ in range(3))
    machine.needed = True
    assert not machine.look(proofs=1)


class Fed:
    """A watchdog that waits ten seconds, and one part whose beat feeds it."""

    def __init__(self, every_s: float = 10.0):
        self.clock = FakeClock()
        self.turns = 0
        self.beat = Beat([Part("ear", lambda: self.turns)], monotonic=self.clock.monotonic)
        self.watchdog = Watchdog(self.beat, every_s, monotonic=self.clock.monotonic)

    def times(self, seconds: int, *, moving: bool = True, looking: bool = True) -> int:
        """How often it is fed in so many seconds, at ten looks a second."""
        fed = 0
        for _ in range(10 * seconds):
            self.clock.now += 0.1
            self.turns += moving
            if looking:
                self.beat.look()
            fed += self.watchdog.is_due()
        return fed


def test_the_watchdog_is_fed_at_half_its_time_while_the_part_moves():
    fed = Fed()
    assert fed.times(60) == 12
    assert fed.times(60, moving=False) == 0
    assert fed.times(1) == 1
    assert fed.times(60, looking=False) <= 1  # for what was seen before
    assert Fed(every_s=0).times(60) == 0  # there is no watchdog


class Alive:
    """The threads of the ear, as counters."""

    def __init__(self, state: State = State.IDLE, **capture: bool):
        self.ear = SimpleNamespace(
            iterations=0, frames=0, proofs=0, state=state, last_frame=b"", counters=dict
        )
        self.capture = SimpleNamespace(
            **{"iterations": 0, "is_muted": False, "is_over": False, "source": None} | capture
        )
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


STUCK = {
    "capture": "capture thread",
    "iterations": "ear thread",
    "network": "network",
    "frames": "sound",
    "proofs": "wake model",
}


@pytest.mark.parametrize(("without", "stuck"), STUCK.items())
def test_the_beat_stops_when_one_part_stops(without, stuck):
    alive = Alive()
    assert alive.goes_on(without="nothing")
    assert not alive.goes_on(without=without)
    assert alive.beat.stuck == (stuck,)


@pytest.mark.parametrize(
    ("given", "may_stop"),
    [
        ({"state": State.DEAF}, {"frames", "proofs"}),
        ({"state": State.MUTED}, {"frames", "proofs"}),
        ({"is_muted": True}, {"frames", "proofs"}),
        ({"is_over": True}, {"frames", "proofs", "capture"}),
    ],
)
def test_sound_may_stop_where_there_is_no_microphone_and_after_a_file(given, may_stop):
    assert {name for name in STUCK if Alive(**given).goes_on(without=name)} == may_stop


def test_a_capture_thread_that_hangs_ends_the_program():
    alive = Alive()
    alive.parts.require_capture()
    alive.goes_on(without="capture")
    with pytest.raises(DeviceError, match="only a new process can hear"):
        alive.parts.require_capture()
    over = Alive(is_over=True)
    over.goes_on(without="capture")
    over.parts.require_capture()
