"""The ear on the session stream: silence is the commit, and nobody says that a reply is over."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.errors import LocalProtocolError, RemoteProtocolError
from jarvis_ear.units import FRAME_BYTES, FRAME_SAMPLES
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires import session as wire
from jarvis_ear.wires.dialect import PingFrame, PongFrame
from jarvis_ear.wires.session import PART_BYTES, SILENCE, SessionDialect

LOUD = (np.ones(FRAME_SAMPLES) * 5000).astype("<i2").tobytes()


def status(turn="", state="running"):
    return wire.encode(wire.SessionStatus(state, turn=turn))


@pytest.fixture
def dialect():
    dialect = SessionDialect("den")
    assert dialect.hello() == ('{"type":"start","sampleRate":16000}',)
    dialect.hear(status(state="created"))
    assert not dialect.is_open
    assert dialect.hear(status("listening")) == ()
    assert dialect.is_open
    return dialect


def committed(dialect):
    dialect.say(ear.AudioStart("den"))
    dialect.say(ear.AudioEnd("den"))


def test_a_turn_with_a_server_that_says_what_it_does(dialect):
    assert dialect.say(ear.AudioStart("den")) == (PingFrame(b"1"),)
    assert dialect.hear(PongFrame(b"1")) == (ear.Listening("den"), ear.Pong())
    pcm = LOUD * 3 + bytes(FRAME_BYTES)
    assert dialect.say(ear.AudioPart("den", 0, pcm)) == (LOUD * 2, LOUD)
    assert dialect.hear(b"echo") == ()
    ending = dialect.say(ear.AudioEnd("den"))
    assert b"".join(ending) == bytes(FRAME_BYTES) + SILENCE
    assert {len(frame) for frame in ending} == {PART_BYTES, FRAME_BYTES}
    assert dialect.hear(status("processing")) == (ear.Processing(),)
    transcript = wire.encode(wire.SessionTranscript("what\ntime"))
    assert dialect.hear(transcript) == (ear.Processing(), ear.Transcript("what time"))
    assert dialect.hear(wire.encode(wire.SessionReply("noon"))) == (ear.Answer("noon"),)
    assert dialect.hear(b"abcd") == ()
    assert dialect.hear(status("processing")) == (ear.Processing(),)
    assert dialect.hear(status("listening")) == (
        ear.TtsChunk(0, "audio/wav", pcm_to_wav(b"abcd")),
        ear.TtsDone(1),
    )
    assert dialect.hear(status("listening")) == ()


def test_the_end_of_a_reply_of_a_server_that_does_not_say_so(dialect):
    committed(dialect)
    assert dialect.hear(status()) == ()
    dialect.hear(wire.encode(wire.SessionTranscript("what time")))
    assert dialect.hear(status()) == ()
    assert dialect.hear(status()) == ()  # still thinking
    dialect.hear(wire.encode(wire.SessionReply("noon")))
    dialect.hear(b"ab")
    assert dialect.hear(status()) == (ear.TtsChunk(0, "audio/wav", pcm_to_wav(b"ab")),)
    dialect.hear(b"cd")
    assert dialect.hear(status()) == (ear.TtsChunk(1, "audio/wav", pcm_to_wav(b"cd")),)
    assert dialect.hear(status()) == (ear.TtsDone(2),)
    assert dialect.hear(status()) == ()


def test_the_end_of_a_reply_of_a_server_that_says_no_status_at_all():
    dialect = SessionDialect("den")
    committed(dialect)
    assert dialect.hear(PongFrame(b"1")) == (ear.Listening("den"), ear.Pong())
    assert dialect.hear(PongFrame(b"2")) == (ear.Pong(),), "nothing has come back yet"
    dialect.hear(b"ab")
    sound = ear.TtsChunk(0, "audio/wav", pcm_to_wav(b"ab"))
    assert dialect.hear(PongFrame(b"3")) == (ear.Pong(), sound)
    assert dialect.hear(PongFrame(b"4")) == (ear.Pong(), ear.TtsDone(1))
    assert dialect.hear(PongFrame(b"5")) == (ear.Pong(),)


def test_the_pongs_of_one_that_says_statuses_end_nothing(dialect):
    committed(dialect)
    dialect.hear(b"ab")
    for number in (b"1", b"2", b"3", b"4"):
        assert ear.TtsDone(1) not in dialect.hear(PongFrame(number))


def test_a_server_that_begins_before_the_end(dialect):
    dialect.say(ear.AudioStart("den"))
    assert dialect.hear(status("processing")) == (ear.Processing(),)
    assert dialect.hear(status("listening")) == (ear.TtsDone(0),)


def test_a_failure_is_no_end(dialect):
    committed(dialect)
    dialect.hear(status("processing"))
    assert dialect.hear(wire.encode(wire.SessionError("no\near"))) == (ear.BackendError("no ear"),)
    assert dialect.hear(status("listening")) == ()


def test_what_only_another_wire_says(dialect):
    with pytest.raises(LocalProtocolError):
        dialect.say(ear.AudioChunk("den", b"", 0))
    assert dialect.hear(PingFrame(b"")) == ()
    assert dialect.say(ear.Ping("den")) == (PingFrame(b"1"),)
    assert dialect.hear(PongFrame(b"1")) == (ear.Pong(),)


def test_half_a_sample_is_refused(dialect):
    with pytest.raises(RemoteProtocolError, match="even count"):
        dialect.hear(b"abc")


@given(st.one_of(st.text(), st.binary()))
def test_any_frame_means_something_or_is_refused(frame):
    with suppress(RemoteProtocolError):
        SessionDialect("den").hear(frame)
