import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fakes.echo_room import Scene, scene, voice
from jarvis_ear.audio.echo_path import (
    JITTER,
    LINE_SAMPLES,
    MOST_WORDS,
    TAIL,
    EchoPath,
    FarEnd,
    SampleLine,
    SelfEcho,
)
from jarvis_ear.units import FRAME_SAMPLES as FRAME
from jarvis_ear.units import samples

AHEAD = 1600
PIECE = 1000


def play(path: EchoPath, room: Scene, *, at: int = 0, stamp: int = 0, ahead: int = AHEAD):
    """Play and hear a scene from position ``at`` on; stamps are wrong by ``stamp`` samples."""
    heard, played = [], 0
    for place in range(0, len(room.far) // FRAME * FRAME, FRAME):
        while played < min(len(room.far), place + ahead):
            path.far(room.far[played : played + PIECE].tobytes(), at + played + stamp)
            played += PIECE
        heard.append(path.hear(room.microphone[place : place + FRAME].tobytes(), at + place))
    return np.frombuffer(b"".join(heard), "<i2")


def idle(path: EchoPath, at: int, until: int) -> int:
    for position in range(at, until, FRAME):
        path.hear(bytes(2 * FRAME), position)
    return position + FRAME


LONG = LINE_SAMPLES + 99


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["write", "cut"]),
            st.integers(-LONG, LONG) | st.integers(-9, 9),
            st.sampled_from([0, 1, 700, LONG]),
        ),
        max_size=6,
    )
)
@example([("write", -LONG, 700), ("cut", -LONG, 0)])
def test_a_line_is_a_bounded_stream(calls):
    line, model, end, kept = SampleLine(), np.zeros(20 * LONG, np.int16), 0, 0
    for place, (call, jump, count) in enumerate([("write", 4 * LONG, 500), *calls]):
        position = max(0, end + jump)
        if call == "write":
            line.write(position, np.full(count, place + 1, np.int16))
            model[position:] = 0
            model[position : position + count] = place + 1
            end, kept = position + count, min(kept, position)
        else:
            line.cut(position)
            end = min(end, position)
            model[end:] = 0
        kept = max(kept, end - LINE_SAMPLES)
        model[:kept] = 0
        start = max(0, end - LONG)
        assert line.end == end
        assert np.array_equal(line.read(start, 2 * LONG) * 32768, model[start : start + 2 * LONG])


def test_pieces_with_inexact_stamps_join_without_a_seam():
    far, pcm = FarEnd(), np.arange(1, 3001, dtype=np.int16)
    assert far.add(pcm[:1000], 5000)
    assert not far.add(pcm[1000:2000], 6000 - JITTER)
    assert not far.add(pcm[2000:], 7000 + JITTER)
    assert np.array_equal(far.line.read(5000, 3000) * 32768, pcm)
    assert far.add(pcm, 8001 + JITTER)
    assert not far.line.read(8000, JITTER + 1).any()


@pytest.mark.parametrize("hertz", [100, 1000, 4000, 6000])
def test_the_far_end_can_be_read_between_samples(hertz):
    angle = 2 * np.pi * hertz / 16_000
    far = FarEnd()
    far.add(np.rint(16_000 * np.sin(angle * np.arange(4000))).astype(np.int16), 0)
    for start, drift, most in ((999.0, 0.0, 1e-3), (950.25, 0.03, 3e-3), (999.9, -0.16, 0.02)):
        times = start + np.arange(FRAME) * (1 + drift / FRAME)
        error = far.frame(start, start + FRAME + drift) - np.sin(angle * times) * 16_000 / 32_768
        assert np.abs(error).max() < most


@pytest.mark.parametrize("delay_ms", [0, 20, 137, 300, 500, 800])
def test_an_unknown_delay_is_found_and_the_echo_removed(delay_ms):
    room = scene(voice(1, 4), delay_ms=delay_ms)
    path = EchoPath()
    assert path.delay is None
    heard = play(path, room)
    assert path.delay == pytest.approx(delay_ms * 16, abs=1)
    assert path.counters() == {"late": 0, "passed": path.counters()["passed"], "resets": 0}
    assert room.residue_db(heard, 2) < -15


@pytest.mark.parametrize("drift", [50e-6, -100e-6])
@pytest.mark.parametrize("known", [False, True])
def test_the_drift_of_the_clocks_is_removed(drift, known):
    room = scene(voice(1, 6), delay_ms=137, drift=drift)
    path = EchoPath(137 * 16, drift) if known else EchoPath()
    heard = play(path, room)
    assert path.drift == pytest.approx(drift, abs=5e-6)
    assert room.residue_db(heard, 1 if known else 3) < -15


def test_a_person_is_kept_and_the_delay_too():
    room = scene(voice(1, 5), delay_ms=60, echo_db=6, person=voice(2, 5))
    path = EchoPath()
    heard = play(path, room)
    assert path.delay == pytest.approx(960, abs=1)
    assert room.residue_db(heard, 3) < -12


