import struct

import numpy as np
import pytest

from fakes.clock import FakeClock
from fakes.portaudio import Card, FakeSoundDevice, Holding
from jarvis_ear import config
from jarvis_ear.audio.frames import Framer
from jarvis_ear.audio.resample import resample
from jarvis_ear.devices import portaudio
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.portaudio import PortAudio
from jarvis_ear.devices.sound_library import LIVE, Quiet
from jarvis_ear.errors import DeviceError, MicrophoneUnavailable
from jarvis_ear.journal.sound import SOUND_LOST


class Room:
    """A microphone in a room in which time passes only while the reader sleeps."""

    def __init__(self, card: Card | None = None, *, hear=lambda mono: mono, **options):
        self.card = card or Card("mic")
        self.sounds = FakeSoundDevice(self.card)
        self.clock = FakeClock()
        self.running = True
        self.said = 0
        self.hear = hear
        self.microphone = Microphone(
            config.MicrophoneOptions(**options),
            library=Holding(self.sounds.library(sleep=self.sleep)),
            monotonic=self.clock.monotonic,
        )

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        if self.running:
            self.speak(round(seconds * self.card.rate))

    def speak(self, count: int) -> None:
        values = np.arange(self.said, self.said + count) % 30_000
        self.card.heard += self.hear(values).astype("<i2").tobytes()
        self.said += count

    def miss(self, seconds: float) -> None:
        """Time in which the card hears, nobody reads, and the buffer keeps nothing."""
        self.clock.now += seconds
        self.said += round(seconds * self.card.rate)
        self.card.heard.clear()
        self.card.overflowed = True

    def read(self, count: int) -> list:
        blocks = [self.microphone.read() for _ in range(count)]
        return [block for block in blocks if block is not None]


def sound(blocks) -> np.ndarray:
    return np.frombuffer(b"".join(block.data for block in blocks), "<i2")


@pytest.fixture
def room():
    made = Room()
    made.microphone.open()
    return made


def test_sound_comes_in_pieces_of_40_ms(room):
    blocks = room.read(10)
    assert [block.start for block in blocks] == list(range(0, 6400, 640))
    assert sound(blocks).tolist() == list(range(6400))


def test_it_sleeps_for_as_long_as_the_rest_of_a_piece_takes(room):
    room.speak(160)
    room.read(2)
    assert room.clock.sleeps == [pytest.approx(0.03), pytest.approx(0.04)]


