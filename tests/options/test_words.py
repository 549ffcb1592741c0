import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.options.option import shown
from jarvis_ear.options.verbs import plain, quoted, suggestion


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (7, "7"),
        (0.5, "0.5"),
        pytest.param(16**5000, "a very large number", id="huge"),
        ({"a": 1}, "a table"),
        ([1], "a list"),
        (None, "nothing"),
        ("x\ny", r'"x\ny"'),
        ("größe", '"größe"'),
        ("\udcff", r'"\udcff"'),
        ("\u202e", r'"\u202e"'),
    ],
)
def test_a_value_is_shown_on_one_line(value, text):
    assert shown(value) == text


def test_a_long_value_is_cut():
    assert quoted("a" * 100) == f'"{"a" * 60}..."'


@given(st.text())
def test_whatever_a_person_typed_fits_on_a_line(text):
    for words in (shown(text), plain(text)):
        assert words
        assert words.isprintable()
        assert len(words) < 800


KNOWN = ["hearing.wake.threshold", "hearing.wake.patience", "backend.url", "log.level"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("hearing.wake.treshold", "hearing.wake.threshold"),
        ("threshold", "hearing.wake.threshold"),
        ("microphone.patience", "hearing.wake.patience"),
        ("patiense", "hearing.wake.patience"),
        ("backend.ulr", "backend.url"),
    ],
)
def test_the_name_that_was_meant_is_found(name, meant):
    assert suggestion(name, KNOWN) == f"; did you mean {meant}?"


def test_a_name_like_no_other_gets_no_suggestion():
    assert suggestion("elephant", KNOWN) == ""
