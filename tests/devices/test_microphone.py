import itertools
import struct

import numpy as np
import pytest

from fakes.clock import FakeClock
from fakes.portaudio import Card, FakeSoundDevice, Holding
from jarvis_ear import config
from jarvis_ear.audio.frames import Framer
from jarvis_ear.audio.resample import resample
from jarvis_ear.devices.microphone import Microphone, StreamClock
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
        self.spoken = 0
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
        values = np.arange(self.spoken, self.spoken + count) % 30_000
        self.card.heard += self.hear(values).astype("<i2").tobytes()
        self.spoken += count

    def miss(self, seconds: float) -> None:
        """Time in which the card hears, nothing is read, and the buffer keeps nothing."""
        self.clock.now += seconds
        self.spoken += round(seconds * self.card.rate)
        self.card.heard.clear()
        self.card.overflowed = True

    def read(self, count: int) -> list:
        """The blocks of so many reads."""
        blocks = [self.microphone.read() for _ in range(count)]
        return [block for block in blocks if block is not None]


def sound(blocks) -> np.ndarray:
    return np.frombuffer(b"".join(block.data for block in blocks), "<i2")


def opened(*arguments, **options) -> Room:
    made = Room(*arguments, **options)
    made.microphone.open()
    return made


def card_of_48_khz() -> Card:
    return Card("usb", rate=48_000, rates=(48_000,))


@pytest.fixture
def room():
    return opened()


@pytest.fixture
def quiet_room(room):
    """A room in which the microphone hears only what the test gives it."""
    room.running = False
    return room


def give(room, *values: int, seconds: int = 1) -> None:
    """So many seconds in which these values repeat."""
    for _ in range(seconds):
        room.card.heard += np.resize(np.array(values, "<i2"), 16_000).tobytes()
        room.read(1)


def test_sound_comes_in_pieces_of_20_ms(room):
    blocks = room.read(10)
    assert [block.start for block in blocks] == list(range(0, 3200, 320))
    assert sound(blocks).tolist() == list(range(3200))


