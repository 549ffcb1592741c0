"""The realtime stream: the ear on it."""

from contextlib import nullcontext

import pytest

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires import realtime as wire
from jarvis_ear.wires.dialect import PingFrame, PongFrame
from jarvis_ear.wires.realtime import SLICE_BYTES, Code, RealtimeDialect, RealtimeState


def said(message):
    return wire.encode(message, 0.0)


def status(state, code=None, text=""):
    return said(wire.RealtimeStatus(state, code, text))


@pytest.fixture
def dialect():
    dialect = RealtimeDialect()
    assert dialect.hello() == ()
    assert not dialect.is_open
    assert dialect.hear(status(RealtimeState.RECORDING)) == ()
    assert dialect.is_open
    return dialect


def test_a_turn(dialect):
    assert dialect.say(ear.AudioStart()) == (PingFrame(b"1"),)
    parts = tuple(pcm_to_wav(bytes(size)) for size in (SLICE_BYTES, 2))
    assert dialect.say(ear.AudioPart(0, bytes(SLICE_BYTES + 2))) == parts
    assert dialect.hear(PongFrame(b"1")) == (ear.Listening(), ear.Pong())
    partial = said(wire.RealtimeTranscript("what\ntime", is_final=False))
    assert dialect.hear(partial) == (ear.PartialTranscript("what time"),)
    assert dialect.say(ear.AudioEnd()) == ('{"event":"end"}',)
    assert dialect.hear(status(RealtimeState.TRANSCRIBING)) == (ear.Processing(),)
    final = said(wire.RealtimeTranscript("what time is it", is_final=True))
    assert dialect.hear(final) == (ear.Transcript("what time is it"),)
    assert dialect.hear(status(RealtimeState.RESPONDING)) == (ear.Processing(),)
    assert dialect.hear(said(wire.Response("noon"))) == (ear.Answer("noon"),)
    for index, sound in enumerate((b"one", b"three")):
        assert dialect.hear(said(wire.Audio("audio/wav", len(sound)))) == ()
        assert dialect.hear(sound) == (ear.TtsChunk(index, "audio/wav", sound),)
    assert dialect.hear(status(RealtimeState.IDLE)) == (ear.TtsDone(2),)


def test_speech_without_a_turn_is_counted_from_its_own_beginning(dialect):
    for end in (status(RealtimeState.IDLE), status(RealtimeState.ERROR, Code.ENGINE_FAILED)):
        for index, sound in enumerate((b"one", b"two")):
            dialect.hear(said(wire.Audio("audio/wav", 3)))
            assert dialect.hear(sound) == (ear.TtsChunk(index, "audio/wav", sound),)
        dialect.hear(end)


def test_the_backend_may_ask_for_an_answer(dialect):
    asks = said(wire.RealtimeStatus(RealtimeState.IDLE, follow_up=True))
    assert '"payload":{"state":"idle","followUp":true}' in asks
    assert dialect.hear(asks) == (ear.TtsDone(0, follow_up=True),)


def test_the_end_of_a_reply_may_ask_for_another_volume(dialect):
    asks = said(wire.RealtimeStatus(RealtimeState.IDLE, volume=ear.VolumeRequest(change=10)))
    assert '"payload":{"state":"idle","volumeChange":10}' in asks
    assert dialect.hear(asks) == (ear.TtsDone(0, volume=ear.VolumeRequest(change=10)),)
    [done] = dialect.hear(asks.replace("10", "[]"))
    assert done.volume.problem == "volumeChange is list; expected a whole number from -100 to 100"


def test_every_reply_begins_with_its_first_sentence(dialect):
    for _ in range(2):
        dialect.say(ear.AudioEnd())
        dialect.hear(said(wire.Audio("audio/wav", 1)))
        assert dialect.hear(b"x") == (ear.TtsChunk(0, "audio/wav", b"x"),)


@pytest.mark.parametrize(
    ("announced", "kind"),
    [
        *(("wav", "audio/wav"), ("mp3", "audio/mp3"), ("audio/x-wav", "audio/x-wav")),
        *(("", None), ("two words", None), ("a/b/c", None), ("wav\n", None)),
    ],
)
def test_a_bare_format_is_one_of_sound_and_an_invalid_one_refused(dialect, announced, kind):
    dialect.say(ear.AudioEnd())
    dialect.hear(said(wire.Audio(announced, 1)))
    with nullcontext() if kind else pytest.raises(RemoteProtocolError):
        assert dialect.hear(b"x") == (ear.TtsChunk(0, kind, b"x"),)


@pytest.mark.parametrize(
    ("code", "text", "error"),
    [
        (Code.EMPTY_STREAM, "x", "No audio received"),
        (Code.NOT_UNDERSTOOD, "x", "Could not understand audio"),
        (Code.ENGINE_FAILED, "no\near", "no ear"),
        (None, "", "error"),
    ],
)
def test_an_error_has_the_words_of_the_backend(dialect, code, text, error):
    assert dialect.hear(status(RealtimeState.ERROR, code, text)) == (ear.BackendError(error),)


def test_sound_that_was_not_announced_so_is_refused(dialect):
    with pytest.raises(RemoteProtocolError, match="not announced"):
        dialect.hear(b"sound")
    for head, sound in (
        (wire.Audio("audio/wav", 4), b"five!"),
        (wire.Audio("no type", 4), b"four"),
    ):
        dialect.hear(said(head))
        with pytest.raises(RemoteProtocolError):
            dialect.hear(sound)
        with pytest.raises(RemoteProtocolError, match="not announced"):
            dialect.hear(sound)


def test_an_utterance_that_was_announced_and_did_not_come_is_missing(dialect):
    dialect.hear(said(wire.Audio("audio/wav", 3)))
    dialect.hear(said(wire.Audio("audio/wav", 3)))
    assert dialect.hear(b"two") == (ear.TtsChunk(1, "audio/wav", b"two"),)
    dialect.hear(said(wire.Audio("audio/wav", 3)))
    with pytest.raises(RemoteProtocolError):
        dialect.hear(b"three")
    assert dialect.hear(status(RealtimeState.IDLE)) == (ear.TtsDone(3),)


def test_sound_announced_before_the_end_is_not_the_reply(dialect):
    dialect.hear(said(wire.Audio("audio/wav", 3)))
    dialect.say(ear.AudioEnd())
    with pytest.raises(RemoteProtocolError, match="not announced"):
        dialect.hear(b"one")
    assert dialect.hear(status(RealtimeState.IDLE)) == (ear.TtsDone(0),)


def test_a_reply_has_at_most_512_sentences(dialect):
    for _ in range(512):
        dialect.hear(said(wire.Audio("audio/wav", 1)))
        dialect.hear(b"x")
    dialect.hear(said(wire.Audio("audio/wav", 1)))
    with pytest.raises(RemoteProtocolError, match="at most"):
        dialect.hear(b"x")
    assert dialect.hear(status(RealtimeState.IDLE)) == (ear.TtsDone(512),)
