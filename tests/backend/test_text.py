"""Text: sentences of a reply, the wake phrase, base64, and one line of foreign text."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_backend.text import (
    SENTENCE_CHARS,
    SentenceSplitter,
    lenient_base64,
    one_line,
    sentences,
    without_wake_phrase,
)


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
def test_a_reply_is_cut_after_each_sentence(reply, expected):
    assert sentences(reply, max_chars=4000) == expected


def test_a_long_sentence_is_cut_at_a_comma_or_a_space_or_anywhere():
    comma = "word " * 70 + "end, " + "word " * 30
    assert sentences(comma, max_chars=4000)[0].endswith("end,")
    assert [len(piece) for piece in sentences("x" * 1000, max_chars=4000)] == [400, 400, 200]
    assert all(piece[0] != " " for piece in sentences("word " * 200, max_chars=4000))


def test_a_reply_is_cut_at_its_longest_length():
    assert sentences("One. Two. Three.", max_chars=9) == ("One.", "Two.")


@given(st.text(st.characters(exclude_characters="`"), max_size=2000))
def test_no_letter_is_lost_and_no_sentence_is_long(reply):
    pieces = sentences(reply, max_chars=4000)
    assert "".join(filter(str.isalnum, "".join(pieces))) == "".join(filter(str.isalnum, reply))
    assert all(0 < len(piece) <= SENTENCE_CHARS for piece in pieces)


@given(st.lists(st.sampled_from(["One. ", "Dr. ", "two", "! ", "\n", "```", " (x.) ", "3.5", "?"])))
def test_a_reply_in_pieces_has_the_same_sentences(pieces):
    splitter = SentenceSplitter(4000)
    found = [sentence for piece in pieces for sentence in splitter.feed(piece)]
    assert (*found, *splitter.flush()) == sentences("".join(pieces), max_chars=4000)


@pytest.mark.parametrize(
    ("transcript", "command"),
    [
        ("hey jarvis what time is it", "what time is it"),
        ("Hey, Jarvis! What time is it?", "What time is it?"),
        ("hey jarvis, stop", "stop"),
        ("JARVIS stop", "stop"),
        (" jarvis", ""),
        ("the jarvis what time is it", "what time is it"),
        ("they'd jarvis stop", "stop"),
        ("what time is it", "what time is it"),
        (" stop ", "stop"),
        ("repeat jarvis is here", "repeat jarvis is here"),
        ("jarvisson called", "jarvisson called"),
        ("jarvis's birthday", "jarvis's birthday"),
        ("hey there", "hey there"),
        ("", ""),
    ],
)
def test_only_a_leading_wake_phrase_is_removed(transcript, command):
    assert without_wake_phrase(transcript) == command


@given(st.text())
def test_a_wake_phrase_is_removed_from_the_front_only(transcript):
    assert transcript.strip().endswith(without_wake_phrase(transcript))


@given(st.binary())
def test_base64_of_any_kind_is_decoded(sound):
    text = base64.b64encode(sound).decode()
    url_alphabet = base64.urlsafe_b64encode(sound).decode()
    for written in (text, text.rstrip("="), url_alphabet, base64.encodebytes(sound).decode()):
        assert lenient_base64(written) == sound


@given(st.text())
def test_any_text_is_decoded_to_some_bytes(text):
    assert len(lenient_base64(text)) <= len(text)


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        ("", b""),
        ("!?~", b""),
        ("A", b""),
        ("QQ==QkI=", b"A"),
        ("QUFB\r\nQUFB", b"AAAAAA"),
        ("ü QUFB", b"AAA"),
    ],
)
def test_foreign_letters_are_skipped_and_padding_ends_base64(text, sound):
    assert lenient_base64(text) == sound


@given(st.text())
def test_foreign_text_on_one_line_is_printable_and_bounded(text):
    line = one_line(text, 50)
    assert line.isprintable()
    assert len(line) <= 50


def test_control_characters_of_a_terminal_are_removed():
    assert one_line("a\x1b[2J\r\n  b\u202ec") == "a [2J b c"
