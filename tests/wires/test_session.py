"""The session stream: the ear on it, where silence ends an utterance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.units import FRAME_BYTES, FRAME_SAMPLES
from jarvis_ear.wires import messages as ear
from jarvis_ear.wires import session as wire
from jarvis_ear.wires.dialect import PingFrame, PongFrame
from jarvis_ear.wires.session import PART_BYTES, PAUSE_BYTES, SILENCE, SessionDialect, SilenceGuard

LOUD = (np.ones(FRAME_SAMPLES) * 5000).astype("<i2").tobytes()
SOFT = (np.ones(FRAME_SAMPLES) * 400).astype("<i2").tobytes()
PAUSE = SOFT * (PAUSE_BYTES // FRAME_BYTES)


def status(turn="", state="running"):
    return wire.encode(wire.SessionStatus(state, turn=turn))


@pytest.fixture
def dialect():
    dialect = SessionDialect()
    assert dialect.hello() == ('{"type":"start","sampleRate":16000}',)
    dialect.hear(status(state="created"))
    assert not dialect.is_open
    assert dialect.hear(status("listening")) == ()
    assert dialect.is_open
    return dialect


def committed(dialect):
    dialect.say(ear.AudioStart())
    dialect.say(ear.AudioEnd())


def test_a_turn_with_a_server_that_says_what_it_does(dialect):
    assert dialect.say(ear.AudioStart()) == (PingFrame(b"1"),)
    assert dialect.hear(PongFrame(b"1")) == (ear.Listening(), ear.Pong())
    pcm = LOUD * 3 + bytes(FRAME_BYTES)
    assert dialect.say(ear.AudioPart(0, pcm)) == (LOUD * 2, LOUD)
    assert dialect.hear(b"echo") == ()
    ending = dialect.say(ear.AudioEnd())
    assert b"".join(ending) == bytes(FRAME_BYTES) + SILENCE
    assert {len(frame) for frame in ending} == {PART_BYTES, FRAME_BYTES}
    assert dialect.hear(status("processing")) == (ear.Processing(),)
    transcript = wire.encode(ear.Transcript("what\ntime"))
    assert dialect.hear(transcript) == (ear.Processing(), ear.Transcript("what time"))
    assert dialect.hear(wire.encode(ear.Answer("noon"))) == (ear.Answer("noon"),)
    assert dialect.hear(b"abcd") == ()
    assert dialect.hear(status("processing")) == (ear.Processing(),)
    sound = ear.TtsChunk(0, "audio/wav", pcm_to_wav(b"abcd"))
    assert dialect.hear(status("listening")) == (sound, ear.TtsDone(1))
    assert dialect.hear(status("listening")) == ()


def test_the_backend_may_ask_for_an_answer(dialect):
    dialect.say(ear.AudioEnd())
    dialect.hear(status("processing"))
    asks = wire.encode(wire.SessionStatus("running", turn="listening", follow_up=True))
    assert dialect.hear(asks) == (ear.TtsDone(0, follow_up=True),)
    assert "followUp" not in status("listening")


def test_the_end_of_a_reply_may_ask_for_another_volume(dialect):
    dialect.say(ear.AudioEnd())
    dialect.hear(status("processing"))
    asks = wire.encode(wire.SessionStatus("running", turn="listening", volume=40))
    assert dialect.hear(asks) == (ear.TtsDone(0, volume=ear.VolumeRequest(40)),)
    assert dialect.hear(asks) == (), "the same status again ends no reply"


def test_the_end_of_a_reply_of_a_server_that_does_not_say_so(dialect):
    committed(dialect)
    assert dialect.hear(status()) == ()
    dialect.hear(wire.encode(ear.Transcript("what time")))
    assert dialect.hear(status()) == ()
    assert dialect.hear(status()) == ()  # still thinking
    dialect.hear(wire.encode(ear.Answer("noon")))
    dialect.hear(b"ab")
    assert dialect.hear(status()) == (ear.TtsChunk(0, "audio/wav", pcm_to_wav(b"ab")),)
    dialect.hear(b"cd")
    assert dialect.hear(status()) == (ear.TtsChunk(1, "audio/wav", pcm_to_wav(b"cd")),)
    assert dialect.hear(status()) == (ear.TtsDone(2),)
    assert dialect.hear(status()) == ()


def test_the_end_of_a_reply_of_a_server_that_says_no_status_at_all():
    dialect = SessionDialect()
    committed(dialect)
    assert dialect.hear(PongFrame(b"1")) == (ear.Listening(), ear.Pong())
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
    dialect.say(ear.AudioStart())
    assert dialect.hear(status("processing")) == (ear.Processing(),)
    assert dialect.hear(status("listening")) == (ear.TtsDone(0),)


def test_a_failure_is_no_end(dialect):
    committed(dialect)
    dialect.hear(status("processing"))
    assert dialect.hear(wire.encode(ear.ErrorMessage("no\near"))) == (ear.BackendError("no ear"),)
    assert dialect.hear(status("listening")) == ()


@pytest.mark.parametrize(
    ("parts", "ahead", "rest"),
    [
        ([LOUD + SOFT * 3, LOUD], [LOUD, SOFT * 3 + LOUD], b""),
        ([LOUD + PAUSE, LOUD * 10], [LOUD, b""], PAUSE + LOUD * 10),
        ([SOFT * 3], [SOFT * 3], b""),
        ([bytes(3 * FRAME_BYTES)], [bytes(3 * FRAME_BYTES)], b""),
    ],
    ids=["short pause", "long pause", "soft before the first word", "silence before it"],
)
def test_speech_goes_ahead_up_to_the_first_long_pause(parts, ahead, rest):
    guard = SilenceGuard()
    assert [guard.add(part) for part in parts] == ahead
    assert guard.rest() == rest


@given(st.lists(st.sampled_from([LOUD, SOFT, PAUSE, b"ab", bytes(FRAME_BYTES)]), max_size=12))
def test_all_sound_comes_out_in_order_and_in_whole_frames(parts):
    guard = SilenceGuard()
    ahead = b"".join(guard.add(part) for part in parts)
    assert len(ahead) % FRAME_BYTES == 0
    said = b"".join(parts)
    whole = ahead + guard.rest()
    assert len(whole) % FRAME_BYTES == 0
    assert whole == said + bytes(len(whole) - len(said))
    assert len(whole) - len(said) < FRAME_BYTES


@given(st.lists(st.integers(1, 2000), max_size=30))
def test_the_cuts_of_the_sound_make_no_difference(cuts):
    said, guard, other = LOUD * 3 + SOFT * 5 + LOUD + PAUSE + LOUD, SilenceGuard(), SilenceGuard()
    ahead, at = b"", 0
    for cut in [*cuts, len(said)]:
        ahead += guard.add(said[at : at + cut])
        at = min(len(said), at + cut)
    assert ahead == other.add(said)
