"""The file format of an utterance: valid records are read, all others are refused."""

import math
import struct
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.delivery.utterance import MAX_PCM_BYTES, Utterance
from jarvis_ear.spool import record
from jarvis_ear.spool.record import Header, NotARecord, Torn

BOOT = "0b1e5d6c-8f7a-4b3c-9d2e-1f0a9b8c7d6e"
PCM = bytes(range(256)) * 4


def utterance(pcm=PCM, turn_id="0a1b2c3d", ended_at=12.5):
    return Utterance(turn_id, pcm_to_wav(pcm), len(pcm), ended_at)


def file(spoken=None):
    spoken = spoken or utterance()
    return record.closed_header(spoken, BOOT) + spoken.pcm


@given(st.binary(max_size=3000), st.from_regex(r"[!-~]{1,64}", fullmatch=True))
def test_a_record_is_read_as_it_was_written(pcm, turn_id):
    spoken = utterance(pcm + pcm, turn_id)
    assert record.read(file(spoken)) == spoken
    header = record.read_header(file(spoken))
    assert (header.turn_id, header.boot_id, header.ended_at) == (turn_id, BOOT, 12.5)


def test_a_record_knows_its_agent():
    spoken = replace(utterance(), agent_id="kitchen")
    assert record.read(file(spoken)) == spoken
    assert record.fits(spoken)
    assert not record.fits(replace(spoken, agent_id="a b"))


def test_a_record_of_an_older_version_is_read():
    """Version 1 had no agent."""
    spoken = utterance()
    head = struct.pack("<4sHH64s36sdI", b"JESP", 1, 0, b"t1", BOOT.encode(), 12.5, len(spoken.pcm))
    crc = zlib.crc32(spoken.pcm, zlib.crc32(head))
    assert record.read(head + struct.pack("<I", crc) + spoken.pcm) == replace(spoken, turn_id="t1")


def test_an_utterance_that_was_not_finished_says_whose_it_is():
    begun = record.open_header("t1", BOOT, 3.0) + PCM
    assert record.read_header(begun) == Header("t1", BOOT, 3.0, None, 0)
    with pytest.raises(Torn, match="not finished"):
        record.read(begun)


@given(st.data())
def test_a_file_that_was_cut_or_changed_anywhere_is_never_taken_for_whole(data):
    whole = bytearray(file())
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    else:
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises((Torn, NotARecord)):
        record.read(bytes(whole))


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_in_one_of_two_ways(data):
    with pytest.raises((Torn, NotARecord)):
        record.read(data)


def test_odd_sound_is_torn():
    begun = bytearray(file())
    struct.pack_into("<I", begun, record.RECORD_HEADER_BYTES - 8, len(PCM) - 1)
    with pytest.raises(Torn, match="as long"):
        record.read(bytes(begun[:-1]))


def test_an_end_at_no_time_is_no_record():
    broken = record.open_header("t1", BOOT, math.nan)
    with pytest.raises(NotARecord, match="not a time"):
        record.read_header(broken)


def test_names_sort_by_age_and_hold_nothing_that_came_from_elsewhere():
    names = [record.name_of("0a1b2c3d", at) for at in (-1.0, 0.5, 9.0, 1e9, 1e300)]
    assert names == sorted(names)
    assert names[1] == "0000000000500-0a1b2c3d"
    names.append(record.name_of("../../etc/passwd", 1.0))
    assert all(record.NAME.fullmatch(name) for name in names)


@pytest.mark.parametrize(
    ("turn_id", "size", "fits"),
    [
        ("t1", 100, True),
        ("", 100, False),
        ("a b", 100, False),
        ("ä", 100, False),
        ("a" * 65, 100, False),
        ("t1", MAX_PCM_BYTES + 2, False),
    ],
)
def test_a_record_holds_only_short_plain_names_and_bounded_sound(turn_id, size, fits):
    assert record.fits(Utterance(turn_id, bytes(size), size, 0.0)) == fits
