"""The voice channel: the ear on it."""

import pytest

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires import voice_ws as wire
from jarvis_ear.wires.dialect import PongFrame
from jarvis_ear.wires.voice_ws import PART_BYTES, VoiceWsDialect

PING, PONG = wire.encode(wire.VoiceWsPing()), wire.encode(ear.Pong())


@pytest.fixture
def dialect():
    dialect = VoiceWsDialect()
    assert not dialect.is_open
    assert dialect.hello() == (PING,)
    assert dialect.hear(PONG) == (ear.Pong(),)
    assert dialect.is_open
    return dialect


def test_a_turn(dialect):
    assert dialect.say(ear.AudioStart()) == (wire.encode(wire.VoiceWsStart()), PING)
    assert dialect.say(ear.AudioPart(0, bytes(PART_BYTES + 2))) == (bytes(PART_BYTES), bytes(2))
    assert dialect.hear('{"type":"audio_received"}') == ()
    assert dialect.hear(PONG) == (ear.Listening(), ear.Pong())
    assert dialect.hear(b"echo") == ()
    assert dialect.say(ear.AudioEnd()) == (wire.encode(wire.End()),)
    said = [
        (ear.Processing(), ear.Processing()),
        (ear.Transcript("what time\nis it"), ear.Transcript("what time is it")),
        (ear.Answer("no\x1bon"), ear.Answer("no on")),
    ]
    for theirs, ours in said:
        assert dialect.hear(wire.encode(theirs)) == (ours,)
    assert dialect.hear(b"abcd") == ()
    sound = ear.TtsChunk(0, "audio/wav", pcm_to_wav(b"abcd"))
    assert dialect.hear(wire.encode(wire.Done())) == (sound, ear.TtsDone(1))


def test_the_answer_to_an_earlier_ping_is_no_answer_to_the_start(dialect):
    dialect.say(ear.Ping())
    dialect.say(ear.AudioStart())
    assert dialect.hear(PONG) == (ear.Pong(),)
    assert dialect.hear(PONG) == (ear.Listening(), ear.Pong())


def test_every_reply_begins_with_its_first_piece(dialect):
    for _ in range(2):
        dialect.say(ear.AudioEnd())
        dialect.hear(b"ab")
        assert dialect.hear(wire.encode(wire.Done()))[0].index == 0


def test_speech_without_a_turn_is_a_reply_of_its_own_with_nothing_of_the_one_before(dialect):
    ends = (wire.Done(), wire.Interrupted(), ear.ErrorMessage("no"))
    for end in ends:
        dialect.hear(b"old.")
        dialect.hear(wire.encode(end))
        assert dialect.hear(b"new.") == ()
        sound = ear.TtsChunk(0, "audio/wav", pcm_to_wav(b"new."))
        assert dialect.hear(wire.encode(wire.Done())) == (sound, ear.TtsDone(1))


def test_the_backend_may_ask_for_an_answer(dialect):
    asks = wire.encode(wire.Done(follow_up=True))
    assert asks == '{"type":"done","followUp":true}'
    assert wire.encode(wire.Done()) == '{"type":"done"}'
    assert dialect.hear(asks) == (ear.TtsDone(0, follow_up=True),)


def test_the_end_of_a_reply_may_ask_for_another_volume(dialect):
    asks = wire.encode(wire.Done(volume=40))
    assert asks == '{"type":"done","volume":40}'
    assert dialect.hear(asks) == (ear.TtsDone(0, volume=ear.VolumeRequest(40)),)
    assert '"volumeChange":-10' in wire.encode(wire.Done(volume_change=-10))
    [done] = dialect.hear('{"type":"done","volume":"loud","volumeChange":null}')
    assert done.volume.problem == "volume is str; expected a whole number from 0 to 100"


def test_an_error_has_the_words_of_the_backend(dialect):
    for message, words in (
        (ear.ErrorMessage("no\nwords"), "no words"),
        (wire.Interrupted(), "interrupted"),
    ):
        assert dialect.hear(wire.encode(message)) == (ear.BackendError(words),)


def test_a_pong_of_the_websocket_is_no_answer(dialect):
    assert dialect.hear(PongFrame(b"")) == ()
