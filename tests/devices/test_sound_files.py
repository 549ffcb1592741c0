"""The files of the sounds: shipped, of the owner, or none."""

import pytest

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.config import SoundsOptions, WakeWord
from jarvis_ear.devices.sound_files import load_sounds
from jarvis_ear.errors import ConfigError

BELL = pcm_to_wav(b"\x10\x00" * 1600)


def test_every_sound_is_shipped_and_all_but_one_are_played():
    every = dict.fromkeys(SoundsOptions.model_fields, "default")
    sounds = load_sounds(SoundsOptions(**every), ())
    assert set(sounds) == set(every)
    assert set(every) - set(load_sounds(SoundsOptions(), ())) == {"follow_up"}
    assert all(content.startswith(b"RIFF") for content in sounds.values())


def test_a_sound_can_be_replaced_or_left_out(tmp_path):
    (tmp_path / "bell.wav").write_bytes(BELL)
    sounds = load_sounds(SoundsOptions(wake=str(tmp_path / "bell.wav"), captured="none"), ())
    assert sounds["wake"] == BELL
    assert "captured" not in sounds


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"ID3 something", "expected a RIFF header"),
        (pcm_to_wav(bytes(2 * 16_000 * 4)), "expected default, none, or a WAV file of at most 3 s"),
    ],
)
def test_a_file_that_cannot_be_played_is_named_with_its_option(tmp_path, content, reason):
    path = tmp_path / "bell.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=reason) as caught:
        load_sounds(SoundsOptions(failed=str(path)), ())
    assert str(caught.value).startswith(f"sounds.failed: {path}")
    assert "\n" not in str(caught.value)


def test_a_wake_word_has_a_chime_of_its_own_or_none(tmp_path):
    bell = tmp_path / "bell.wav"
    bell.write_bytes(load_sounds(SoundsOptions(), ())["done"])
    words = [
        WakeWord(model="a", chime=str(bell)),
        WakeWord(model="b", chime="none"),
        WakeWord(model="c"),
    ]
    sounds = load_sounds(SoundsOptions(), words)
    assert [word.sound in sounds for word in words] == [True, False, True]
    assert sounds[words[0].sound] == bell.read_bytes()
    with pytest.raises(
        ConfigError, match=r"hearing.wake.words: .*no.wav: No such file.*expected none"
    ):
        load_sounds(SoundsOptions(), [WakeWord(model="a", chime=str(tmp_path / "no.wav"))])
