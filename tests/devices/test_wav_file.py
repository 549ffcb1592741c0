import os
import struct
import threading

import numpy as np
import pytest

from fakes.clock import FakeClock
from jarvis_ear.audio.resample import resample
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.devices.sources import EndOfSound, WavFile
from jarvis_ear.errors import InputError


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(-9000, 9000, count, dtype=np.int16)


def write(path, content: bytes):
    path.write_bytes(content)
    return path


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
    return np.frombuffer(b"".join(block.data for block in blocks), "<i2")


def failure(source) -> str:
    with pytest.raises(InputError) as caught:
        read_all(source)
    assert str(caught.value).startswith(source.name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_sample_comes_once_and_in_its_place(tmp_path):
    path = write(tmp_path / "a.wav", pcm_to_wav(noise(16_123).tobytes()))
    blocks = read_all(WavFile(path, fast=True))
    assert np.array_equal(sound(blocks), noise(16_123))
    assert [block.start for block in blocks] == list(range(0, 16_123, 640))


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_another_rate_is_heard_at_16_khz(tmp_path, rate):
    path = write(tmp_path / "a.wav", pcm_to_wav(noise(rate).tobytes(), rate))
    blocks = read_all(WavFile(path, fast=True))
    assert np.array_equal(sound(blocks), resample(noise(rate), rate, 16_000))
    assert blocks[-1].end == len(sound(blocks))


def test_in_real_time_every_block_comes_when_its_last_sample_was_spoken(tmp_path):
    clock = FakeClock()
    path = write(tmp_path / "a.wav", pcm_to_wav(noise(16_000).tobytes()))
    source = WavFile(path, monotonic=clock.monotonic, sleep=clock.sleep)
    source.open()
    began, came = clock.now, []
    for _ in range(25):
        block = source.read()
        came.append((block.end / 16_000, clock.now - began))
    assert all(due == pytest.approx(at) for due, at in came)


def test_a_slow_reader_makes_no_drift(tmp_path):
    clock = FakeClock()
    path = write(tmp_path / "a.wav", pcm_to_wav(noise(32_000).tobytes()))
    source = WavFile(path, monotonic=clock.monotonic, sleep=clock.sleep)
    source.open()
    began = clock.now
    for turn in range(50):
        source.read()
        clock.now += 0.3 if turn == 10 else 0.01
    assert clock.now - began == pytest.approx(2.0, abs=0.02)


def test_fast_never_sleeps(tmp_path):
    clock = FakeClock()
    path = write(tmp_path / "a.wav", pcm_to_wav(noise(16_000).tobytes()))
    read_all(WavFile(path, fast=True, monotonic=clock.monotonic, sleep=clock.sleep))
    assert clock.sleeps == []


def test_a_file_can_be_heard_again_after_it_was_closed(tmp_path):
    path = write(tmp_path / "a.wav", pcm_to_wav(noise(1000).tobytes()))
    source = WavFile(path, fast=True)
    assert np.array_equal(sound(read_all(source)), sound(read_all(source)))
    source.close()


def test_a_file_that_is_not_open_has_no_sound(tmp_path):
    with pytest.raises(EndOfSound):
        WavFile(tmp_path / "a.wav").read()


def test_a_large_file_is_not_loaded(tmp_path):
    path = tmp_path / "huge.wav"
    with path.open("wb") as file:
        file.write(pcm_to_wav(b"")[:40] + struct.pack("<I", 0xFFFFFFFF))
        file.truncate(10 * 1024**3)  # a hole: it takes no disk
    source = WavFile(path, fast=True)
    source.open()
    assert len(source.read().data) == 1280
    source.close()


@pytest.mark.parametrize("size", [0, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_streamed_file_that_knows_no_length_is_heard_to_its_end(tmp_path, size):
    content = bytearray(pcm_to_wav(noise(1000).tobytes()))
    content[40:44] = struct.pack("<I", size)
    assert len(sound(read_all(WavFile(write(tmp_path / "a.wav", content), fast=True)))) == 1000


def test_a_missing_file(tmp_path):
    said = failure(WavFile(tmp_path / "none.wav"))
    assert said.endswith("cannot be read (No such file or directory), expected a WAV file")


def test_a_folder(tmp_path):
    assert "Is a directory" in failure(WavFile(tmp_path))


def test_a_file_we_may_not_read(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)  # root may read everything
    assert "Permission denied" in failure(WavFile(tmp_path / "a.wav"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not a WAV file that can be read: it starts with b''"),
        (b"ID3\4mp3 of a song", "it starts with b'ID3\\x04', expected a RIFF header"),
        (pcm_to_wav(bytes(100))[:40], "ends before its sound begins"),
        (pcm_to_wav(bytes(100))[:44], "holds no sound"),
        (pcm_to_wav(b""), "holds no sound"),
        (pcm_to_wav(bytes(100))[:100], "is cut off: its header says 100 bytes, it holds 56"),
    ],
)
def test_what_is_no_complete_sound_is_refused_before_anything_is_heard(tmp_path, content, said):
    assert said in failure(WavFile(write(tmp_path / "a.wav", content)))


def piped(tmp_path, content: bytes) -> WavFile:
    path = tmp_path / "pipe.wav"
    os.mkfifo(path)
    threading.Thread(target=path.write_bytes, args=(content,), daemon=True).start()
    return WavFile(path, fast=True)


def test_a_named_pipe_is_heard(tmp_path):
    source = piped(tmp_path, pcm_to_wav(noise(5000).tobytes()))
    assert np.array_equal(sound(read_all(source)), noise(5000))


def test_a_named_pipe_that_breaks_is_cut_off(tmp_path):
    assert "20 bytes of sound are missing" in failure(piped(tmp_path, pcm_to_wav(bytes(100))[:-20]))


def test_a_named_pipe_without_sound(tmp_path):
    assert "holds no sound" in failure(piped(tmp_path, pcm_to_wav(b"")))


def test_a_disk_that_fails_in_the_middle(tmp_path):
    source = WavFile(write(tmp_path / "a.wav", pcm_to_wav(bytes(10_000))), fast=True)
    source.open()
    source.read()

    def fail(_count):
        raise OSError(5, "Input/output error")

    source._reader.read = fail
    with pytest.raises(InputError, match=r"cannot be read any further \(Input/output error\)"):
        source.read()
