import numpy as np
import pytest

from fakes.clock import FakeClock
from fakes.portaudio import Card, FakeSoundDevice
from jarvis_ear.devices import portaudio
from jarvis_ear.devices.output import LATENCY_S, PortAudioOutput
from jarvis_ear.errors import SpeakerLost

PCM = np.arange(1000, dtype=np.int16)


class Room:
    def __init__(self, card: Card):
        self.card = card
        self.clock = FakeClock()
        self.sounds = FakeSoundDevice(card)
        self.output = PortAudioOutput(
            "",
            library=self.sounds.library(),
            monotonic=self.clock.monotonic,
            sleep=self.clock.sleep,
        )


@pytest.fixture
def room():
    made = Room(Card("box", rate=48_000, rates=(48_000,), room=1500))
    assert made.output.open() == 48_000
    return made


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [("", ""), ("box", ""), ("USB", "no output device matches 'USB'; there are: 0 'box'")],
)
def test_whether_there_is_such_a_loudspeaker_is_known_without_opening_it(wanted, reason):
    sounds = FakeSoundDevice(Card("box"))
    output = PortAudioOutput(wanted, library=sounds.library())
    assert output.check() == reason


def test_sound_goes_to_the_card(room):
    assert room.output.write(PCM) == 1000
    assert bytes(room.card.played) == PCM.astype("<i2").tobytes()


def test_no_more_is_written_than_fits(room):
    room.output.write(PCM)
    assert room.output.write(PCM) == 500
    assert room.clock.sleeps == []


def test_a_write_without_room_waits_a_moment(room):
    room.card.room = 0
    assert room.output.write(PCM) == 0
    assert sum(room.clock.sleeps) == pytest.approx(0.02)


def test_room_that_is_made_meanwhile_is_used(room):
    room.card.room = 0

    def sleep(_):
        room.card.room = 100

    room.output._sleep = sleep
    assert room.output.write(PCM) == 100


def test_sound_is_pending_until_the_buffer_is_empty(room):
    assert not room.output.pending()
    room.output.write(PCM)
    assert room.output.pending()
    room.card.room = 1500
    assert not room.output.pending()


def test_a_buffer_that_never_empties_is_not_waited_for(room):
    room.output.write(PCM)
    room.clock.now += LATENCY_S + 1
    assert not room.output.pending()


def test_a_card_that_goes_is_a_loss(room):
    room.output.write(PCM)
    room.card.plugged = False
    assert not room.output.pending()
    with pytest.raises(SpeakerLost, match=r"box: .*\(No such device\)"):
        room.output.write(PCM)


def test_no_card_at_all():
    with pytest.raises(SpeakerLost, match="no sound output device"):
        Room(Card("mic", outputs=0)).output.open()


def test_a_card_that_dies_while_it_is_opened_is_closed_again():
    room = Room(Card("box"))
    room.sounds.refuse_start = True
    with pytest.raises(SpeakerLost, match="Error starting stream"):
        room.output.open()
    room.output.close()
    assert room.sounds.open_streams == []


def test_no_portaudio_at_all():
    def absent():
        raise OSError("PortAudio library not found")

    with pytest.raises(SpeakerLost, match="apt install libportaudio2"):
        PortAudioOutput("", library=portaudio.PortAudio(absent)).open()


def test_what_is_closed_cannot_be_written(room):
    room.output.close()
    room.output.close()
    assert room.sounds.open_streams == []
    with pytest.raises(SpeakerLost, match="speaker 'default' is not open"):
        room.output.write(PCM)


def test_it_can_be_opened_again(room):
    room.output.close()
    room.output.open()
    assert room.output.write(PCM) == 1000
