"""What the dialects share: pings that acknowledge, sound in parts, and chunks of a reply."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.audio.wav import HEADER_BYTES
from jarvis_ear.errors import LocalProtocolError, RemoteProtocolError
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires.dialect import (
    CONTENT_TYPE,
    FIRST_BYTES,
    NEXT_BYTES,
    PingFrame,
    PongFrame,
    ReplyChunks,
    slices,
)
from jarvis_ear.wires.realtime import RealtimeDialect
from jarvis_ear.wires.session import SessionDialect
from jarvis_ear.wires.voice_ws import VoiceWsDialect

DIALECTS = [VoiceWsDialect, SessionDialect, RealtimeDialect]
NUMBERED = [SessionDialect, RealtimeDialect]


@pytest.mark.parametrize("kind", NUMBERED)
def test_only_the_answer_to_the_ping_after_a_start_acknowledges_it(kind):
    dialect = kind()
    assert dialect.say(ear.Ping()) == (PingFrame(b"1"),)
    assert dialect.say(ear.AudioStart()) == (PingFrame(b"2"),)
    for payload in (b"1", b"1", b"", b"-2", b"9" * 19, "²".encode(), b"x", b"1.0"):
        assert dialect.hear(PongFrame(payload)) == (ear.Pong(),)
    assert dialect.hear(PongFrame(b"3")) == (ear.Listening(), ear.Pong())
    assert dialect.hear(PongFrame(b"3")) == (ear.Pong(),)


@pytest.mark.parametrize("kind", DIALECTS)
def test_messages_of_other_wires(kind):
    dialect = kind()
    with pytest.raises(LocalProtocolError):
        dialect.say(ear.AudioChunk(b""))
    assert dialect.hear(PingFrame(b"")) == ()


@pytest.mark.parametrize("kind", [VoiceWsDialect, SessionDialect])
def test_half_a_sample_is_refused(kind):
    with pytest.raises(RemoteProtocolError, match="even count"):
        kind().hear(b"abc")


@pytest.mark.parametrize("kind", DIALECTS)
@given(frame=st.one_of(st.text(), st.binary()))
def test_any_frame_means_something_or_is_refused(kind, frame):
    with suppress(RemoteProtocolError):
        kind().hear(frame)


@given(st.binary(max_size=200).filter(lambda pcm: len(pcm) % 2 == 0), st.integers(2, 50))
def test_parts_have_whole_samples_and_make_the_whole(pcm, most):
    parts = slices(pcm, most)
    assert b"".join(parts) == pcm
    assert all(0 < len(part) <= most and len(part) % 2 == 0 for part in parts)


@given(st.lists(st.integers(0, 12_000), max_size=8))
def test_the_chunks_are_the_whole_however_it_came(lengths):
    frames = [bytes([number + 1]) * (2 * length) for number, length in enumerate(lengths)]
    reply = ReplyChunks()
    chunks = [chunk for frame in frames for chunk in reply.add(frame)]
    *rest, done = reply.finish()
    chunks += rest
    assert done == ear.TtsDone(len(chunks))
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert {chunk.content_type for chunk in chunks} <= {CONTENT_TYPE}
    assert b"".join(chunk.audio[HEADER_BYTES:] for chunk in chunks) == b"".join(frames)
    sizes = [len(chunk.audio) - HEADER_BYTES for chunk in chunks]
    assert all(size == NEXT_BYTES for size in sizes[1:-1])
    assert all(size == FIRST_BYTES for size in sizes[:1] if len(sizes) > 1)


def test_a_rest_is_given_out_once():
    reply = ReplyChunks()
    reply.add(b"ab")
    assert len(reply.rest()) == 1
    assert reply.rest() == ()
