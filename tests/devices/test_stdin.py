import os
import pty

import pytest

from jarvis_ear.devices.sources import EndOfSound, Stdin
from jarvis_ear.errors import InputError


@pytest.fixture
def pipe():
    read_end, write_end = os.pipe()
    writer = os.fdopen(write_end, "wb", buffering=0)
    yield read_end, writer
    writer.close()
    os.close(read_end)


def test_raw_samples_come_as_they_are_written(pipe):
    read_end, writer = pipe
    source = Stdin(read_end)
    source.open()
    writer.write(b"\1\0\2\0")
    assert source.read().data == b"\1\0\2\0"
    writer.write(b"\3\0")
    block = source.read()
    assert (block.start, block.data) == (2, b"\3\0")


def test_a_sample_may_come_in_halves(pipe):
    read_end, writer = pipe
    source = Stdin(read_end)
    source.open()
    writer.write(b"\1\0\2")
    assert source.read().data == b"\1\0"
    writer.write(b"\0")
    block = source.read()
    assert (block.start, block.data) == (1, b"\2\0")


def test_half_a_sample_is_not_there_yet(pipe):
    read_end, writer = pipe
    source = Stdin(read_end)
    source.open()
    writer.write(b"\1")
    assert source.read() is None


def test_nothing_comes_while_nobody_writes(pipe):
    source = Stdin(pipe[0])
    source.open()
    assert source.read() is None


def test_the_end_drops_an_odd_byte(pipe):
    read_end, writer = pipe
    writer.write(b"\1\0\2")
    writer.close()
    source = Stdin(read_end)
    source.open()
    assert source.read().data == b"\1\0"
    for _ in range(2):
        with pytest.raises(EndOfSound):
            source.read()
    source.close()


def test_one_read_is_one_step_at_most(pipe):
    read_end, writer = pipe
    writer.write(bytes(10_000))
    source = Stdin(read_end)
    source.open()
    assert len(source.read().data) == 2560


def test_no_sound_at_all(pipe):
    read_end, writer = pipe
    writer.close()
    source = Stdin(read_end)
    source.open()
    with pytest.raises(InputError, match="holds no sound, expected raw PCM16, 16 kHz"):
        source.read()


def test_a_wav_file_is_told_where_it_belongs(pipe):
    read_end, writer = pipe
    writer.write(b"RIFF....WAVE")
    source = Stdin(read_end)
    source.open()
    with pytest.raises(InputError, match="starts like a WAV file"):
        source.read()


def test_a_terminal_is_refused():
    ours, theirs = pty.openpty()
    try:
        with pytest.raises(InputError, match="is a terminal"):
            Stdin(theirs).open()
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_closed_standard_input_is_refused(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="standard input is closed"):
        Stdin().open()


def test_the_processs_own_standard_input_is_the_default(monkeypatch, tmp_path):
    path = tmp_path / "raw"
    path.write_bytes(b"\1\0")
    with path.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        source = Stdin()
        source.open()
        assert source.read().data == b"\1\0"


def test_something_that_cannot_be_read(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        source = Stdin(descriptor)
        source.open()
        with pytest.raises(InputError, match="cannot be read: Is a directory"):
            source.read()
    finally:
        os.close(descriptor)


def test_before_it_is_open_there_is_no_sound():
    with pytest.raises(EndOfSound):
        Stdin().read()
