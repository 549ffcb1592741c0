"""Foreign text on one line."""

from hypothesis import given
from hypothesis import strategies as st

from jarvis_backend.text import one_line


@given(st.text())
def test_it_is_printable_and_bounded(text):
    line = one_line(text, 50)
    assert line.isprintable()
    assert len(line) <= 50


def test_what_moves_a_terminal_is_gone():
    assert one_line("a\x1b[2J\r\n  b\u202ec") == "a [2J b c"
