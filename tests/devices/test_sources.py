import os
import pty
import struct
import threading
from itertools import pairwise

import numpy as np
import pytest

from fakes.clock import FakeClock
from fakes.kernel import Kernel
from fakes.portaudio import Card, FakeSoundDevice
from jarvis_ear import config
from jarvis_ear.audio.resample import resample
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.devices import portaudio_process
from jarvis_ear.devices.diagnose import SoundCards
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.sources import (
    EndOfSound,
    Stdin,
    WavFile,
    check_source,
    make_source,
    mistake_in,
    why_unavailable,
)
from jarvis_ear.errors import DeviceError, InputError


@pytest.mark.parametrize(
    ("options", "kind", "live", "name"),
    [
        ({}, Microphone, True, "microphone 'default'"),
        ({"input": "-"}, Stdin, False, "standard input"),
        ({"input": "speech.wav", "fast": True}, WavFile, False, "speech.wav"),
    ],
)
def test_the_options_choose_the_source(options, kind, live, name):
    source = make_source(config.MicrophoneOptions(**options))
    assert isinstance(source, kind)
    assert (source.live, source.name) == (live, name)


@pytest.fixture
def kernel(tmp_path):
    made = Kernel(tmp_path)
    made.list_cards({0: "PCH", 1: "Device"})
    return made


def test_a_microphone_in_use_is_unavailable_with_its_holder(kernel, tmp_path):
    kernel.hold(1, pid=42, program="arecord")
    reason = why_unavailable("device", FakeSoundDevice().library(), SoundCards(tmp_path))
    assert reason.startswith("no sound input device")
    assert reason.endswith("; hw:CARD=Device is held by arecord (pid 42)")


class SlowLibrary:
    """A sound system that has not come up yet."""

    def devices(self):
        raise DeviceError("the sound system did not answer within 5 s")


def test_a_name_that_no_microphone_has_is_a_mistake_unless_it_may_come_later(monkeypatch):
    library = FakeSoundDevice(Card("box")).library()
    monkeypatch.setattr(portaudio_process, "for_input", lambda: library)
    options = config.MicrophoneOptions(device="rode")
    with pytest.raises(DeviceError, match="no input device matches 'rode'"):
        check_source(options, waits=False)
    check_source(options, waits=True)
    check_source(config.MicrophoneOptions(device="box"), waits=False)


@pytest.mark.parametrize("library", [SlowLibrary(), FakeSoundDevice().library()])
def test_while_the_sound_system_is_not_there_a_name_is_no_mistake(monkeypatch, library):
    monkeypatch.setattr(portaudio_process, "for_input", lambda: library)
    check_source(config.MicrophoneOptions(device="rode"), waits=False)


@pytest.mark.parametrize("wanted", ["hw:1,0", "plughw:1", "hw:CARD=Device"])
def test_a_microphone_in_use_is_no_mistake(kernel, tmp_path, wanted):
    library = FakeSoundDevice(Card("PCH (hw:0,0)")).library()
    assert mistake_in(wanted, library, SoundCards(tmp_path)).startswith("no input device matches")
    kernel.hold(1, pid=42, program="arecord")
    assert mistake_in(wanted, library, SoundCards(tmp_path)) == ""


# A sound file


def test_a_file_that_cannot_be_looked_at_is_one_that_cannot_be_read():
    with pytest.raises(InputError, match=r"cannot be read .*too long"):
        check_source(config.MicrophoneOptions(input="x" * 300), waits=False)


# Standard input


@pytest.fixture
def pipe():
    """An open source, and the file that writes to it."""
    read_end, write_end = os.pipe()
    writer = os.fdopen(write_end, "wb", buffering=0)
    source = Stdin(read_end)
    source.open()
    yield source, writer
    writer.close()
    os.close(read_end)


@pytest.mark.parametrize(
    ("writes", "reads"),
    [
        ([b"\1\0\2\0", b"\3\0"], [(0, b"\1\0\2\0"), (2, b"\3\0")]),
        ([b"\1", b"\0\2", b"\0"], [None, (0, b"\1\0"), (1, b"\2\0")]),  # halves of samples
        ([bytes(10_000)], [(0, bytes(2560))]),  # one step at most
    ],
)
def test_raw_samples_come_as_they_are_written(pipe, writes, reads):
    source, writer = pipe
    assert source.read() is None
    for written, expected in zip(writes, reads, strict=True):
        writer.write(written)
        block = source.read()
        assert (block and (block.start, block.data)) == expected


def test_the_end_drops_an_odd_byte(pipe):
    source, writer = pipe
    writer.write(b"\1\0\2")
    writer.close()
    assert source.read().data == b"\1\0"
    for _ in range(2):
        with pytest.raises(EndOfSound):
            source.read()
    source.close()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "holds no sound, expected raw PCM16, 16 kHz"),
        (b"RIFF....WAVE", "starts like a WAV file"),
    ],
)
def test_what_is_no_raw_sound_is_refused(pipe, content, error):
    source, writer = pipe
    writer.write(content)
    writer.close()
    with pytest.raises(InputError, match=error):
        source.read()


def test_a_terminal_is_refused():
    ours, theirs = pty.openpty()
    try:
        with pytest.raises(InputError, match="is a terminal"):
            Stdin(theirs).open()
    finally:
        os.close(ours)
        os.close(theirs)


def test_the_default_is_the_standard_input_of_the_process(monkeypatch, tmp_path):
    path = tmp_path / "raw"
    path.write_bytes(b"\1\0")
    with path.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        source = Stdin()
        source.open()
        assert source.read().data == b"\1\0"
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="standard input is closed"):
        Stdin().open()


