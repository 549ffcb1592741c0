from jarvis_ear.audio.level import SILENCE, WINDOW, NoiseFloor
from jarvis_ear.units import Dbfs


def test_the_floor_is_the_room_between_the_words():
    floor = NoiseFloor()
    for turn in range(200):
        floor.hear(Dbfs(-60.0 if turn % 4 == 0 else -20.0))
    assert floor.level == -60.0


def test_one_moment_of_nothing_is_not_the_room():
    floor = NoiseFloor()
    for level in [-100.0] + [-55.0] * 50:
        floor.hear(Dbfs(level))
    assert floor.level == -55.0


def test_a_room_that_became_louder_is_forgotten_after_half_a_minute():
    floor = NoiseFloor()
    for level in [-70.0] * 100 + [-40.0] * WINDOW:
        floor.hear(Dbfs(level))
    assert floor.level == -40.0


def test_before_the_first_sound_it_is_silence():
    assert NoiseFloor().level == SILENCE
