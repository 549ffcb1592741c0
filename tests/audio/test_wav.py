import contextlib
import io
import os
import struct
import time
import warnings
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jarvis_ear.audio.wav import (
    HEADER_BYTES,
    Encoding,
    Sound,
    WavError,
    WavFormat,
    WavReader,
    decode_wav,
    mix,
    pcm_to_wav,
    read_format,
)


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body


def fmt(tag=1, channels=1, rate=16_000, bits=16, align=None) -> bytes:
    align = channels * bits // 8 if align is None else align
    return struct.pack("<HHIIHH", tag, channels, rate, rate * align & 0xFFFFFFFF, align, bits)


def riff(*chunks: bytes, form: bytes = b"WAVE", riff: bytes = b"RIFF") -> bytes:
    body = form + b"".join(chunks)
    return riff + struct.pack("<I", len(body)) + body


def wav(data: bytes, size: int | None = None, **form) -> bytes:
    return riff(chunk(b"fmt ", fmt(**form)), chunk(b"data", data, size))


def decode(data: bytes, max_seconds: float = 10.0) -> Sound:
    return decode_wav(data, max_seconds=max_seconds)


def values(data: bytes) -> list[int]:
    return decode(data).pcm.reshape(-1).tolist()


def test_our_file_is_what_the_standard_library_reads():
    pcm = np.arange(-500, 500, dtype="<i2").tobytes()
    made = pcm_to_wav(pcm, 22_050)
    with wave.open(io.BytesIO(made)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (22_050, 1, 2)
        assert file.readframes(file.getnframes()) == pcm
    assert len(made) == HEADER_BYTES + 2000
    assert struct.unpack_from("<I", made, 4) == (len(made) - 8,)
    assert struct.unpack_from("<I", made, 40) == (2000,)
    assert struct.unpack_from("<I", pcm_to_wav(b""), 24) == (16_000,)


def test_half_a_sample_is_refused():
    with pytest.raises(WavError, match="3 bytes of sound; PCM16 needs an even count"):
        pcm_to_wav(b"abc")


@settings(deadline=None)
@given(st.lists(st.integers(-32768, 32767)), st.integers(1000, 384_000))
def test_what_we_write_we_read(samples, rate):
    pcm = np.array(samples, dtype="<i2")
    sound = decode(pcm_to_wav(pcm.tobytes(), rate))
    assert (sound.rate, sound.channels) == (rate, 1)
    assert np.array_equal(sound.mono(), pcm)


INFINITE = struct.pack("<3f", float("nan"), float("inf"), float("-inf"))


@pytest.mark.parametrize(
    ("form", "data", "expected"),
    [
        ({"bits": 8}, bytes([0, 128, 255]), [-32768, 0, 32512]),
        ({"bits": 16}, struct.pack("<3h", -32768, 1, 32767), [-32768, 1, 32767]),
        ({"bits": 24}, b"\xff\x00\x80" + b"\x00\x01\x00" + b"\xff\xff\x7f", [-32768, 1, 32767]),
        ({"bits": 32}, struct.pack("<3i", -(2**31), 1 << 16, 2**31 - 1), [-32768, 1, 32767]),
        ({"tag": 3, "bits": 32}, struct.pack("<3f", -1.0, 0.25, 1.0), [-32768, 8192, 32767]),
        ({"tag": 3, "bits": 64}, struct.pack("<3d", -9.0, 1 / 32768, 9.0), [-32768, 1, 32767]),
        ({"tag": 3, "bits": 32}, INFINITE, [0, 32767, -32768]),
        ({"align": 0}, b"\7\0", [7]),  # a format may leave its alignment out
    ],
)
def test_every_encoding_becomes_pcm16(form, data, expected):
    assert values(wav(data, **form)) == expected


def test_the_extensible_form_names_its_encoding_in_a_guid():
    tail = bytes.fromhex("000000001000800000aa00389b71")
    extension = struct.pack("<HHIH", 22, 16, 4, 1) + tail
    body = fmt(tag=0xFFFE) + extension
    assert values(riff(chunk(b"fmt ", body), chunk(b"data", b"\5\0"))) == [5]


@pytest.mark.parametrize("extension", [b"", struct.pack("<HHIH", 22, 16, 4, 1) + bytes(14)])
def test_an_unknown_sub_format_is_refused(extension):
    body = fmt(tag=0xFFFE) + extension
    with pytest.raises(WavError, match="unknown sub-format"):
        decode(riff(chunk(b"fmt ", body), chunk(b"data", b"\5\0")))


def test_channels_are_mixed_to_their_mean():
    sound = decode(wav(struct.pack("<4h", 100, 200, -3, -4), channels=2))
    assert sound.pcm.shape == (2, 2)
    assert sound.mono().tolist() == [150, -4]
    assert decode(wav(bytes(64_000), channels=2)).seconds == 1.0
    one = np.array([[1], [2]], np.int16)
    assert np.shares_memory(mix(one), one)


@pytest.mark.parametrize("size", [0, 0x7FFF_F000, 0xFFFF_FFFF, 1000, 7, 4])
def test_a_size_is_believed_if_the_file_holds_as_much(size):
    sound = bytearray(wav(struct.pack("<3h", 1, 2, 3), size))
    sound[4:8] = b"\xff\xff\xff\xff"  # the size of the whole file does not matter
    assert values(bytes(sound)) == ([1, 2] if size == 4 else [1, 2, 3])


def test_an_incomplete_sample_at_the_end_is_dropped():
    assert values(wav(b"\1\0\2\0\3")) == [1, 2]
    assert values(wav(b"\1\0\2\0\3\0", channels=2)) == [1, 2]


def test_other_chunks_are_passed_over_with_their_padding():
    sound = riff(
        chunk(b"LIST", b"odd", 3) + b"\0",
        chunk(b"fmt ", fmt() + b"\0\0"),
        chunk(b"fact", b"\0\0\0\0"),
        chunk(b"data", b"\7\0"),
        chunk(b"id3 ", b"more"),
    )
    assert values(sound) == [7]


def test_rf64_is_a_riff_of_unknown_size():
    sound = riff(
        chunk(b"ds64", bytes(28)),
        chunk(b"fmt ", fmt()),
        chunk(b"data", b"\7\0", 0xFFFFFFFF),
        riff=b"RF64",
    )
    assert values(sound) == [7]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "starts with b'', expected a RIFF header"),
        (b"OggS" + bytes(40), "starts with b'OggS'"),
        (b"RIFF\0\0\0\0", "expected a RIFF header"),
        (riff(form=b"AVI "), "of type b'AVI ', expected WAVE"),
        (riff(), "ends before its sound begins"),
        (riff(chunk(b"fmt ", fmt())), "ends before its sound begins"),
        (riff(chunk(b"LIST", b"", 0xFFFFFFF0)), "ends before its sound begins"),
        (riff(chunk(b"data", b"\0\0")), "expected a fmt chunk first"),
        (riff(chunk(b"fmt ", b"short")), "in 5 bytes, expected at least 16"),
        (riff(chunk(b"fmt ", fmt(), 5000)), "in 5000 bytes, expected 16 to 40"),
        (riff(*[chunk(b"junk", b"")] * 100), "within its first 64 chunks"),
        (wav(b"", tag=2, bits=4), "format 0x0002 with 4 bits"),
        (wav(b"", bits=12), "with 12 bits"),
        (wav(b"", tag=3, bits=16), "format 0x0003 with 16 bits"),
        (wav(b"", channels=0), "0 channels"),
        (wav(b"", channels=33), "33 channels, expected 1 to 32"),
        (wav(b"", rate=999), "999 samples per second"),
        (wav(b"", rate=384_001), "384001 samples per second"),
        (wav(b"", bits=24, align=4), "packs a sample into 4 bytes, expected 3"),
    ],
)
def test_an_unknown_format_is_refused_in_one_sentence(data, error):
    with pytest.raises(WavError) as caught:
        decode(data)
    assert error in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [None, 0])
