import itertools

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jarvis_ear import config
from jarvis_ear.audio.frames import Frame
from jarvis_ear.hearing.gate import Gate
from jarvis_ear.units import FRAME_SAMPLES, STEP_FRAMES, Samples, frames, samples

settings = st.builds(
    config.GateOptions,
    lookback_ms=st.sampled_from([80, 100, 160, 320, 500]),
    hangover_ms=st.sampled_from([0, 20, 80, 130, 480]),
)
runs = st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=8)
rooms = runs.map(lambda found: [speech for speech, count in found for _ in range(count)])

Stretch = list[int]


def frame(number: int) -> Frame:
    return Frame(Samples(number * FRAME_SAMPLES), b"")


def stretches(gate: Gate, room: list[bool], first: int = 0) -> list[Stretch]:
    """Numbers of the frames that ``gate`` passes, one list for each time that it opens."""
    found: list[Stretch] = []
    for number, speech in enumerate(room, start=first):
        was_open = gate.is_open
        passed = gate.push(frame(number), speech=speech)
        if gate.is_open and not was_open:
            found.append([])
        assert len(passed) % STEP_FRAMES == 0
        if passed:
            found[-1] += [one.start // FRAME_SAMPLES for one in passed]
    return found


def lookback_frames(gate: config.GateOptions) -> int:
    """The lookback in frames: whole steps, the frame that opens the gate is the last of them."""
    return -(-frames(gate.lookback_ms) // STEP_FRAMES) * STEP_FRAMES


@given(settings, rooms)
def test_stretches_are_contiguous_and_end_one_after_the_other(gate, room):
    found = [stretch for stretch in stretches(Gate(gate), room) if stretch]
    for stretch in found:
        assert stretch == list(range(stretch[0], stretch[-1] + 1))
    for one, other in itertools.pairwise(found):
        assert one[-1] < other[-1]


@hypothesis_settings(max_examples=300)
@given(settings, rooms)
def test_the_frames_around_speech_pass(gate, room):
    """All but those that fill no step: at most three at the beginning and at the end."""
    lookback, hangover = lookback_frames(gate), frames(gate.hangover_ms)
    found = stretches(Gate(gate), room)
    heard = max((stretch[-1] + 1 for stretch in found if stretch), default=0)
    unfinished = set(range(max(heard, len(room) - STEP_FRAMES + 1), len(room)))
    for number in (number for number, speech in enumerate(room) if speech):
        first = max(0, number + 1 - lookback)
        last = min(len(room) - 1, number + hangover)
        wanted = set(range(first, last + 1)) - {0, 1, 2} - unfinished
        assert any(wanted <= set(stretch) for stretch in found), (number, wanted)


@hypothesis_settings(max_examples=300)
@given(settings, rooms)
def test_no_other_frame_passes(gate, room):
    lookback, hangover = lookback_frames(gate), frames(gate.hangover_ms)
    near = {
        other
        for number, speech in enumerate(room)
        if speech
        for other in range(number + 1 - lookback, number + hangover + STEP_FRAMES + 1)
    }
    assert {number for stretch in stretches(Gate(gate), room) for number in stretch} <= near


@given(rooms)
def test_always_means_every_frame_once(room):
    gate = Gate(config.GateOptions(mode="always"))
    whole = len(room) // STEP_FRAMES * STEP_FRAMES
    assert stretches(gate, room) == ([list(range(whole))] if room else [])


def test_only_speech_opens_the_gate_and_passes_at_once_with_its_lookback():
    gate = Gate(config.GateOptions(lookback_ms=320))
    assert stretches(gate, [False] * 1000) == []
    assert not gate.is_open
    passed = gate.push(frame(1000), speech=True)
    assert [one.start // FRAME_SAMPLES for one in passed] == list(range(985, 1001))


def test_a_gate_that_opens_again_soon_looks_back_as_far_as_ever():
    gate = Gate(config.GateOptions(lookback_ms=320, hangover_ms=80))
    room = [False] * 20 + [True] + [False] * 6 + [True]
    assert stretches(gate, room) == [list(range(5, 25)), list(range(12, 28))]


def test_the_first_frames_wait_for_a_whole_step():
    gate = Gate(config.GateOptions())
    assert gate.push(frame(0), speech=True) == ()
    assert gate.is_open
    assert gate.push(frame(1), speech=False) == gate.push(frame(2), speech=False) == ()
    assert len(gate.push(frame(3), speech=False)) == STEP_FRAMES


def test_the_gate_closes_at_the_first_step_that_ends_after_the_hangover():
    gate = Gate(config.GateOptions(hangover_ms=480))
    stretches(gate, [False] * 20)
    gate.push(frame(20), speech=True)
    numbers = itertools.count(21)
    while gate.is_open:
        last = frame(next(numbers))
        gate.push(last, speech=False)
    assert last.end == frame(20).end + samples(480)


@given(st.integers(0, 500), st.integers(4, 200))
def test_unbroken_speech_is_one_stretch(hangover_ms, length):
    gate = Gate(config.GateOptions(hangover_ms=hangover_ms))
    assert len(stretches(gate, [True] * length)) == 1


def test_a_gap_closes_the_gate_and_drops_its_unfinished_step():
    gate = Gate(config.GateOptions(lookback_ms=80))
    assert stretches(gate, [False] * 20 + [True, True, False]) == [[17, 18, 19, 20]]
    gate.close()
    assert not gate.is_open
    room = [False] * 10 + [True] + [False] * 4
    assert stretches(gate, room, first=1000) == [list(range(1007, 1015))]
    gate.close()
    assert stretches(gate, [True] + [False] * 7, first=2000) == [list(range(2000, 2008))]
