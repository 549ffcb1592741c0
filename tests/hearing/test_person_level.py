import numpy as np
import pytest

from jarvis_ear.audio.frames import Frame
from jarvis_ear.hearing.person_level import (
    BEFORE_WORD,
    CONVERSATION,
    NEVER_REFUSED,
    UNKNOWN_ROOM,
    PersonLevel,
    RoomSound,
    levels,
    loudness,
    room_sound,
)
from jarvis_ear.units import FRAME_SAMPLES, Samples

BELOW_DB = 10.0
AT = BEFORE_WORD
ROOM_FRAMES = 225
"""4.5 s."""


def sound(*stretches: tuple[float, int]) -> list[Frame]:
    """Frames of square waves: RMS and number of frames of each stretch."""
    rms = np.repeat([rms for rms, _ in stretches], [count for _, count in stretches])
    waves = np.tile([1.0, -1.0], FRAME_SAMPLES // 2)
    return [
        Frame(Samples(number * FRAME_SAMPLES), (level * waves).astype("<i2").tobytes())
        for number, level in enumerate(rms)
    ]


def rms(level: float) -> float:
    """RMS of a level as a ratio of energies to a wake word of 1000."""
    return 1000 * level**0.5


class TalkModel:
    """A ``SpeechModel`` that calls everything speech that is louder than silence."""

    def __init__(self) -> None:
        self.frames = 0

    def load(self) -> None: ...

    def unload(self) -> None: ...

    def reset(self) -> None:
        self.frames = 0

    def probability(self, pcm: bytes, gain: float) -> float:
        self.frames += 1
        return float(np.frombuffer(pcm, "<i2").max() * gain > 60)


def level_in(room: float, talk_model: TalkModel, played_until: int = 0) -> PersonLevel:
    """Level of a person whose wake word of 1 s has an RMS of 1000, in a room that talks."""
    level = PersonLevel(BELOW_DB)
    heard = sound((room, ROOM_FRAMES), (room, 15), (1000, 50))
    level.note_word(heard, AT, talk_model, played_until=Samples(played_until))
    return level


def test_a_command_in_a_quiet_room_may_be_quieter_than_the_wake_word_as_configured():
    level = level_in(10, model := TalkModel())
    assert level.demand.loudness == pytest.approx(1000**2 / 10, rel=0.01)
    assert not level.demand.because_of_talk
    assert level.demand.noise == 0
    assert model.frames == 0  # whether a quiet room talks makes no difference


def test_the_energies_of_person_and_television_add_up():
    level = level_in(rms(0.2), TalkModel())
    assert level.demand.loudness == pytest.approx(1000**2 * (0.1 + 0.2 * 0.9), rel=0.01)
    assert level.demand.because_of_talk
    louder = level_in(rms(0.5), TalkModel())
    assert louder.demand.loudness == pytest.approx(1000**2 * NEVER_REFUSED, rel=0.01)


@pytest.mark.parametrize("played_until", [1, BEFORE_WORD])
def test_the_loudspeaker_is_not_the_room(played_until):
    level = level_in(rms(0.2), model := TalkModel(), played_until)
    assert not level.demand.because_of_talk
    assert model.frames == 0


def test_a_room_of_which_too_little_was_heard_is_not_known():
    level = PersonLevel(BELOW_DB)
    heard = sound((rms(0.2), ROOM_FRAMES + 14), (1000, 50))
    level.note_word(
        heard, Samples(len(heard) * FRAME_SAMPLES), TalkModel(), played_until=Samples(0)
    )
    assert not level.demand.because_of_talk


def test_the_rest_of_a_sentence_and_speech_without_a_wake_word_have_one_demand():
    level = level_in(rms(0.2), TalkModel())
    assert level.demand_of_rest.syllable == level.demand.syllable > 0
    assert level.demand_of_rest.loudness == 0
    level.expect_no_word()
    assert level.demand.syllable == level.first > 0
    assert not level.demand.certain


def measured(*stretches: tuple[float, int], speech: float = 1.0) -> RoomSound:
    """The sound of a room in which a share of all frames is speech."""
    room = sound(*stretches)
    answers = iter([1.0] * round(speech * len(room)) + [0.0] * len(room))
    return room_sound(room, 1000.0**2, lambda _pcm: next(answers))


def test_those_who_talk_a_third_of_the_time_are_a_television():
    assert measured((300, ROOM_FRAMES), speech=0.34).talk == pytest.approx(300**2, rel=0.01)
    assert measured((300, ROOM_FRAMES), speech=0.32).talk == 0


def test_talk_as_loud_as_the_wake_word_is_a_conversation():
    assert measured((rms(CONVERSATION * 0.97), ROOM_FRAMES)).talk > 0
    assert measured((rms(CONVERSATION * 1.03), ROOM_FRAMES)) == UNKNOWN_ROOM


def test_what_comes_again_and_again_is_noise_and_one_bang_is_not():
    clatter = [(500.0, 10), (20.0, 35)] * 5
    assert measured(*clatter, speech=0.0).noise == pytest.approx(500**2, rel=0.01)
    bang = [(20.0, 90), (5000.0, 10), (20.0, 125)]
    assert measured(*bang, speech=0.0).noise == pytest.approx(20**2, rel=0.1)
    assert measured(*clatter, speech=0.51).noise == 0


def test_levels_are_those_of_syllables():
    found = levels(sound((100, 20), (200, 20)))
    assert len(found) == 36
    assert found[0] == pytest.approx(100**2)
    assert loudness(found) == pytest.approx(200**2)
    assert len(levels(sound((100, 4)))) == 0
    assert loudness(levels([])) == 1.0


def test_speech_is_compared_with_the_wake_word():
    level = level_in(10, TalkModel())
    assert level.below_word_db(1000**2 / 10) == pytest.approx(10, abs=0.1)
    assert level.below_word_db(0.0) == pytest.approx(60, abs=0.1)
