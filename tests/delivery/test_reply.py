"""A reply: chunks in order, gaps, bounds, and speech that belongs to no turn."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_ear.delivery import reply as module
from jarvis_ear.delivery.events import Announced, Finished, ReplyAudio, UnaskedSpeech
from jarvis_ear.delivery.outbox import Outbox
from jarvis_ear.delivery.reply import Reply, UnaskedChunks
from jarvis_ear.delivery.timeouts import Timeouts
from jarvis_ear.delivery.transitions import Emit
from jarvis_ear.delivery.utterance import Utterance
from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.wires.messages import Listening, Processing, Transcript, TtsChunk, TtsDone

SPOKEN = Utterance("t1", b"RIFF" + bytes(40), 44, 1.0)


def chunk(index, audio=b"RIFF"):
    return TtsChunk(index, "audio/wav", audio)


@pytest.fixture
def reply():
    return Reply(gap_s=1.5)


def indexes(chunks):
    return [chunk.index for chunk in chunks]


def test_chunks_wait_for_the_one_before_them(reply):
    assert reply.add(chunk(1), 0.0) == ()
    assert indexes(reply.add(chunk(0), 0.1)) == [0, 1]
    assert indexes(reply.add(chunk(2), 0.2)) == [2]
    assert reply.deadline == math.inf
    assert reply.passed_on == 3


def test_a_chunk_that_does_not_come_is_skipped(reply):
    reply.add(chunk(0), 0.0)
    reply.add(chunk(2), 1.0)
    reply.add(chunk(3), 2.0)
    assert reply.deadline == 3.5
    assert reply.tick(3.4) == ()
    assert indexes(reply.tick(3.5)) == [2, 3]
    assert reply.take_missing() == (1,)
    assert reply.take_missing() == ()
    assert reply.tick(9.0) == ()
    assert reply.add(chunk(1), 4.0) == ()
    assert (reply.late, reply.missing) == (1, 1)


def test_a_slow_chunk_is_waited_for_as_long_as_something_of_the_reply_comes():
    reply = Reply(gap_s=15.0)
    for index in range(1, 6):
        assert reply.add(chunk(index), 14.0 * index) == ()
        assert reply.tick(14.0 * index + 13.9) == ()
    reply.add(chunk(5), 80.0)  # a repetition is a signal of life as well
    assert reply.deadline == 95.0
    assert indexes(reply.add(chunk(0), 94.0)) == [0, 1, 2, 3, 4, 5]
    assert reply.missing == 0


def test_every_hole_is_given_up_at_once_when_nothing_comes_and_is_missing_once(reply):
    reply.add(chunk(1), 0.0)
    reply.add(chunk(3), 0.0)
    assert indexes(reply.tick(1.5)) == [1, 3]
    assert reply.take_missing() == (0, 2)
    assert reply.deadline == math.inf
    reply.finish(5)
    assert reply.take_missing() == (4,)
    assert reply.missing == 3


def test_a_chunk_counts_once(reply):
    reply.add(chunk(0), 0.0)
    reply.add(chunk(2), 0.0)
    assert reply.add(chunk(0), 0.0) == ()
    assert reply.add(chunk(2), 0.0) == ()
    assert reply.duplicates == 2


def test_the_end_gives_out_the_rest_in_order(reply):
    for index in (5, 3, 9):
        reply.add(chunk(index), 0.0)
    assert indexes(reply.finish()) == [3, 5, 9]
    assert reply.deadline == math.inf
    assert reply.passed_on == 3
    assert reply.take_missing() == (0, 1, 2, 4, 6, 7, 8)


@pytest.mark.parametrize(
    ("came", "total", "missing"),
    [
        ((), 0, ()),
        ((), 3, (0, 1, 2)),
        ((0, 1), 3, (2,)),
        ((0, 2), 3, (1,)),
        ((0, 1, 2), 3, ()),
        ((1, 2, 3), 3, ()),  # a backend that counts from 1
        ((0, 1, 2), 1, ()),
        ((0, 2), None, (1,)),
        ((), None, ()),
    ],
)
def test_the_end_says_how_many_chunks_there_should_have_been(reply, came, total, missing):
    for index in came:
        reply.add(chunk(index), 0.0)
    reply.finish(total)
    assert reply.take_missing() == missing
    assert reply.missing == len(missing)


def test_a_reply_has_at_most_1000_chunks(reply):
    for index in range(1000):
        reply.add(chunk(index), 0.0)
    with pytest.raises(RemoteProtocolError, match="1000 chunks"):
        reply.add(chunk(1000), 0.0)


def test_a_reply_has_at_most_so_many_bytes(monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    reply = Reply(gap_s=1.5)
    reply.add(chunk(0, bytes(6)), 0.0)
    with pytest.raises(RemoteProtocolError, match="10 bytes"):
        reply.add(chunk(1, bytes(5)), 0.0)
    reply.add(chunk(1, bytes(4)), 0.0)


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 2)), max_size=60))
def test_indexes_rise_and_no_chunk_is_invented(arrivals):
    reply, now, given_out = Reply(gap_s=1.5), 0.0, []
    for index, pause_s in arrivals:
        now += pause_s
        given_out += indexes(reply.tick(now))
        given_out += indexes(reply.add(chunk(index), now))
    given_out += indexes(reply.finish())
    assert given_out == sorted(set(given_out))
    assert set(given_out) <= {index for index, _ in arrivals}
    assert len(given_out) + reply.duplicates + reply.late == len(arrivals)
    assert reply.passed_on == len(given_out)


@pytest.fixture
def box():
    box = Outbox("den", Timeouts())
    box.link_up(0.0)
    return box


def test_a_burst_without_end_is_reported_once_a_minute():
    unasked = UnaskedChunks(gap_s=15.0)
    for second in range(60):
        unasked.add(chunk(0), float(second), is_trusted=False)
    assert unasked.deadline == 60.0


def test_unasked_speech_is_reported_once_with_its_number(box):
    for index in range(3):
        assert box.hear(chunk(index), 1.0 + index) == ()
    assert box.deadline == 5.0
    assert box.tick(4.9) == ()
    assert box.tick(5.0) == (Emit(UnaskedSpeech(3)),)
    assert box.tick(9.0) == ()
    assert box.counters()["stray_messages"] == 3


def test_the_end_of_a_reply_ends_the_burst(box):
    box.hear(chunk(0), 1.0)
    assert box.hear(TtsDone(1), 1.1) == (Emit(UnaskedSpeech(1)),)
    assert box.hear(TtsDone(1), 1.2) == ()


@pytest.mark.parametrize("answered", [False, True])
def test_speech_before_the_sentence_is_handed_over_is_not_its_reply(box, answered):
    box.put(SPOKEN, 1.0)
    if answered:
        box.hear(Listening("den"), 1.1)
    assert box.hear(chunk(0), 1.2) == ()
    assert Emit(UnaskedSpeech(1)) in box.tick(3.2)


def test_speech_after_the_end_of_a_turn_is_not_asked_for(box):
    box.put(SPOKEN, 1.0)
    box.hear(Listening("den"), 1.1)
    box.flushed(1.2)
    box.hear(Processing(), 1.3)
    assert box.hear(TtsDone(0), 1.4)[-1].event == Finished("t1", "done", "", 0)
    box.hear(chunk(0), 1.5)
    assert box.tick(3.5) == (Emit(UnaskedSpeech(1)),)


@pytest.fixture
def open_box():
    """An outbox that accepts announcements."""
    box = Outbox("den", Timeouts(), new_id=lambda: "news")
    box.link_up(0.0)
    return box


def announced(*indexes, missing=0, follow_up=False):
    sounds = tuple(ReplyAudio("news", index, "audio/wav", b"RIFF") for index in indexes)
    return (Emit(Announced("news", sounds, missing, follow_up)),)


def announce(box, now, *indexes, total=2, follow_up=False):
    """Tell it an announcement; its effects."""
    effects = [effect for index in indexes for effect in box.hear(chunk(index), now)]
    return (*effects, *box.hear(TtsDone(total, follow_up), now))


def answer(box, now):
    """Put an utterance in, and let the backend accept it."""
    box.put(replace(SPOKEN, turn_id=f"t{now}", ended_at=now), now)
    box.hear(Listening("den"), now)
    flushed = box.flushed(now)
    box.recorded(f"t{now}", now, ok=True)
    return (*flushed, *box.hear(Processing(), now))


def test_speech_that_no_turn_awaits_is_an_announcement_when_its_end_comes(open_box):
    assert announce(open_box, 1.0, 1, 0) == announced(0, 1)
    assert announce(open_box, 1.0, 0, 2, total=3, follow_up=True) == announced(
        0, 2, missing=1, follow_up=True
    )
    assert open_box.counters()["stray_messages"] == 0
    assert open_box.deadline == math.inf


@pytest.mark.parametrize("indexes", [(1,), (1, 2), (0, 0), (0, 1, 0)])
def test_the_rest_of_a_reply_is_no_announcement(open_box, indexes):
    assert announce(open_box, 1.0, *indexes) == (Emit(UnaskedSpeech(len(indexes))),)
    assert open_box.counters()["stray_messages"] == len(indexes)


def test_an_announcement_without_an_end_is_stray_speech(open_box):
    open_box.hear(chunk(0), 1.0)
    open_box.hear(chunk(1), 9.0)
    assert open_box.deadline == 24.0
    assert open_box.tick(24.0) == (Emit(UnaskedSpeech(2)),)


@pytest.mark.parametrize("much", ["MAX_CHUNKS", "MAX_BYTES"])
def test_an_endless_announcement_is_stray_speech(open_box, monkeypatch, much):
    monkeypatch.setattr(module, much, 6)
    assert announce(open_box, 1.0, *range(7)) == (Emit(UnaskedSpeech(7)),)


def test_an_announcement_comes_before_a_turn_after_it_and_while_it_is_not_answered(open_box):
    open_box.hear(chunk(0), 1.0)
    answer(open_box, 1.1)
    assert announce(open_box, 1.2, 1) == announced(0, 1)
    assert open_box.hear(chunk(0), 1.3)[-1].event.turn_id == "t1.1"
    assert open_box.hear(TtsDone(1), 1.4)[-1].event.verdict == "done"
    assert announce(open_box, 1.5, 0, 1) == announced(0, 1)


def lose(box):
    box.link_lost(2.0)


def abandon(box):
    box.abandon("t1.0", 2.0)


def time_out(box):
    box.tick(180.0)


def supersede(box):
    box.supersede("t1.0", "t2", 2.0)


@pytest.mark.parametrize("end", [lose, abandon, time_out, supersede])
def test_speech_after_a_turn_that_did_not_end_in_order_may_be_its_reply(open_box, end):
    answer(open_box, 1.0)
    end(open_box)
    ended_at = 180.0 if end is time_out else 2.0
    open_box.link_up(ended_at)
    for after_s in (0.1, 179.9):
        effects = announce(open_box, ended_at + after_s, 0, 1)
        assert effects == (Emit(UnaskedSpeech(2)),)
    assert announce(open_box, ended_at + 180.0, 0, 1) == announced(0, 1)


def test_speech_after_a_stray_transcript_is_a_stray_reply(open_box):
    open_box.hear(Transcript("what time is it"), 1.0)
    assert announce(open_box, 1.1, 0, 1) == (Emit(UnaskedSpeech(2)),)


def test_a_new_outbox_doubts_as_long_as_the_one_before_it(open_box):
    open_box.doubt(1.0)
    newer = Outbox("den", Timeouts(), new_id=lambda: "news")
    newer.doubt_until = open_box.doubt_until
    assert announce(newer, 180.9, 0, 1) == (Emit(UnaskedSpeech(2)),)
    assert announce(newer, 181.0, 0, 1) == announced(0, 1)


def test_unreported_speech_is_reported_at_the_end(box):
    box.hear(chunk(0), 1.0)
    assert box.close(1.1) == (Emit(UnaskedSpeech(1)),)