def test_a_backlog_is_read_without_sleeping_a_second_at_a_time(room):
    room.speak(40_000)
    assert [len(block.data) // 2 for block in room.read(3)] == [16_000, 16_000, 8000]
    assert room.clock.sleeps == []


def test_one_read_waits_no_longer_than_a_piece(room):
    room.running = False
    assert room.microphone.read() is None
    assert sum(room.clock.sleeps) <= 0.05


def test_an_overflow_becomes_a_gap_of_the_right_length(room):
    before = room.read(10)
    room.miss(1.5)
    after = room.read(10)
    assert after[0].start == before[-1].end + 24_000
    assert (room.microphone.gaps, room.microphone.samples_lost) == (1, 24_000)
    framer = Framer()
    frames = [frame for block in before + after for frame in framer.push(block)]
    assert all(struct.unpack_from("<h", one.pcm)[0] == one.start % 30_000 for one in frames)


def test_who_was_kept_from_looking_does_not_blame_the_device(room):
    room.read(2)
    room.running = False
    room.miss(2.0)  # and after an overrun the device begins anew, with nothing
    assert room.microphone.read() is None
    room.running = True
    assert len(room.read(3)) == 3


def test_gaps_are_warned_of_at_once_and_then_added_up(room, caplog):
    for _ in range(1200):
        room.read(2)
        room.miss(1.0)
        room.read(1)
    warned = [record for record in caplog.records if record.EVENT == "SoundLost"]
    assert [record.levelname for record in warned] == ["WARNING"] * len(warned)
    assert 2 <= len(warned) <= 3
    assert warned[0].getMessage() == "microphone 'mic' lost 1000 ms of sound"
    assert SOUND_LOST.message_id == warned[0].MESSAGE_ID
    assert SOUND_LOST.references <= set(vars(warned[0]))
    lost_ms = room.microphone.samples_lost // 16
    assert lost_ms - 600_000 < sum(record.LOST_MS for record in warned) <= lost_ms


def test_a_stall_is_a_loss_after_the_configured_time(room):
    room.read(5)
    room.running = False
    heard_at = room.clock.now
    with pytest.raises(MicrophoneUnavailable, match="microphone 'mic' gave no sound for 500 ms"):
        room.read(100)
    assert 0.5 <= room.clock.now - heard_at <= 0.6


def test_the_first_sound_may_take_longer(room):
    room.running = False
    opened_at = room.clock.now
    with pytest.raises(MicrophoneUnavailable, match="for 3000 ms"):
        room.read(100)
    assert 3.0 <= room.clock.now - opened_at <= 3.1


def test_an_unplugged_card_is_a_loss_at_once(room):
    room.read(5)
    room.card.plugged = False
    with pytest.raises(
        MicrophoneUnavailable, match=r"'mic': Unanticipated host error \(No such device\)"
    ):
        room.microphone.read()
    room.microphone.close()
    with pytest.raises(MicrophoneUnavailable, match="no sound input device"):
        room.microphone.open()


def test_after_a_loss_the_time_without_is_a_gap(room):
    before = room.read(10)
    room.microphone.close()
    room.clock.now += 7.0
    room.microphone.open()
    after = room.read(10)
    assert after[0].start == pytest.approx(before[-1].end + 7 * 16_000, abs=640)
    assert room.microphone.gaps == 0  # the card lost nothing: it was away


def test_even_the_shortest_time_without_is_a_gap(room):
    before = room.read(10)
    room.microphone.close()
    room.microphone.open()
    assert room.read(1)[0].start >= before[-1].end + 320


def test_an_open_that_gave_no_sound_does_not_shorten_the_gap(room):
    before = room.read(10)
    for _ in range(2):
        room.microphone.close()
        room.clock.now += 2.0
        room.microphone.open()
    assert room.read(1)[0].start == pytest.approx(before[-1].end + 4 * 16_000, abs=640)


def test_a_card_of_another_rate_is_resampled():
    room = Room(Card("usb", rate=48_000, rates=(48_000,)))
    room.microphone.open()
    blocks = room.read(100)
    spoken = np.arange(room.said) % 30_000
    whole = resample(spoken.astype(np.int16), 48_000, 16_000)
    assert np.array_equal(sound(blocks), whole[: len(sound(blocks))])
    assert blocks[-1].end > 60_000


def test_a_loss_at_another_rate_is_counted_at_16_khz():
    room = Room(Card("usb", rate=48_000, rates=(48_000,)))
    room.microphone.open()
    room.read(50)
    heard = room.said
    room.miss(1.0)
    after = room.read(5)
    assert after[0].start == pytest.approx((heard + 48_000) / 3, abs=1)


def test_its_name_is_what_is_open_else_what_is_wanted():
    room = Room(device="mi")
    assert room.microphone.name == "microphone 'mi'"
    assert Room().microphone.name == "microphone 'default'"
    room.microphone.open()
    assert room.microphone.name == "microphone 'mic'"


def test_closing_twice_is_as_good_as_once(room):
    room.microphone.close()
    room.microphone.close()
    assert room.sounds.open_streams == []
    with pytest.raises(MicrophoneUnavailable, match="is not open"):
        room.microphone.read()


def test_without_portaudio_the_microphone_is_lost_not_the_program():
    def absent():
        raise OSError("PortAudio library not found")

    microphone = Microphone(
        config.MicrophoneOptions(), library=Holding(portaudio.PortAudio(absent))
    )
    with pytest.raises(MicrophoneUnavailable, match="apt install libportaudio2"):
        microphone.open()
    microphone.close()


def stereo(mono: np.ndarray) -> np.ndarray:
    return np.stack([mono, -mono // 2], axis=1)


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        (1, lambda mono: -mono // 2),
        ("mix", lambda mono: np.rint((mono + -mono // 2) / 2)),
    ],
)
def test_a_channel_is_chosen_or_all_are_mixed(channel, expected):
    room = Room(Card("pair", inputs=2), hear=stereo, channel=channel)
    room.microphone.open()
    heard = sound(room.read(10))
    assert heard.tolist() == expected(np.arange(6400)).tolist()


def test_the_first_channel_needs_no_other(room):
    pair = Room(Card("pair", inputs=2))
    pair.microphone.open()
    assert sound(pair.read(10)).tolist() == list(range(6400))


def test_a_channel_that_the_device_has_not_is_a_loss():
    with pytest.raises(
        MicrophoneUnavailable, match="has 1 channel, the first is 0; channel 1 is wanted"
    ):
        Room(channel=1).microphone.open()


def test_a_sound_server_mixes_by_itself():
    room = Room(Card("pulse", inputs=32), channel="mix")
    room.microphone.open()
    assert sound(room.read(1)).tolist() == list(range(640))


def test_an_overflow_is_counted(room):
    room.read(10)
    room.miss(1.0)
    room.read(1)
    assert room.microphone.overflows == 1


def test_ten_seconds_of_one_value_are_silence_too(room):
    room.running = False
    for _ in range(11):
        room.card.heard += struct.pack("<h", -3) * 16_000
        room.read(1)
    assert "gives only the value -3: muted, or not connected?" in room.microphone.silence


def test_other_options_count_from_the_next_opening_on(room):
    room.microphone.change(config.MicrophoneOptions(device="elsewhere"))
    assert room.read(1)
    room.microphone.close()
    with pytest.raises(MicrophoneUnavailable, match="elsewhere"):
        room.microphone.open()
    room.microphone.change(config.MicrophoneOptions(device="mic"))
    room.microphone.open()
    assert room.read(1)


def give(room, *values: int) -> None:
    """A second in which these values repeat."""
    room.card.heard += np.resize(np.array(values, "<i2"), 16_000).tobytes()
    room.read(1)


def test_a_dead_microphone_says_so_until_there_is_sound(room):
    room.running = False
    for _ in range(10):
        assert room.microphone.silence == ""
        give(room, 0)
    assert room.microphone.silence == (
        "microphone 'mic' gives only zeros: muted, or not connected?"
    )
    give(room, 0, 5)
    assert room.microphone.silence == ""


def test_a_dead_line_is_told_after_a_minute(room):
    room.running = False
    for _ in range(60):
        assert room.microphone.silence == ""
        give(room, -1, 0, 1)
    assert "gives only values from -1 to 1" in room.microphone.silence


def test_a_dead_line_of_another_rate_is_as_dead():
    room = Room(Card("usb", rate=48_000, rates=(48_000,)))
    room.microphone.open()
    room.running = False
    for _ in range(3 * 60):
        give(room, -1, 1, 0)
    assert room.microphone.silence


def test_clipping_is_measured_and_warned_of_once_an_hour(room, caplog):
    room.running = False
    for _ in range(3 * 3600):
        give(room, *[32_767] * 2, *[1000] * 98, *[-32_768] * 2, *[-1000] * 98)
        room.clock.now += 1
    assert room.microphone.clipped == pytest.approx(0.02)
    warned = [record for record in caplog.records if record.EVENT == "SoundClipped"]
    assert 3 <= len(warned) <= 4
    assert warned[0].CLIPPED_PERCENT == "2"
    assert "is too loud: 2 % of the last minute is clipped; lower its gain" in caplog.text


def test_a_line_at_the_end_of_its_scale_is_dead_and_not_too_loud(room, caplog):
    room.running = False
    for _ in range(120):
        give(room, 32_767)
    assert [record.EVENT for record in caplog.records].count("SoundClipped") <= 1
    assert "the value 32767" in room.microphone.silence


def test_a_monitor_is_called_one_at_the_start_and_once(caplog):
    room = Room(Card("Monitor of Box"))
    for _ in range(3):
        room.microphone.open()
        room.microphone.close()
    assert room.microphone.is_monitor
    assert [record.EVENT for record in caplog.records] == ["MicrophoneMonitor"]
    assert "is the monitor of a loudspeaker" in caplog.text


def test_a_server_that_moves_us_to_a_monitor_and_back_is_noticed(caplog):
    room = Room(Card("pulse", inputs=32))
    source = ["alsa_input.usb"]
    room.microphone._library = Holding(
        PortAudio(lambda: room.sounds, sleep=room.sleep, source=lambda: source[0])
    )
    room.microphone.open()
    room.running = False
    assert not room.microphone.is_monitor
    source[0] = "alsa_output.pci.monitor"
    for _ in range(11):
        give(room, 0)
    assert room.microphone.is_monitor
    assert room.microphone.silence.endswith("gives only zeros: a monitor, and no microphone")
    source[0] = "alsa_input.usb"
    give(room, 0, 50)
    assert (room.microphone.is_monitor, room.microphone.silence) == (False, "")
    assert [record.EVENT for record in caplog.records] == ["MicrophoneMonitor"]


def test_a_library_that_does_not_answer_costs_only_the_answer(room, monkeypatch):
    def fail():
        raise DeviceError("the sound system did not answer within 5 s")

    monkeypatch.setattr(room.microphone._library, "devices", fail)
    room.running = False
    for _ in range(11):
        give(room, 0)
    assert room.microphone.silence
    assert not room.microphone.is_monitor


def test_an_interrupt_makes_this_read_and_the_next_one_live(room):
    holds = []
    room.microphone.hold_quiet(Quiet(4.0))
    give(room, 50)
    room.microphone._reading.stream.hold = holds.append
    room.microphone.interrupt()
    room.microphone.keep_live("turn", wanted=True)
    room.microphone.keep_live("turn", wanted=False)
    assert holds == [LIVE] * 3
    give(room, 50)
    assert holds[3:] == [Quiet(4.0)]
    room.microphone.keep_live("turn", wanted=True)
    room.microphone.keep_live("console", wanted=True)
    room.microphone.keep_live("turn", wanted=False)
    assert holds[4:] == [LIVE] * 3
    room.microphone.keep_live("console", wanted=False)
    assert holds[7:] == [Quiet(4.0)]
