from fakes.clock import FakeClock
from jarvis_ear.health.liveness import Beat, Part


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


def test_it_beats_while_everything_moves():
    machine = Machine()
    assert all(machine.look(frames=1, proofs=1) for _ in range(10))
    assert (machine.beat.count, machine.beat.stuck) == (10, ())


def test_what_must_always_move_and_does_not_stops_it_at_once():
    machine = Machine()
    machine.look(frames=1)
    assert not machine.look(proofs=1)
    assert (machine.beat.count, machine.beat.stuck) == (1, ("sound",))


def test_what_may_rest_stops_it_when_it_rests_too_long():
    machine = Machine()
    assert [machine.look(frames=1) for _ in range(7)] == [True] * 5 + [False] * 2
    assert machine.beat.stuck == ("model",)
    assert machine.look(frames=1, proofs=1)


def test_what_is_not_needed_may_rest_and_then_has_its_patience_again():
    machine = Machine()
    machine.needed = False
    assert all(machine.look(proofs=1) for _ in range(3))
    machine.needed = True
    assert not machine.look(proofs=1)
