import gc
import io
import logging
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fakes.program import run
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.devices import decoder
from jarvis_ear.devices.decoder import Decoder, UnplayableError, sniffed

RATE = 24_000
MAX_S = 5.0
FORMATS = {
    "mp3": ("MP3", "MPEG_LAYER_III", "audio/mpeg"),
    "vorbis": ("OGG", "VORBIS", "audio/ogg; codecs=vorbis"),
    "opus": ("OGG", "OPUS", "audio/ogg; codecs=opus"),
    "flac": ("FLAC", "PCM_16", "audio/flac"),
}


def tone(seconds: float = 1.0, channels: int = 1) -> np.ndarray:
    wave = 9000 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)
    return np.repeat(wave.astype(np.int16)[:, None], channels, axis=1)


@cache
def encoded(name: str, seconds: float = 1.0, channels: int = 1) -> bytes:
    kind, subtype, _ = FORMATS[name]
    file = io.BytesIO()
    soundfile.write(file, tone(seconds, channels), RATE, format=kind, subtype=subtype)
    return file.getvalue()


def decoded(audio: bytes, content_type: str = "", max_s: float = MAX_S) -> np.ndarray:
    sound = Decoder().open(content_type, audio, max_s)
    pieces = []
    while len(piece := sound.read(1000)):
        pieces.append(piece)
    return np.concatenate([np.empty(0, np.int16), *pieces])


def loudness(pcm: np.ndarray) -> float:
    return float(np.sqrt(np.mean(pcm.astype(float) ** 2)))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_decoded_as_one_channel(name, channels):
    audio, content_type = encoded(name, 1.0, channels), FORMATS[name][2]
    sound = Decoder().open(content_type, audio, MAX_S)
    assert (sound.rate, sound.format, sound.has_sound) == (RATE, sniffed(audio), True)
    pcm = decoded(audio, content_type)
    whole, _ = soundfile.read(io.BytesIO(audio))
    assert np.abs(pcm - 32_768 * whole.reshape(len(whole), -1).mean(axis=1)).max() <= 1
    assert loudness(pcm) == pytest.approx(loudness(tone()), rel=0.25)  # lame divides stereo badly
    if name == "flac":
        assert np.array_equal(pcm, tone()[:, 0])


def test_wav_is_read_without_libsndfile(monkeypatch):
    monkeypatch.setattr(decoder, "_soundfile", pytest.fail)
    sound = tone()[:, 0]
    assert np.array_equal(decoded(pcm_to_wav(sound.tobytes(), RATE)), sound)


@pytest.mark.parametrize("name", ["wav", *FORMATS])
def test_a_chunk_that_lasts_too_long_is_refused(name):
    long = pcm_to_wav(tone(6).tobytes(), RATE) if name == "wav" else encoded(name, 6.0)
    with pytest.raises(UnplayableError, match="lasts longer than the 5 s that are allowed"):
        decoded(long)


def test_a_length_that_the_header_does_not_tell_is_bounded_while_it_is_read(monkeypatch):
    monkeypatch.setattr(decoder, "UNKNOWN_LENGTH", 0)
    with pytest.raises(UnplayableError, match="lasts longer than the 5 s that are allowed"):
        decoded(encoded("mp3", 6.0))


@pytest.mark.parametrize(
    ("head", "form"),
    [
        (b"RIFF", "wav"),
        (b"RF64", "wav"),
        (b"OggS", "ogg"),
        (b"fLaC", "flac"),
        (b"ID3\x04", "mp3"),
        (b"\xff\xfb\x90\x64", "mp3"),
        (b"\xff\xf3\x44\xc4", "mp3"),
        (b"\xff\xff\xff\xff", None),
        (b"\xff\xf1\x50\x80", None),  # AAC
        (b"\xff\xfb", None),
        (b"", None),
        (b'{"er', None),
    ],
)
def test_the_first_bytes_show_the_format(head, form):
    assert sniffed(head) == form


def test_what_is_declared_wrongly_is_played_with_one_warning(full_log):
    opener = Decoder()
    for content_type in ("audio/wav", "text/html"):
        assert opener.open(content_type, encoded("flac"), MAX_S).format == "flac"
    assert opener.open("", encoded("mp3"), MAX_S).format == "mp3"
    assert [(each.levelno, each.message) for each in full_log.records] == [
        (logging.WARNING, "a chunk declared as 'audio/wav' is flac, and is played as that"),
        (logging.DEBUG, "a chunk declared as 'text/html' is flac, and is played as that"),
    ]