@pytest.mark.parametrize(
    ("spoken", "sizes", "sleeps"),
    [(160, [320, 320], [0.01, 0.02]), (40_000, [16_000, 16_000, 8000], [])],
)
def test_a_read_waits_for_the_rest_of_a_piece_or_takes_a_second(room, spoken, sizes, sleeps):
    room.speak(spoken)
    assert [len(block.data) // 2 for block in room.read(len(sizes))] == sizes
    assert room.clock.sleeps == pytest.approx(sleeps)


def test_one_read_waits_no_longer_than_a_piece(quiet_room):
    assert quiet_room.microphone.read() is None
    assert sum(quiet_room.clock.sleeps) <= 0.03


def test_an_overflow_becomes_a_gap_of_the_right_length(room):
    before = room.read(10)
    room.miss(1.5)
    after = room.read(10)
    assert after[0].start == before[-1].end + 24_000
    assert (room.microphone.gaps, room.microphone.samples_lost) == (1, 24_000)
    assert room.microphone.overflows == 1
    framer = Framer()
    frames = [frame for block in before + after for frame in framer.push(block)]
    assert all(struct.unpack_from("<h", one.pcm)[0] == one.start % 30_000 for one in frames)


def test_a_reader_that_paused_does_not_take_it_for_a_stall(room):
    room.read(2)
    room.running = False
    room.miss(2.0)  # and after an overrun the device begins anew, with nothing
    assert room.microphone.read() is None
    room.running = True
    assert len(room.read(3)) == 3


def test_gaps_are_logged_at_once_and_then_added_up(room, caplog):
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


@pytest.mark.parametrize(("heard", "limit_ms"), [(5, 500), (0, 3000)])
def test_a_stall_is_a_loss_and_the_first_sound_may_take_longer(room, heard, limit_ms):
    room.read(heard)
    room.running = False
    heard_at = room.clock.now
    with pytest.raises(
        MicrophoneUnavailable, match=f"microphone 'mic' gave no sound for {limit_ms} ms"
    ):
        room.read(200)
    assert 0 <= room.clock.now - heard_at - limit_ms / 1000 <= 0.1


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


@pytest.mark.parametrize("attempts", [[0.0], [7.0], [2.0, 2.0]])
def test_the_time_of_a_loss_is_a_gap_however_many_openings_it_takes(room, attempts):
    before = room.read(10)
    for seconds in attempts:
        room.microphone.close()
        room.clock.now += seconds
        room.microphone.open()
    start = room.read(1)[0].start
    assert start >= before[-1].end + 320
    assert start == pytest.approx(before[-1].end + sum(attempts) * 16_000, abs=640)
    assert room.microphone.gaps == 0  # the card lost nothing: it was away


def test_a_card_of_another_rate_is_resampled():
    room = opened(card_of_48_khz())
    blocks = room.read(200)
    spoken = np.arange(room.spoken) % 30_000
    whole = resample(spoken.astype(np.int16), 48_000, 16_000)
    assert np.array_equal(sound(blocks), whole[: len(sound(blocks))])
    assert blocks[-1].end > 60_000


def test_a_loss_at_another_rate_is_counted_at_16_khz():
    room = opened(card_of_48_khz())
    room.read(50)
    heard = room.spoken
    room.miss(1.0)
    assert room.read(5)[0].start == pytest.approx((heard + 48_000) / 3, abs=1)


def test_the_name_is_that_of_the_open_device_or_of_the_wanted_one():
    room = Room(device="mi")
    assert room.microphone.name == "microphone 'mi'"
    assert Room().microphone.name == "microphone 'default'"
    room.microphone.open()
    assert room.microphone.name == "microphone 'mic'"


def test_a_microphone_can_be_closed_twice(room):
    room.microphone.close()
    room.microphone.close()
    assert room.sounds.open_streams == []
    with pytest.raises(MicrophoneUnavailable, match="is not open"):
        room.microphone.read()


def test_without_portaudio_the_microphone_is_lost():
    def absent():
        raise OSError("PortAudio library not found")

    microphone = Microphone(config.MicrophoneOptions(), library=Holding(PortAudio(absent)))
    with pytest.raises(MicrophoneUnavailable, match="apt install libportaudio2"):
        microphone.open()
    microphone.close()


def stereo(mono: np.ndarray) -> np.ndarray:
    return np.stack([mono, -mono // 2], axis=1)


@pytest.mark.parametrize(
    ("card", "options", "expected"),
    [
        (Card("pair", inputs=2), {}, lambda mono: mono),  # the first needs no other
        (Card("pair", inputs=2), {"channel": 1, "hear": stereo}, lambda mono: -mono // 2),
        (
            Card("pair", inputs=2),
            {"channel": "mix", "hear": stereo},
            lambda mono: np.rint((mono + -mono // 2) / 2),
        ),
        (Card("pulse", inputs=32), {"channel": "mix"}, lambda mono: mono),  # the server mixes
    ],
)
def test_a_channel_is_chosen_or_all_are_mixed(card, options, expected):
    heard = sound(opened(card, **options).read(10))
    assert heard.tolist() == expected(np.arange(3200)).tolist()


def test_a_channel_that_the_device_has_not_is_a_loss():
    with pytest.raises(
        MicrophoneUnavailable, match="has 1 channel, the first is 0; channel 1 is wanted"
    ):
        opened(channel=1)


def test_other_options_apply_from_the_next_opening_on(room):
    room.microphone.change(config.MicrophoneOptions(device="elsewhere"))
    assert room.read(1)
    room.microphone.close()
    with pytest.raises(MicrophoneUnavailable, match="elsewhere"):
        room.microphone.open()
    room.microphone.change(config.MicrophoneOptions(device="mic"))
    room.microphone.open()
    assert room.read(1)


@pytest.mark.parametrize(
    ("values", "seconds", "text"),
    [
        ([0], 10, "gives only zeros: muted, or not connected?"),
        ([-3], 10, "gives only the value -3: muted, or not connected?"),
        ([-1, 0, 1], 60, "gives only values from -1 to 1: muted, or not connected?"),
    ],
)
def test_a_dead_microphone_is_silent_until_there_is_sound(quiet_room, values, seconds, text):
    for _ in range(seconds):
        assert quiet_room.microphone.silence == ""
        give(quiet_room, *values)
    assert quiet_room.microphone.silence == f"microphone 'mic' {text}"
    give(quiet_room, 0, 50)
    assert quiet_room.microphone.silence == ""


def test_a_dead_line_of_another_rate_is_silent():
    room = opened(card_of_48_khz())
    room.running = False
    give(room, -1, 1, 0, seconds=3 * 60)
    assert room.microphone.silence


def test_clipping_is_measured_and_logged_once_an_hour(quiet_room, caplog):
    for _ in range(3 * 3600):
        give(quiet_room, *[32_767] * 2, *[1000] * 98, *[-32_768] * 2, *[-1000] * 98)
        quiet_room.clock.now += 1
    assert quiet_room.microphone.clipped == pytest.approx(0.02)
    warned = [record for record in caplog.records if record.EVENT == "SoundClipped"]
    assert 3 <= len(warned) <= 4
    assert warned[0].CLIPPED_PERCENT == "2"
    assert "is too loud: 2 % of the last minute is clipped; lower its gain" in caplog.text


def test_a_line_at_the_end_of_its_scale_is_silent_and_not_too_loud(quiet_room, caplog):
    give(quiet_room, 32_767, seconds=120)
    assert [record.EVENT for record in caplog.records].count("SoundClipped") <= 1
    assert "the value 32767" in quiet_room.microphone.silence


def test_a_monitor_is_logged_once(caplog):
    room = Room(Card("Monitor of Box"))
    for _ in range(3):
        room.microphone.open()
        room.microphone.close()
    assert room.microphone.is_monitor
    assert [record.EVENT for record in caplog.records] == ["MicrophoneMonitor"]
    assert "is the monitor of a loudspeaker" in caplog.text


def test_a_server_that_changes_to_a_monitor_and_back_is_noticed(caplog):
    room = Room(Card("pulse", inputs=32))
    source = ["alsa_input.usb"]
    room.microphone._library = Holding(
        PortAudio(lambda: room.sounds, sleep=room.sleep, source=lambda: source[0])
    )
    room.microphone.open()
    room.running = False
    assert not room.microphone.is_monitor
    source[0] = "alsa_output.pci.monitor"
    give(room, 0, seconds=11)
    assert room.microphone.is_monitor
    assert room.microphone.silence.endswith("gives only zeros: a monitor, and no microphone")
    source[0] = "alsa_input.usb"
    give(room, 0, 50)
    assert (room.microphone.is_monitor, room.microphone.silence) == (False, "")
    assert [record.EVENT for record in caplog.records] == ["MicrophoneMonitor"]


def test_the_silence_is_known_when_the_library_does_not_answer(quiet_room, monkeypatch):
    def fail():
        raise DeviceError("the sound system did not answer within 5 s")

    monkeypatch.setattr(quiet_room.microphone._library, "devices", fail)
    give(quiet_room, 0, seconds=11)
    assert quiet_room.microphone.silence
    assert not quiet_room.microphone.is_monitor


# The clock of a stream


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(7).integers(-9000, 9000, count, dtype=np.int16)


def begun(rate: int) -> StreamClock:
    clock = StreamClock()
    clock.begin(rate, 0)
    return clock


def push(clock: StreamClock, pcm: np.ndarray, piece: int = 1920) -> list:
    blocks = [clock.push(pcm[at : at + piece]) for at in range(0, len(pcm), piece)]
    return [block for block in blocks if block is not None]


def test_at_16_khz_sound_passes_unchanged():
    blocks = push(StreamClock(), noise(16_000))
    assert np.array_equal(sound(blocks), noise(16_000))
    assert all(a.end == b.start for a, b in itertools.pairwise(blocks))


def test_another_rate_is_converted_as_a_whole():
    blocks = push(begun(48_000), noise(48_000))
    whole = resample(noise(48_000), 48_000, 16_000)
    assert np.array_equal(sound(blocks), whole[: blocks[-1].end])
    assert blocks[0].start == 0
    assert blocks[-1].end > 14_000


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_sound_after_a_gap_has_the_right_position(rate):
    clock, framer = begun(rate), Framer()
    before = push(clock, noise(rate))
    clock.skip(rate // 2)
    after = push(clock, noise(rate))
    assert before[-1].end <= 16_000
    assert after[0].start == 24_000
    for block in before + after:
        framer.push(block)
    assert framer.gaps == 1


def test_a_new_device_begins_after_the_time_without():
    clock = StreamClock()
    push(clock, noise(16_000))
    clock.begin(48_000, 2.5)
    assert push(clock, noise(48_000))[0].start == 56_000


def test_many_small_gaps_do_not_drift():
    clock = begun(44_100)
    for _ in range(100):
        push(clock, noise(4000))
        clock.skip(410)
    total = 100 * 4410 * 16_000 / 44_100
    assert abs(push(clock, noise(4410))[0].start - total) <= 50  # half a sample per gap at most


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
