"""The ear on the voice channel: what each message becomes, and what the answers mean."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.errors import LocalProtocolError, RemoteProtocolError
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires import voice_ws as wire
from jarvis_ear.wires.dialect import PongFrame
from jarvis_ear.wires.voice_ws import PART_BYTES, VoiceWsDialect

PING, PONG = wire.encode(wire.VoiceWsPing()), wire.encode(wire.VoiceWsPong())


@pytest.fixture
def dialect():
    dialect = VoiceWsDialect("den")
    assert not dialect.is_open
    assert dialect.hello() == (PING,)
    assert dialect.hear(PONG) == (ear.Pong(),)
    assert dialect.is_open
    return dialect


def test_a_turn(dialect):
    assert dialect.say(ear.AudioStart("den")) == (wire.encode(wire.VoiceWsStart()), PING)
    assert dialect.say(ear.AudioPart("den", 0, bytes(PART_BYTES + 2))) == (
        bytes(PART_BYTES),
        bytes(2),
    )
    assert dialect.hear('{"type":"audio_received"}') == ()
    assert dialect.hear(PONG) == (ear.Listening("den"), ear.Pong())
    assert dialect.hear(b"echo") == ()
    assert dialect.say(ear.AudioEnd("den")) == (wire.encode(wire.End()),)
    said = [
        (wire.VoiceWsProcessing(), ear.Processing()),
        (wire.VoiceWsTranscript("what time\nis it"), ear.Transcript("what time is it")),
        (wire.VoiceWsReply("no\x1bon"), ear.Answer("no on")),
    ]
    for theirs, ours in said:
        assert dialect.hear(wire.encode(theirs)) == (ours,)
    assert dialect.hear(b"abcd") == ()
    assert dialect.hear(wire.encode(wire.Done())) == (
        ear.TtsChunk(0, "audio/wav", pcm_to_wav(b"abcd")),
        ear.TtsDone(1),
    )


def test_the_answer_to_an_earlier_ping_is_no_answer_to_the_start(dialect):
    dialect.say(ear.Ping("den"))
    dialect.say(ear.AudioStart("den"))
    assert dialect.hear(PONG) == (ear.Pong(),)
    assert dialect.hear(PONG) == (ear.Listening("den"), ear.Pong())


def test_every_reply_begins_with_its_first_piece(dialect):
    for _ in range(2):
        dialect.say(ear.AudioEnd("den"))
        dialect.hear(b"ab")
        assert dialect.hear(wire.encode(wire.Done()))[0].index == 0


def test_failures(dialect):
    assert dialect.hear(wire.encode(wire.VoiceWsError("no\nwords"))) == (
        ear.BackendError("no words"),
    )
    assert dialect.hear(wire.encode(wire.Interrupted())) == (ear.BackendError("interrupted"),)


def test_what_only_another_wire_says(dialect):
    with pytest.raises(LocalProtocolError):
        dialect.say(ear.AudioChunk("den", b"", 0))
    assert dialect.hear(PongFrame(b"")) == ()


@given(st.one_of(st.text(), st.binary()))
def test_any_frame_means_something_or_is_refused(frame):
    with suppress(RemoteProtocolError):
        VoiceWsDialect("den").hear(frame)


def test_half_a_sample_is_refused(dialect):
    with pytest.raises(RemoteProtocolError, match="even count"):
        dialect.hear(b"abc")
