from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.control.feed import Deltas, Snapshot, decode, encode
from jarvis_ear.errors import RemoteProtocolError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
news = st.one_of(
    st.builds(Snapshot, st.dictionaries(st.text(), values)),
    st.builds(Deltas, st.lists(st.tuples(st.text(), values)).map(tuple)),
)


@given(news)
def test_decode_reverses_encode(told):
    assert decode(encode(told).encode()) == told
    assert "\n" not in encode(told)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"snapshot":[]}',
        b'{"deltas":[["x"]]}',
        b'{"deltas":[[1,2]]}',
        b'{"deltas":{}}',
    ],
)
def test_invalid_lines_are_refused(line):
    with pytest.raises(RemoteProtocolError):
        decode(line)


@given(st.binary(max_size=60))
def test_no_bytes_raise_another_error(line):
    with suppress(RemoteProtocolError):
        decode(line)