def test_standard_input_that_cannot_be_read(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        source = Stdin(descriptor)
        source.open()
        with pytest.raises(InputError, match="cannot be read: Is a directory"):
            source.read()
    finally:
        os.close(descriptor)


def test_a_source_that_is_not_open_has_no_sound():
    for source in (Stdin(), WavFile("a.wav")):
        with pytest.raises(EndOfSound):
            source.read()


# WAV files


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(-9000, 9000, count, dtype=np.int16)


@pytest.fixture
def wav(tmp_path):
    """Makes the source of a file with this content, or with so many samples of noise."""

    def make(
        content: bytes | int, rate: int = 16_000, *, clock: FakeClock | None = None, **options
    ):
        path = tmp_path / "a.wav"
        if isinstance(content, int):
            content = pcm_to_wav(noise(content).tobytes(), rate)
        path.write_bytes(content)
        if clock:
            options.update(monotonic=clock.monotonic, sleep=clock.sleep)
        return WavFile(path, **options)

    return make


def read_all(source) -> list:
    blocks = []
    source.open()
    try:
        while True:
            block = source.read()
            if block is not None:
                blocks.append(block)
    except EndOfSound:
        return blocks
    finally:
        source.close()


def sound(blocks) -> np.ndarray:
    assert all(one.end == other.start for one, other in pairwise(blocks))
    return np.frombuffer(b"".join(block.data for block in blocks), "<i2")


def failure(source) -> str:
    with pytest.raises(InputError) as caught:
        read_all(source)
    assert str(caught.value).startswith(source.name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_sample_comes_once_and_in_its_place_and_fast_never_sleeps(wav):
    clock = FakeClock()
    blocks = read_all(wav(16_123, clock=clock, fast=True))
    assert np.array_equal(sound(blocks), noise(16_123))
    assert [block.start for block in blocks] == list(range(0, 16_123, 640))
    assert clock.sleeps == []


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_another_rate_is_converted_to_16_khz(wav, rate):
    blocks = read_all(wav(rate, rate, fast=True))
    assert np.array_equal(sound(blocks), resample(noise(rate), rate, 16_000))
    assert blocks[-1].end == len(sound(blocks))


def test_in_real_time_every_block_comes_when_its_last_sample_was_spoken(wav):
    clock = FakeClock()
    source = wav(16_000, clock=clock)
    source.open()
    began, came = clock.now, []
    for _ in range(25):
        block = source.read()
        came.append((block.end / 16_000, clock.now - began))
    assert all(due == pytest.approx(at) for due, at in came)


def test_a_slow_reader_makes_no_drift(wav):
    clock = FakeClock()
    source = wav(32_000, clock=clock)
    source.open()
    began = clock.now
    for turn in range(50):
        source.read()
        clock.now += 0.3 if turn == 10 else 0.01
    assert clock.now - began == pytest.approx(2.0, abs=0.02)


def test_a_file_can_be_read_again_after_it_was_closed(wav):
    source = wav(1000, fast=True)
    assert np.array_equal(sound(read_all(source)), sound(read_all(source)))
    source.close()


def test_a_large_file_is_not_loaded(wav):
    source = wav(pcm_to_wav(b"")[:40] + struct.pack("<I", 0xFFFFFFFF), fast=True)
    os.truncate(source.name, 10 * 1024**3)  # a hole: it takes no disk
    source.open()
    assert len(source.read().data) == 1280
    source.close()


@pytest.mark.parametrize("size", [0, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_streamed_file_of_unknown_length_is_read_to_its_end(wav, size):
    content = bytearray(pcm_to_wav(noise(1000).tobytes()))
    content[40:44] = struct.pack("<I", size)
    assert len(sound(read_all(wav(content, fast=True)))) == 1000


def test_a_file_that_cannot_be_opened(tmp_path, monkeypatch):
    error = failure(WavFile(tmp_path / "none.wav"))
    assert error.endswith("cannot be read (No such file or directory), expected a WAV file")
    assert "Is a directory" in failure(WavFile(tmp_path))

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)  # root may read everything
    assert "Permission denied" in failure(WavFile(tmp_path / "a.wav"))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "is not a WAV file that can be read: it starts with b''"),
        (b"ID3\4mp3 of a song", "it starts with b'ID3\\x04', expected a RIFF header"),
        (pcm_to_wav(bytes(100))[:40], "ends before its sound begins"),
        (pcm_to_wav(bytes(100))[:44], "holds no sound"),
        (pcm_to_wav(b""), "holds no sound"),
        (pcm_to_wav(bytes(100))[:100], "is cut off: its header says 100 bytes, it holds 56"),
    ],
)
def test_an_incomplete_file_is_refused_before_any_sound(wav, content, error):
    assert error in failure(wav(content))


@pytest.fixture
def named_pipe(tmp_path):
    def make(content: bytes) -> WavFile:
        path = tmp_path / "pipe.wav"
        os.mkfifo(path)
        threading.Thread(target=path.write_bytes, args=(content,), daemon=True).start()
        return WavFile(path, fast=True)

    return make


def test_a_named_pipe_is_read(named_pipe):
    source = named_pipe(pcm_to_wav(noise(5000).tobytes()))
    assert np.array_equal(sound(read_all(source)), noise(5000))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (pcm_to_wav(bytes(100))[:-20], "20 bytes of sound are missing"),
        (pcm_to_wav(b""), "holds no sound"),
    ],
)
def test_a_named_pipe_with_incomplete_sound_is_refused(named_pipe, content, error):
    assert error in failure(named_pipe(content))


def test_a_disk_that_fails_in_the_middle(wav):
    source = wav(5000, fast=True)
    source.open()
    source.read()

    def fail(_count):
        raise OSError(5, "Input/output error")

    source._reader.read = fail
    with pytest.raises(InputError, match=r"cannot be read any further \(Input/output error\)"):
        source.read()