@pytest.mark.parametrize(
    ("audio", "reason"),
    [
        (b"{}", "is 'audio/wav' and starts with b'{}', expected wav, mp3, ogg, flac"),
        (b"OggS" + bytes(100), "cannot be decoded as ogg: "),
        (b"RIFF", "starts with b'RIFF', expected a RIFF header"),
    ],
)
def test_what_cannot_be_decoded_says_why(audio, reason):
    with pytest.raises(UnplayableError) as caught:
        Decoder().open("audio/wav", audio, MAX_S)
    assert str(caught.value).startswith(reason)


def test_many_channels_are_refused():
    with pytest.raises(UnplayableError, match="has 9 channels, expected 1 to 8"):
        decoded(encoded("vorbis", 0.1, 9))


def test_an_unlikely_rate_is_refused():
    file = io.BytesIO()
    soundfile.write(file, tone(0.1), 500, format="FLAC")
    with pytest.raises(UnplayableError, match="has 500 samples per second, expected 1000 to"):
        Decoder().open("", file.getvalue(), MAX_S)


def test_without_libsndfile_only_wav_is_played(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(UnplayableError, match="libsndfile cannot be loaded"):
        decoded(encoded("flac"))


def damaged(audio: bytes, cut: float, flips: list[tuple[float, int]]) -> bytes:
    broken = bytearray(audio[: round(cut * len(audio))])
    for place, value in flips:
        if broken:
            broken[min(len(broken) - 1, int(place * len(broken)))] = value
    return bytes(broken)


PLACES = st.one_of(st.floats(0, 1), st.floats(0, 0.02))


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(FORMATS)),
    st.one_of(st.just(1.0), st.floats(0, 1)),
    st.lists(st.tuples(PLACES, st.integers(0, 255)), max_size=30),
)
@example("mp3", 0.5, [])
@example("opus", 0.5, [])
@example("vorbis", 0.1, [])
@example("flac", 0.1, [])
def test_a_damaged_chunk_gives_bounded_sound_or_is_refused(name, cut, flips):
    pcm = np.empty(0, np.int16)
    with suppress(UnplayableError):
        pcm = decoded(damaged(encoded(name), cut, flips))
    assert pcm.dtype == np.int16
    assert len(pcm) <= MAX_S * 384_000


CONFINED = """
import ctypes, sys
from pathlib import Path
from jarvis_ear.devices.decoder import Decoder
PR_SET_MDWE = 65
if ctypes.CDLL(None).prctl(PR_SET_MDWE, 1, 0, 0, 0) < 0:
    sys.exit("not supported")
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
for path in map(Path, sys.argv[1:]):
    print(len(Decoder().open("", path.read_bytes(), 5.0).read(1000)))
"""


def test_every_format_is_decoded_in_the_sandbox_of_the_service(tmp_path):
    for name in FORMATS:
        (tmp_path / name).write_bytes(encoded(name))
    done = run([sys.executable, "-c", CONFINED, *sorted(tmp_path.iterdir())], check=False)
    if "not supported" in done.stderr:
        pytest.skip("the kernel is older than 6.3")
    assert done.stdout.split() == ["1000"] * len(FORMATS), done.stderr


def test_no_descriptor_is_left_open():
    decoded(encoded("flac"))  # the first sound opens what the process keeps
    gc.collect()  # what earlier tests of this process left
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in FORMATS:
        decoded(encoded(name))
        with suppress(UnplayableError):
            decoded(encoded(name)[:50])
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_without_a_free_descriptor_a_chunk_is_refused(monkeypatch):
    monkeypatch.setattr(decoder.os, "memfd_create", Mock(side_effect=OSError(24, "Too many")))
    with pytest.raises(UnplayableError, match="cannot be decoded as flac: "):
        decoded(encoded("flac"))


def test_libsndfile_prints_nothing_about_a_broken_chunk(capfd):
    for name in FORMATS:
        for size in range(0, 400, 7):
            with suppress(UnplayableError):
                decoded(encoded(name)[:size] + b"\xff" * 50)
    assert capfd.readouterr() == ("", "")
