import stat

import numpy as np
import pytest

from fakes.portaudio import Card, FakeSoundDevice
from jarvis_ear.devices import portaudio
from jarvis_ear.devices.output import PortAudioOutput, ReplyFiles, file_name
from jarvis_ear.errors import SpeakerLost

PCM = np.arange(1000, dtype=np.int16)
ALL = 10_000


class Room:
    def __init__(self, card: Card):
        self.card = card
        self.sounds = FakeSoundDevice(card)
        self.output = PortAudioOutput("", library=self.sounds.library())


@pytest.fixture
def room():
    made = Room(Card("box", rate=48_000, rates=(48_000,), room=1500))
    assert made.output.open() == 48_000
    return made


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [("", ""), ("box", ""), ("USB", "no output device matches 'USB'; there are: 0 'box'")],
)
def test_a_loudspeaker_is_checked_without_opening_it(wanted, reason):
    sounds = FakeSoundDevice(Card("box"))
    assert PortAudioOutput(wanted, library=sounds.library()).check() == reason


def test_sound_goes_to_the_card_as_far_as_it_fits(room):
    assert room.output.write(PCM, ALL) == 1000
    assert bytes(room.card.played) == PCM.astype("<i2").tobytes()
    assert room.output.write(PCM, ALL) == 500
    assert room.output.write(PCM, ALL) == 0


def test_no_more_is_written_than_may_wait(room):
    assert room.output.write(PCM, 600) == 600
    assert room.output.waiting == 600
    assert room.output.write(PCM, 500) == 0
    room.card.room += 250  # the card has played
    assert room.output.write(PCM, 600) == 250
    assert (room.output.waiting, len(room.card.played)) == (600, 2 * 850)


def test_silence_is_written_up_to_a_length(room):
    assert room.output.rest(480) == 480
    room.card.room += 100
    assert room.output.rest(480) == 100
    assert bytes(room.card.played) == bytes(2 * 580)


def test_when_sound_is_heard_is_known(room, monkeypatch):
    monkeypatch.setattr(portaudio.time, "clock_gettime", lambda _: 100.0)
    room.output.write(PCM, ALL)
    assert room.output.heard_at == 100
    room.output.write(PCM, ALL)
    assert room.output.heard_at == pytest.approx(100 + 1000 / 48_000)


def test_an_underrun_is_told_once(room):
    told = []
    for underflowed in (False, True, False):
        room.card.underflowed = underflowed
        room.output.write(PCM[:100], ALL)
        told.append(room.output.underran)
    assert told == [False, True, False]


def test_a_card_that_is_unplugged_is_a_loss(room):
    room.output.write(PCM, ALL)
    room.card.plugged = False
    with pytest.raises(SpeakerLost, match=r"box: .*\(No such device\)"):
        room.output.write(PCM, ALL)


def test_a_card_that_fails_while_it_is_opened_is_closed_again():
    room = Room(Card("box"))
    room.sounds.refuse_start = True
    with pytest.raises(SpeakerLost, match="Error starting stream"):
        room.output.open()
    room.output.close()
    assert room.sounds.open_streams == []


def test_without_a_card_or_portaudio_the_speaker_is_lost():
    def absent():
        raise OSError("PortAudio library not found")

    with pytest.raises(SpeakerLost, match="no sound output device"):
        Room(Card("mic", outputs=0)).output.open()
    with pytest.raises(SpeakerLost, match="apt install libportaudio2"):
        PortAudioOutput("", library=portaudio.PortAudio(absent)).open()


def test_a_release_frees_what_a_closed_output_keeps():
    released = []
    PortAudioOutput("", library=object(), release=lambda: released.append(True)).release()
    assert released == [True]


def test_a_closed_speaker_takes_nothing_until_it_is_opened_again(room):
    room.output.close()
    room.output.close()
    assert room.sounds.open_streams == []
    with pytest.raises(SpeakerLost, match="speaker 'default' is not open"):
        room.output.write(PCM, ALL)
    room.output.open()
    assert room.output.write(PCM, ALL) == 1000


# Replies as files


def test_every_piece_is_a_file_that_only_its_owner_reads(tmp_path):
    folder = tmp_path / "new" / "replies"
    files, path = ReplyFiles(folder), folder / "7f3a-002.wav"
    for content in (b"RIFF", b"new"):
        files.save("7f3a", 2, content)
        assert path.read_bytes() == content
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (path, folder)]
    assert modes == [0o600, 0o700]


@pytest.mark.parametrize(
    ("turn_id", "index", "name"),
    [
        ("../../etc/passwd", 0, "______etc_passwd-000.wav"),
        ("/etc/x", 12, "_etc_x-012.wav"),
        ("", 1, "turn-001.wav"),
        ("a\0b\n", 1000, "a_b_-1000.wav"),
        ("ü" * 500, 1, "_" * 64 + "-001.wav"),
        ("a", -1, "a-999999.wav"),
        ("a", 10**300, "a-000.wav"),
    ],
)
def test_a_name_never_becomes_a_path(turn_id, index, name):
    assert file_name(turn_id, index) == name


def test_a_link_in_the_folder_is_not_followed(tmp_path):
    (tmp_path / "a-000.wav").symlink_to(tmp_path / "victim")
    files = ReplyFiles(tmp_path)
    files.save("a", 0, b"RIFF")
    assert not (tmp_path / "victim").exists()
    assert files.failures == 1


def test_a_folder_that_cannot_be_written_is_logged_once_as_a_warning(tmp_path, full_log):
    (tmp_path / "file").touch()
    files = ReplyFiles(tmp_path / "file")
    files.save("a", 0, b"RIFF")
    files.save("a", 1, b"RIFF")
    assert files.failures == 2
    assert [record.levelname for record in full_log.records] == ["WARNING", "DEBUG"]
