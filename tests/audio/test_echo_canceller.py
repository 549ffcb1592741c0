import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.echo_room import drifting, scene, voice
from jarvis_ear.audio.echo_canceller import MOST_LOUDER, EchoCanceller

FRAME = 320


def cancel(canceller: EchoCanceller, microphone: np.ndarray, far: np.ndarray) -> np.ndarray:
    """The microphone without the echo, frame by frame; a remainder is dropped."""
    reference = far.astype(np.float32) / 32768
    frames = range(0, len(microphone) // FRAME * FRAME, FRAME)
    return np.concatenate(
        [canceller.cancel(microphone[at : at + FRAME], reference[at : at + FRAME]) for at in frames]
    )


@pytest.mark.parametrize("echo_db", [-6, 0, 6, 12])
def test_the_echo_is_removed(echo_db):
    room = scene(voice(1, 4), echo_db=echo_db, noise=1e-4)
    heard = cancel(EchoCanceller(), room.microphone, room.far)
    assert room.residue_db(heard, 0.5) < -8
    assert room.residue_db(heard, 2) < -18


def test_a_person_who_speaks_at_the_same_time_is_kept():
    room = scene(voice(1, 6), person=voice(2, 6), echo_db=6)
    heard = cancel(EchoCanceller(), room.microphone, room.far)
    assert room.residue_db(heard, 3) < -15  # all that is not the person


def test_nothing_is_changed_while_nothing_plays():
    microphone = (voice(2, 1) * 8000).astype(np.int16)
    heard = cancel(EchoCanceller(), microphone, np.zeros(len(microphone)))
    assert np.array_equal(heard, microphone)


def test_a_reply_that_pauses_keeps_the_path():
    first, second = voice(1, 4), voice(3, 1)
    far = np.concatenate((first, np.zeros(32_000), second))
    room = scene(far, noise=1e-4)
    heard = cancel(EchoCanceller(), room.microphone, room.far)
    assert room.residue_db(heard, 6) < -20


def test_a_loudspeaker_that_falls_silent_does_not_spoil_the_path():
    room = scene(voice(1, 6), noise=1e-4)
    microphone = room.microphone.copy()
    microphone[64_000:69_000] = room.person[64_000:69_000] * 32768  # stopped: 0.3 s are not played
    canceller = EchoCanceller()
    heard = cancel(canceller, microphone, room.far)
    assert canceller.passed > 10
    assert canceller.resets == 0
    assert room.residue_db(heard, 4.5) < -20


def test_a_path_that_became_much_weaker_is_learned_anew():
    room = scene(voice(1, 8), noise=1e-4)
    microphone = room.microphone.copy()
    microphone[64_000:] //= 6
    canceller = EchoCanceller()
    heard = cancel(canceller, microphone, room.far)
    assert canceller.resets == 1
    left = heard[100_000:].astype(float)
    assert np.mean(left**2) < np.mean(microphone[100_000 : 100_000 + len(left)].astype(float) ** 2)


def test_another_path_is_learned():
    first, second = scene(voice(1, 4), seed=1), scene(voice(3, 4), seed=2)
    canceller = EchoCanceller()
    cancel(canceller, first.microphone, first.far)
    heard = cancel(canceller, second.microphone, second.far)
    assert second.residue_db(heard, 2) < -15


def test_a_clipped_microphone_is_no_louder_afterwards():
    room = scene(voice(1, 4), echo_db=6)
    clipped = np.clip(room.microphone.astype(float) * 20, -32768, 32767).astype(np.int16)
    canceller = EchoCanceller()
    heard = cancel(canceller, clipped, room.far)
    assert np.mean(heard[32_000:].astype(float) ** 2) < np.mean(clipped[32_000:].astype(float) ** 2)


def test_the_first_estimate_follows_the_expected_gain():
    room = scene(voice(1, 1.5), echo_db=-20, noise=1e-5)
    residues = []
    for gain in (0.0025, 1.0):
        canceller = EchoCanceller()
        canceller.reset(gain)
        residues.append(room.residue_db(cancel(canceller, room.microphone, room.far), 0.3))
    assert residues[0] < residues[1]


def test_while_it_does_not_learn_it_only_follows():
    room = scene(voice(1, 1))
    canceller = EchoCanceller()
    reference = room.far.astype(np.float32) / 32768
    for at in range(0, 16_000, FRAME):
        frame = room.microphone[at : at + FRAME]
        heard = canceller.cancel(frame, reference[at : at + FRAME], learns=False)
        assert np.abs(heard - frame.astype(int)).max() == 0


def test_a_reference_that_is_no_number_is_forgotten():
    room = scene(voice(1, 4))
    canceller = EchoCanceller()
    broken = canceller.cancel(room.microphone[:FRAME], np.full(FRAME, np.nan, np.float32))
    assert np.array_equal(broken, room.microphone[:FRAME])
    assert room.residue_db(cancel(canceller, room.microphone, room.far), 2) < -15


SOUNDS = st.sampled_from(["silence", "noise", "tone", "square", "clicks", "voice", "edge"])


def sound(kind: str, seed: int, count: int) -> np.ndarray:
    random, time = np.random.default_rng(seed), np.arange(count)
    waves = {
        "silence": np.zeros(count),
        "noise": random.normal(0, 0.3, count),
        "tone": 0.9 * np.sin(time * random.uniform(0.01, 3)),
        "square": np.sign(np.sin(time * random.uniform(0.01, 3))),
        "clicks": (random.random(count) < 0.002) * 1.0,
        "voice": voice(seed % 100, count / 16_000),
        "edge": np.full(count, -1.0),
    }[kind]
    return np.clip(waves * 32768, -32768, 32767).astype(np.int16)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(SOUNDS, SOUNDS, st.booleans()), min_size=1, max_size=6),
    st.integers(0, 2**32 - 1),
)
def test_no_sound_makes_it_louder_by_more_than_3_db(parts, seed):
    canceller = EchoCanceller()
    for place, (near, far, is_echo) in enumerate(parts):
        count = FRAME * (MOST_LOUDER + 5)
        reference = sound(far, seed + place, count)
        microphone = reference if is_echo else sound(near, seed - place + 10, count)
        heard = cancel(canceller, microphone, reference)
        before = (microphone.reshape(-1, FRAME).astype(float) ** 2).sum(axis=1)
        after = (heard.reshape(-1, FRAME).astype(float) ** 2).sum(axis=1)
        assert (after**0.5 <= (2 * before) ** 0.5 + FRAME**0.5).all()  # and the rounding
        assert np.isfinite(canceller._weights).all()
        assert np.isfinite(canceller._variances).all()
        assert (canceller._variances >= 0).all()


def test_drift_of_the_test_room_is_what_it_says():
    sine = np.sin(np.arange(32_000) * 0.3)
    late = drifting(sine, 100e-6)
    expected = np.sin(np.arange(20_000, 20_100) * 0.3 * (1 - 100e-6))
    assert np.allclose(late[20_000:20_100], expected, atol=0.02)