def test_nothing_is_done_while_nothing_plays():
    path = EchoPath(500)
    frame = voice(1, 0.02).astype("<i2").tobytes()
    assert path.hear(frame, 0) is frame
    assert not path.is_playing
    path.far(bytes(640), 3200)
    assert path.is_playing
    end = idle(path, FRAME, 3200 + 320 + 500 + TAIL)
    assert path.hear(frame, end) is frame
    assert not path.is_playing


def test_the_next_reply_profits_from_the_first_whatever_its_stamps():
    first, second = scene(voice(1, 4), delay_ms=200), scene(voice(3, 2), delay_ms=200)
    path = EchoPath()
    play(path, first)
    for stamp in (0, -160, 240, 1600):
        at = idle(path, path._now, path._now + 32_000)
        heard = play(path, second, at=at, stamp=stamp)
        assert path.delay == pytest.approx(3200 - stamp, abs=2)
        assert second.residue_db(heard, 0.8) < -18
        assert path.counters()["resets"] == 0


def test_an_output_whose_delay_jumps_is_followed():
    whole = voice(1, 8)
    room, later = scene(whole, delay_ms=100), scene(whole, delay_ms=400)
    room.microphone[64_000:] = later.microphone[64_000:]
    room.echo[64_000:] = later.echo[64_000:]
    path = EchoPath()
    heard = play(path, room)
    assert path.delay == pytest.approx(6400, abs=1)
    assert room.residue_db(heard, 6) < -15


def test_a_gap_in_the_microphone_loses_nothing():
    room = scene(voice(1, 6), delay_ms=100)
    path = EchoPath()
    path.far(room.far.tobytes(), 0)
    heard = [
        path.hear(room.microphone[place : place + FRAME].tobytes(), place)
        for place in (*range(0, 64_000, FRAME), *range(72_000, 96_000, FRAME))
    ]
    rest = np.frombuffer(b"".join(heard[200:]), "<i2")
    room.echo, room.person = room.echo[72_000:], room.person[72_000:]
    assert room.residue_db(rest, 0) < -15


def test_a_reply_that_is_cut_off_does_not_spoil_the_path():
    room = scene(voice(1, 4), delay_ms=100)
    path = EchoPath()
    play(path, room)
    at = path._now
    path.far(room.far[:8000].tobytes(), at)
    until = path._plays_until
    path.cut(at + 1600)
    path.cut(at + 9000)  # nothing is there
    assert path._plays_until == until - 6400
    at = idle(path, at, at + 32_000)
    second = scene(voice(3, 2), delay_ms=100)
    assert second.residue_db(play(path, second, at=at), 0.8) < -15


def test_sound_that_comes_too_late_is_counted():
    path = EchoPath(800)
    path.hear(bytes(640), 15_680)
    path.far(bytes(2000), 14_700)
    assert path.late == 500
    path.far(bytes(2000), 10_000)
    assert path.late == 1500
    path.far(bytes(2000), 16_000)
    assert path.late == 1500


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["far", "hear", "jump", "cut"]),
            st.integers(-20_000, 20_000),
            st.integers(1, 3000),
        ),
        max_size=60,
    ),
    st.sampled_from([None, 0.0, 3000.0]),
    st.integers(0, 1000),
)
def test_no_order_of_calls_makes_it_louder_by_more_than_3_db(calls, delay, seed):
    path, now = EchoPath(delay), 40_000
    random = np.random.default_rng(seed)
    for call, offset, count in calls:
        pcm = random.integers(-32_768, 32_767, count, dtype=np.int16)
        if call == "far":
            path.far(pcm.tobytes(), now + offset)
        elif call == "cut":
            path.cut(now + offset)
        else:
            now += max(0, offset) if call == "jump" else 0
            for _ in range(count // 100 + 1):
                frame = random.integers(-count, count, FRAME, dtype=np.int16)
                heard = np.frombuffer(path.hear(frame.tobytes(), now), "<i2")
                before, after = (np.linalg.norm(each.astype(float)) for each in (frame, heard))
                assert after <= 2**0.5 * before + FRAME**0.5
                now += FRAME


def test_a_wake_word_of_the_far_end_is_vetoed_where_its_echo_is():
    own = SelfEcho()
    own.add(10_000, 0.02)
    assert not own.is_own(10_000, 0)
    own.add(20_000, 0.04)
    expected = 20_000 + 3200
    verdicts = {ms: own.is_own(expected + samples(ms), 3200) for ms in (-101, -100, 0, 400, 401)}
    assert verdicts == {-101: False, -100: True, 0: True, 400: True, 401: False}
    assert own.vetoed == 3


def test_without_a_known_delay_each_possible_one_is_vetoed():
    own = SelfEcho()
    own.add(50_000, 1.0)
    verdicts = {ms: own.is_own(50_000 + samples(ms), None) for ms in (-201, -200, 1300, 1301)}
    assert verdicts == {-201: False, -200: True, 1300: True, 1301: False}


def test_the_oldest_wake_words_are_dropped():
    own = SelfEcho()
    for word in range(MOST_WORDS + 1):
        own.add(word * 100_000, 1.0)
    assert not own.is_own(0, 0)
    assert own.is_own(100_000, 0)
