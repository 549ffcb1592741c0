"""Replies cut into sentences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_backend.text import SENTENCE_CHARS, sentences


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("", ()),
        ("  \n ", ()),
        ("One", ("One",)),
        ("One. Two! Three? Four…  Five", ("One.", "Two!", "Three?", "Four…", "Five")),
        ("It is 3.5 degrees. Cold.", ("It is 3.5 degrees.", "Cold.")),
        ("Dr. Smith called at 3 p.m. today. Yes.", ("Dr. Smith called at 3 p.m. today.", "Yes.")),
        ('He said "go." Then he left.', ('He said "go."', "Then he left.")),
        ("First line\nsecond line", ("First line", "second line")),
        ("Ask Dr.\nNew line", ("Ask Dr.", "New line")),
        ("```python\nprint(1)\n```", ()),
        ("Look: ```x = 1``` That was it.", ("Look:", "That was it.")),
        ("Unclosed ```code. More.", ("Unclosed",)),
        ("... !!! Yes.", ("Yes.",)),
        ("Es ist spät. Gute Nacht!", ("Es ist spät.", "Gute Nacht!")),
    ],
)
def test_it_is_cut_after_each_sentence(reply, expected):
    assert sentences(reply, max_chars=4000) == expected


def test_a_long_sentence_is_cut_at_a_comma_or_a_space_or_anywhere():
    comma = "word " * 70 + "end, " + "word " * 30
    assert sentences(comma, max_chars=4000)[0].endswith("end,")
    assert [len(piece) for piece in sentences("x" * 1000, max_chars=4000)] == [400, 400, 200]
    assert all(piece[0] != " " for piece in sentences("word " * 200, max_chars=4000))


def test_what_is_beyond_the_longest_reply_is_left_out():
    assert sentences("One. Two. Three.", max_chars=9) == ("One.", "Two.")


@given(st.text(st.characters(exclude_characters="`"), max_size=2000))
def test_no_letter_is_lost_and_no_piece_is_long(reply):
    pieces = sentences(reply, max_chars=4000)
    assert "".join(filter(str.isalnum, "".join(pieces))) == "".join(filter(str.isalnum, reply))
    assert all(0 < len(piece) <= SENTENCE_CHARS for piece in pieces)
