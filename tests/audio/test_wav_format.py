import io
import os
import warnings

import pytest

from jarvis_ear.audio.wav import Encoding, WavError, WavFormat, pcm_to_wav, read_format


class Pipe(io.BytesIO):
    def seekable(self):
        return False

    def seek(self, *_):
        raise OSError("a pipe cannot be rewound")


def with_extra(size: int, there: int) -> bytes:
    sound = pcm_to_wav(b"\1\0")
    return sound[:36] + b"LIST" + size.to_bytes(4, "little") + bytes(there) + sound[36:]


def test_a_header_is_read_up_to_the_first_sample():
    file = io.BytesIO(pcm_to_wav(b"\1\0\2\0", 8000))
    form = read_format(file)
    assert (form.rate, form.channels, form.encoding) == (8000, 1, Encoding.S16)
    assert (form.data_bytes, form.frame_bytes) == (4, 2)
    assert file.read() == b"\1\0\2\0"


def test_an_unknown_length_is_none():
    assert read_format(io.BytesIO(pcm_to_wav(b""))).data_bytes is None


def test_a_pipe_is_read_where_a_file_is_skipped():
    for opened in (io.BytesIO, Pipe):
        file = opened(with_extra(200_000, 200_000))
        assert read_format(file).data_bytes == 2
        assert file.read() == b"\1\0"


def test_a_pipe_that_ends_in_a_chunk_has_no_sound():
    for opened in (io.BytesIO, Pipe):
        with pytest.raises(WavError, match="ends before its sound begins"):
            read_format(opened(with_extra(200_000, 0)[:100]))


def test_a_real_pipe_works():
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "wb") as writer:
        writer.write(with_extra(1000, 1000))
    with os.fdopen(read_end, "rb") as file:
        assert read_format(file).rate == 16_000


@pytest.mark.parametrize(
    ("encoding", "sample", "heard"),
    [
        (Encoding.F32, "0000c07f", 0),  # no number
        (Encoding.F32, "0100807f", 0),  # no number, of the signalling kind
        (Encoding.F32, "ffff7f7f", 32767),  # the largest number
        (Encoding.F32, "0000807f", 32767),  # larger than any
        (Encoding.F32, "000080ff", -32768),
        (Encoding.F64, "000000000000f87f", 0),
        (Encoding.F64, "010000000000f07f", 0),
        (Encoding.F64, "ffffffffffffef7f", 32767),
        (Encoding.F64, "000000000000f0ff", -32768),
    ],
)
def test_numbers_that_are_no_sound_are_heard_without_a_warning(encoding, sample, heard):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sound = WavFormat(16_000, 1, encoding, None).decode(bytes.fromhex(sample) * 40)
    assert sound.tolist() == [[heard]] * 40
