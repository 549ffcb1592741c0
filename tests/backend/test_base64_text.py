"""Base64 as satellites write it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_backend.text import lenient_base64


@given(st.binary())
def test_what_was_encoded_comes_back_however_it_was_written(sound):
    text = base64.b64encode(sound).decode()
    assert lenient_base64(text) == sound
    assert lenient_base64(text.rstrip("=")) == sound
    assert lenient_base64(base64.urlsafe_b64encode(sound).decode()) == sound
    assert lenient_base64(base64.encodebytes(sound).decode()) == sound


@given(st.text())
def test_anything_else_gives_some_bytes(text):
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
def test_foreign_letters_are_passed_over_and_padding_ends_it(text, sound):
    assert lenient_base64(text) == sound
