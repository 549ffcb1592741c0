"""A value in a TOML file is changed; everything else stays as its owner wrote it."""

import tomllib

import pytest

from jarvis_ear.options.edit import NotEditable, edited

FILE = """\
# my ear
[backend]
url = "http://a:1"  # the box

[hearing.wake]   # tuned
threshold = 0.9 # too high
patience = 1

[hearing]
endpointing.hangover_ms = 800
"""


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"hearing.wake.threshold": 0.5}, "threshold = 0.5 # too high"),
        ({"hearing.endpointing.hangover_ms": 700}, "endpointing.hangover_ms = 700"),
        ({"hearing.wake.strictness": "eager"}, 'strictness = "eager"'),
        ({"speaker.lag_ms": 120}, "[speaker]\nlag_ms = 120"),
        ({"backend.url": 'b"#\n'}, 'url = "b\\"#\\n"  # the box'),
        ({"microphone.device": "hw:CARD=Mic", "speaker.lag_ms": 3}, '[microphone]\ndevice = "hw'),
    ],
)
def test_one_line_changes_and_all_others_stay(changes, line):
    text = edited(FILE, changes)
    assert line in text
    before, after = (list(filter(None, each.splitlines())) for each in (FILE, text))
    assert len([old for old in before if old not in after]) <= len(changes)
    assert [each for each in after if each in before] == [each for each in before if each in after]


@pytest.mark.parametrize("text", ["", "# nothing", 'log.level = "debug"', "\n[speaker]\n"])
def test_a_new_value_finds_its_table_in_any_file(text):
    result = edited(text, {"speaker.lag_ms": 30})
    assert tomllib.loads(result)["speaker"] == {"lag_ms": 30}
    assert text.strip() in result


@pytest.mark.parametrize(
    "text",
    [
        "speaker = {lag_ms = 5}\n",  # an inline table
        "speaker = 3\n",
        '[hooks]\nmuted = """\n[speaker]\n"""\n[speaker]\nlag_ms = \\\n',
        '["speaker"]\nvolume = 3\n',
    ],
)
def test_a_file_in_which_that_is_not_safe_is_refused(text):
    with pytest.raises((NotEditable, tomllib.TOMLDecodeError)):
        edited(text, {"speaker.lag_ms": 30})


def test_a_text_that_looks_like_a_table_is_not_broken():
    text = '[log]\nlevel = "info"\n[hooks]\nmuted = """\n[speaker]\n"""\n'
    with pytest.raises(NotEditable):
        edited(text, {"speaker.lag_ms": 30})