def test_sound_that_is_too_long_is_refused(size):
    assert decode(wav(bytes(32_000), size), max_seconds=1.0).seconds == 1.0
    with pytest.raises(WavError, match="longer than the 1 s"):
        decode(wav(bytes(32_002), size), max_seconds=1.0)


def test_hostile_files_cost_no_time():
    # 8 MiB each: a million empty chunks; the slowest encoding; the most channels.
    files = [
        riff(*[chunk(b"junk", b"")] * (1 << 20)),
        wav(bytes(8 << 20), tag=3, bits=32, rate=384_000),
        wav(bytes(8 << 20), bits=8, rate=384_000, channels=32),
    ]
    for file in files:
        began = time.process_time()
        with contextlib.suppress(WavError):
            decode(file, max_seconds=180)
        assert time.process_time() - began < 0.5  # 0.05 s on an idle desktop


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_decode_or_raise_wav_error(data):
    for attempt in (data, b"RIFF\0\0\0\0WAVE" + data, wav(data)):
        with contextlib.suppress(WavError):
            decode(attempt)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_to_a_file_decodes_or_raises_wav_error(data):
    file = bytearray(wav(struct.pack("<20h", *range(20)), channels=2))
    for _ in range(data.draw(st.integers(1, 6))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    try:
        sound = decode(bytes(file[: data.draw(st.integers(0, len(file)))]))
    except WavError:
        return
    assert sound.pcm.dtype == np.int16
    assert sound.pcm.shape[1] == sound.channels
    assert len(sound.mono()) == len(sound.pcm)


# The format at the beginning of a file


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
    assert read_format(io.BytesIO(pcm_to_wav(b""))).data_bytes is None


@pytest.mark.parametrize("opened", [io.BytesIO, Pipe])
def test_a_pipe_is_read_where_a_file_is_skipped(opened):
    file = opened(with_extra(200_000, 200_000))
    assert read_format(file).data_bytes == 2
    assert file.read() == b"\1\0"
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
def test_infinite_and_undefined_numbers_are_decoded_without_a_warning(encoding, sample, heard):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sound = WavFormat(16_000, 1, encoding, None).decode(bytes.fromhex(sample) * 40)
    assert sound.tolist() == [[heard]] * 40


# Reading piece by piece


@settings(deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=20))
def test_pieces_of_any_length_are_the_whole(lengths):
    pcm = np.arange(1000, dtype=np.int16)
    reader = WavReader(io.BytesIO(pcm_to_wav(pcm.tobytes()) + b"trailing chunk"))
    got = np.concatenate([reader.read(length) for length in lengths])
    assert np.array_equal(got, pcm[: len(got)])
    assert len(got) == min(1000, sum(lengths))
    assert reader.missing_bytes == 2000 - 2 * len(got)


def test_a_reader_mixes_channels():
    file = wav(struct.pack("<4h", 10, 20, 30, 40), channels=2)
    reader = WavReader(io.BytesIO(file))
    assert reader.format.channels == 2
    assert reader.read(5).tolist() == [15, 35]


@pytest.mark.parametrize(
    ("file", "samples", "missing", "there"),
    [(pcm_to_wav(bytes(100))[:-20], 40, 20, 80), (wav(bytes(100), 0xFFFFFFFF), 50, 0, 100)],
)
def test_the_missing_bytes_of_a_file_of_known_length_are_counted(file, samples, missing, there):
    reader = WavReader(io.BytesIO(file))
    assert len(reader.read(1000)) == samples
    assert len(reader.read(1000)) == 0
    assert (reader.missing_bytes, reader.read_bytes) == (missing, there)


def test_another_kind_of_file_is_refused():
    with pytest.raises(WavError):
        WavReader(io.BytesIO(b"fLaC"))
