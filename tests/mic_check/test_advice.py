"""What measurements of a microphone mean, and which option is named."""

from dataclasses import replace

import pytest

from jarvis_ear.audio.quality import ChannelQuality, Hum
from jarvis_ear.mic_check.advice import WakeScore, advise, verdict
from jarvis_ear.options.load import DEFAULT, load
from jarvis_ear.schema import SCHEMA

GOOD = ChannelQuality(-40, -8, -65, -25, 0, 0, 0, None, is_dead=False)
DEAD = ChannelQuality(-120, -120, -120, -120, 0, 0, 0, None, is_dead=True)
HEARD = WakeScore(0.93, 0.5, 1)


def advised(judged=GOOD, others=(), chosen=0, **more):
    return advise([judged, *others], chosen, judged, **{"wake": HEARD, **more})


def test_a_good_microphone_has_only_good_news():
    (news,) = advised()
    assert (news.code, news.is_fault, news.option) == ("wake_word", False, "")
    assert verdict([news]) == "This microphone is good."


HUM = Hum(50, -60, (50, 100))


@pytest.mark.parametrize(
    ("judged", "more", "code", "option"),
    [
        (DEAD, {}, "no_sound", ""),
        (DEAD, {"others": (GOOD,)}, "dead_channel", 'microphone.channel = "1"'),
        (GOOD, {"others": (DEAD,), "chosen": None}, "dead_channel", 'microphone.channel = "0"'),
        (
            replace(GOOD, noise_floor=-45),
            {"others": (GOOD,)},
            "better_channel",
            'microphone.channel = "1"',
        ),
        (replace(GOOD, clipped_share=0.01), {}, "clipping", ""),
        (replace(GOOD, loud=-50, noise_floor=-75), {}, "quiet", "hearing.heard.gain_db = 24"),
        (replace(GOOD, offset=-0.03), {}, "offset", "hearing.heard.high_pass_hz = 100"),
        (replace(GOOD, hum=HUM), {}, "hum", "hearing.heard.high_pass_hz = 100"),
        (replace(GOOD, dropouts=3), {}, "dropouts", "microphone.latency_ms = 2000"),
        (GOOD, {"lost": 480}, "dropouts", "microphone.latency_ms = 2000"),
        (replace(GOOD, noise_floor=-37), {}, "noisy", ""),
    ],
)
def test_a_fault_is_named_with_the_option_to_change(judged, more, code, option, tmp_path):
    found = advised(judged, **more)
    fault = next(each for each in found if each.is_fault)
    assert (fault.code, fault.option) == (code, option)
    expected = "does not work" if code == "no_sound" else "can be improved"
    assert expected in verdict(found)
    if option:  # it can be copied into the file as it is
        file = tmp_path / "config.toml"
        table, _, setting = option.rpartition(" = ")[0].rpartition(".")
        file.write_text(f"[{table}]\n{setting} = {option.rpartition(' = ')[2]}\n")
        origins = load(SCHEMA, [], {}, default_file=file).origins
        assert [key for key, origin in origins.items() if origin != DEFAULT] == [
            f"{table}.{setting}"
        ]


def test_a_hum_below_the_noise_and_an_unused_dead_channel_are_no_faults():
    found = advised(replace(GOOD, hum=replace(HUM, level=-74)), others=(DEAD,))
    assert [each.code for each in found if each.is_fault] == []
    assert "dead_channel" in [each.code for each in found]


def test_without_speech_nothing_is_said_about_the_wake_word():
    (silence,) = advised(replace(GOOD, loud=-63), wake=WakeScore(0, 0.5, 0))
    assert (silence.code, silence.is_fault) == ("no_speech", False)
    assert "cannot tell" in verdict([silence])


def test_speech_without_the_wake_word_is_no_fault():
    (news,) = advised(wake=WakeScore(0.31, 0.5, 0))
    assert (news.code, news.is_fault) == ("no_wake_word", False)
    assert "best score is 0.31, the threshold 0.5" in news.text
    assert news.option == 'hearing.wake.strictness = "eager"'
    assert advised(wake=None) == []
