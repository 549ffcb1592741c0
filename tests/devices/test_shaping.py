import numpy as np
import pytest

from jarvis_ear.devices.shaping import DUCK_S, FADE_S, RELEASE_S, VOLUME_S, Shaper, gain_of

RATE = 16_000
LOUD = np.full(RATE, 20_000, np.int16)


def shape(shaper: Shaper, count: int, piece: int = 160) -> np.ndarray:
    """The next samples of a constant sound, in pieces."""
    got = []
    for _ in range(0, count, piece):
        got.append(shaper.shape(LOUD[:piece]))
        shaper.advance(piece)
    return np.concatenate(got)


@pytest.mark.parametrize(("volume", "db"), [(100, 0), (50, -18.06), (10, -60), (1, -120)], ids=str)
def test_the_volume_follows_a_cube(volume, db):
    assert 20 * np.log10(gain_of(volume)) == pytest.approx(db, abs=0.01)


def test_at_full_volume_sound_is_not_touched():
    assert Shaper(RATE).shape(LOUD) is LOUD


def test_volume_zero_is_silence():
    assert not shape(Shaper(RATE, 0), 160).any()


@pytest.mark.parametrize("piece", [1, 7, 160, 4000])
def test_a_gain_does_not_depend_on_the_pieces(piece):
    pieces, whole = (Shaper(RATE) for _ in range(2))
    for shaper in (pieces, whole):
        shaper.set(40, ducked=True)
    count = 4000 - 4000 % piece
    assert np.array_equal(shape(pieces, count, piece)[:count], whole.shape(LOUD[:count]))


def test_a_shape_that_is_not_passed_changes_nothing():
    shaper = Shaper(RATE)
    shaper.set(40, ducked=True)
    assert np.array_equal(shaper.shape(LOUD), shaper.shape(LOUD))


@pytest.mark.parametrize(
    ("change", "seconds", "end"),
    [
        (lambda shaper: shaper.set(50, ducked=False), VOLUME_S, 2500),
        (lambda shaper: shaper.set(100, ducked=True), DUCK_S, 5024),
        (lambda shaper: shaper.fade_out(), FADE_S, 0),
    ],
    ids=["volume", "duck", "fade"],
)
def test_a_change_takes_its_time_and_makes_no_step(change, seconds, end):
    shaper = Shaper(RATE)
    change(shaper)
    length = round(seconds * RATE)
    shaped = shape(shaper, 1600)
    assert (shaped[length:] == end).all()
    assert (shaped[1 : length - 1] > end).all()
    assert np.abs(np.diff(shaped.astype(int))).max() <= 20_000 / length + 1


def test_after_ducking_the_gain_returns_slowly_from_where_it_was():
    shaper = Shaper(RATE)
    shaper.set(100, ducked=True)
    half = shape(shaper, 160)[-1]
    shaper.set(100, ducked=False)
    back = shape(shaper, 8000)
    assert abs(int(back[0]) - int(half)) < 100
    assert (back[round(RELEASE_S * RATE) :] == 20_000).all()


def test_a_fade_in_rises_from_silence_and_a_new_reply_has_none():
    shaper = Shaper(RATE, ducked=True)
    shaper.fade_in()
    shaped = shape(shaper, 320)
    assert (shaped[0], shaped[-1]) == (0, 5024)
    shaper.fade_out()
    shaper.open()
    assert (shape(shaper, 160) == 5024).all()
