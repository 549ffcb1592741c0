"""Each row of the transition table, without waiting."""

import pytest

from jarvis_ear.delivery import events
from jarvis_ear.delivery.events import Cause, Verdict
from jarvis_ear.delivery.timeouts import FLUSH_WINDOW_BYTES, Timeouts
from jarvis_ear.delivery.transitions import (
    AT_LEAST_ONCE,
    AT_MOST_ONCE,
    DeliveryStage,
    Emit,
    Replace,
    Send,
    SetState,
    Signal,
    SpoolState,
    Upload,
)
from jarvis_ear.delivery.turn import DeliveryTurn
from jarvis_ear.delivery.utterance import Past, Utterance
from jarvis_ear.wires.messages import (
    AudioChunk,
    AudioEnd,
    AudioStart,
    BackendError,
    Listening,
    Pong,
    Processing,
    Thinking,
    Transcript,
    TtsChunk,
    TtsDone,
)

WAV = b"RIFF" + bytes(40)
TIMEOUTS = Timeouts()
TAKEN = (SetState("t1", SpoolState.TAKEN), Emit(events.ProcessingStarted("t1")))


def turn_at(stage, wav=WAV, transitions=AT_MOST_ONCE):
    turn = DeliveryTurn(Utterance("t1", wav, 0, ended_at=100.0), TIMEOUTS, transitions)
    steps = [
        (DeliveryStage.OFFERED, lambda: turn.offer(101.0)),
        (DeliveryStage.UPLOADED, lambda: turn.hear(Listening("den"), 102.0)),
        (DeliveryStage.FLUSHED, lambda: turn.flushed(103.0)),
        (DeliveryStage.COMMITTED, lambda: turn.recorded(103.0, ok=True)),
        (DeliveryStage.DELIVERED, lambda: turn.hear(Processing(), 104.0)),
        (DeliveryStage.ANSWERING, lambda: turn.hear(Transcript("hi"), 105.0)),
        (DeliveryStage.OVER, lambda: turn.hear(TtsDone(0), 106.0)),
    ]
    for reached, step in steps:
        if turn.stage is stage:
            break
        step()
        assert turn.stage is reached
    assert turn.stage is stage
    return turn


def commit(turn, now):
    """The socket has taken all of it, and it could be written down."""
    return (*turn.flushed(now), *turn.recorded(now, ok=True))


def refused(turn, cause=Cause.STT_UNAVAILABLE, at=0.0):
    return Emit(events.Refused("t1", cause.value, turn.not_before - at))


def finished(verdict, cause, chunks=0, missing=0):
    return Emit(events.Finished("t1", verdict, cause.value, chunks, missing))


def audio(index):
    return Emit(events.ReplyAudio("t1", index, "audio/wav", bytes(4)))


def missing(*indexes):
    return Emit(events.SentencesMissing("t1", indexes))


def chunk(index, size=4):
    return TtsChunk(index, "audio/wav", bytes(size))


def test_a_turn_from_offer_to_end():
    turn = DeliveryTurn(Utterance("t1", WAV, 44, ended_at=100.0), TIMEOUTS)
    assert turn.offer(101.0) == (Send(AudioStart()),)
    assert turn.hear(Listening("den"), 101.1) == (Upload(AudioChunk(WAV)),)
    assert turn.flushed(101.2) == (SetState("t1", SpoolState.SENT),)
    assert turn.recorded(101.2, ok=True) == (
        Send(AudioEnd()),
        Emit(events.Sent("t1", 44, len(WAV), 60)),
    )
    assert turn.hear(Processing(), 101.3) == TAKEN
    assert turn.hear(Transcript("hi"), 101.4) == (Emit(events.Transcribed("t1", "hi")),)
    assert turn.hear(Thinking("none"), 101.5) == (Emit(events.ThinkingStarted("t1", "none")),)
    assert turn.hear(chunk(1), 101.6) == ()
    assert turn.hear(chunk(0), 101.7) == (
        Emit(events.ReplyAudio("t1", 0, "audio/wav", bytes(4))),
        Emit(events.ReplyAudio("t1", 1, "audio/wav", bytes(4))),
    )
    assert turn.hear(chunk(3), 101.8) == ()
    assert turn.hear(TtsDone(4), 101.9) == (
        missing(2),
        audio(3),
        finished(Verdict.DONE, Cause.NONE, 3, 1),
    )
    assert turn.deadline == float("inf")


def test_too_old_to_offer():
    turn = turn_at(DeliveryStage.WAITING)
    assert turn.deadline == 130.0
    assert turn.offer(130.0) == (finished(Verdict.EXPIRED, Cause.TOO_OLD),)


def test_too_old_while_waiting():
    turn = turn_at(DeliveryStage.WAITING)
    assert turn.tick(129.9) == ()
    assert turn.tick(130.0) == (finished(Verdict.EXPIRED, Cause.TOO_OLD),)


def test_too_old_to_commit():
    effects = turn_at(DeliveryStage.UPLOADED).flushed(130.0)
    assert effects == (Replace("too old"), finished(Verdict.EXPIRED, Cause.TOO_OLD))


def test_a_start_without_an_answer():
    turn = turn_at(DeliveryStage.OFFERED)
    assert turn.deadline == 104.0
    assert turn.tick(104.0) == (Replace("waited too long"),)
    assert turn.stage is DeliveryStage.WAITING


def test_an_answer_without_a_name_will_do():
    assert turn_at(DeliveryStage.OFFERED).hear(Listening(), 102.0) == (Upload(AudioChunk(WAV)),)


@pytest.mark.parametrize(("size", "windows"), [(1, 1), (FLUSH_WINDOW_BYTES, 1), (900_000, 5)])
def test_a_flush_gets_three_seconds_for_every_six_of_speech(size, windows):
    turn = turn_at(DeliveryStage.UPLOADED, bytes(size))
    assert turn.deadline == 102.0 + 3 * windows
    assert turn.tick(turn.deadline) == (Replace("waited too long"),)
    assert turn.stage is DeliveryStage.WAITING


@pytest.mark.parametrize(
    "stage", [DeliveryStage.OFFERED, DeliveryStage.UPLOADED, DeliveryStage.FLUSHED]
)
def test_before_the_commit_a_lost_link_costs_nothing(stage):
    turn = turn_at(stage)
    assert turn.handle(Signal.LINK_LOST, 103.0) == ()
    assert turn.offer(104.0) == (Send(AudioStart()),)


@pytest.mark.parametrize(
    "stage", [DeliveryStage.OFFERED, DeliveryStage.UPLOADED, DeliveryStage.FLUSHED]
)
def test_before_the_commit_a_refusal_is_tried_once_more(stage):
    turn = turn_at(stage)
    assert turn.hear(BackendError("fetch failed"), 103.0) == (
        Replace("backend refused it"),
        refused(turn, at=103.0),
    )
    assert turn.stage is DeliveryStage.WAITING
    turn.offer(105.0)
    assert turn.hear(BackendError("fetch failed"), 105.0) == (
        Replace("backend refused it for good"),
        finished(Verdict.FAILED, Cause.STT_UNAVAILABLE),
    )


@pytest.mark.parametrize("stage", [DeliveryStage.OFFERED, DeliveryStage.UPLOADED])
def test_a_backend_that_begins_early_has_it(stage):
    turn = turn_at(stage)
    assert turn.hear(Processing(), 103.0) == TAKEN
    assert turn.flushed(104.0) == ()
    assert turn.stage is DeliveryStage.DELIVERED


@pytest.mark.parametrize("message", [Transcript("x"), Thinking("x"), chunk(0), TtsDone(1)])
@pytest.mark.parametrize(
    "stage",
    [DeliveryStage.WAITING, DeliveryStage.OFFERED, DeliveryStage.UPLOADED, DeliveryStage.OVER],
)
def test_an_answer_to_nothing_is_ignored(stage, message):
    turn = turn_at(stage)
    assert turn.hear(message, 106.0) == ()
    assert turn.stage is stage


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (Transcript("hi"), events.Transcribed("t1", "hi")),
        (Thinking("none"), events.ThinkingStarted("t1", "none")),
        (chunk(0), events.ReplyAudio("t1", 0, "audio/wav", bytes(4))),
    ],
)
def test_an_answer_is_proof_of_delivery(message, told):
    turn = turn_at(DeliveryStage.COMMITTED)
    assert turn.hear(message, 104.0) == (*TAKEN, Emit(told))
    assert turn.stage is DeliveryStage.ANSWERING


def test_an_end_is_proof_of_delivery_too():
    assert turn_at(DeliveryStage.COMMITTED).hear(TtsDone(0), 104.0) == (
        *TAKEN,
        finished(Verdict.DONE, Cause.NONE),
    )


def test_no_word_after_the_commit():
    turn = turn_at(DeliveryStage.COMMITTED)
    assert turn.deadline == 107.0
    assert turn.tick(107.0) == (
        Replace("waited too long"),
        finished(Verdict.IN_DOUBT, Cause.NO_PROCESSING),
    )


def test_the_link_dies_after_the_commit():
    turn = turn_at(DeliveryStage.COMMITTED)
    assert turn.handle(Signal.LINK_LOST, 104.0) == (finished(Verdict.IN_DOUBT, Cause.LINK_LOST),)
    assert turn.offer(105.0) == ()


@pytest.mark.parametrize("stage", [DeliveryStage.DELIVERED, DeliveryStage.ANSWERING])
def test_the_link_dies_after_the_delivery(stage):
    effects = turn_at(stage).handle(Signal.LINK_LOST, 106.0)
    assert effects == (finished(Verdict.REPLY_LOST, Cause.LINK_LOST),)


@pytest.mark.parametrize("stage", [DeliveryStage.COMMITTED, DeliveryStage.DELIVERED])
def test_a_failure_before_the_transcript_leaves_the_link_clean(stage):
    effects = turn_at(stage).hear(BackendError("Could not understand audio"), 106.0)
    assert effects == (finished(Verdict.FAILED, Cause.NOT_UNDERSTOOD),)


@pytest.mark.parametrize("stage", [DeliveryStage.COMMITTED, DeliveryStage.DELIVERED])
def test_a_failure_before_the_transcript_ran_nothing_and_is_tried_once_more(stage):
    turn = turn_at(stage)
    assert turn.hear(BackendError("fetch failed"), 106.0) == (
        Replace("backend refused it"),
        SetState("t1", SpoolState.NEW),
        refused(turn, at=106.0),
    )
    assert (turn.stage, turn.deadline) == (DeliveryStage.WAITING, 130.0)
    turn.offer(107.0)
    turn.hear(Listening("den"), 107.0)
    commit(turn, 107.0)
    assert turn.hear(BackendError("fetch failed"), 108.0) == (
        finished(Verdict.FAILED, Cause.STT_UNAVAILABLE),
    )


@pytest.mark.parametrize("stage", [DeliveryStage.COMMITTED, DeliveryStage.DELIVERED])
def test_a_failure_that_comes_too_late_is_the_last(stage):
    effects = turn_at(stage).hear(BackendError("fetch failed"), 130.0)
    assert effects == (finished(Verdict.FAILED, Cause.STT_UNAVAILABLE),)


def test_a_failure_after_the_transcript_is_never_tried_again():
    turn = turn_at(DeliveryStage.ANSWERING)
    assert turn.hear(BackendError("fetch failed"), 106.0)[-1] == finished(
        Verdict.FAILED, Cause.STT_UNAVAILABLE
    )
    assert turn.stage is DeliveryStage.OVER


def test_at_least_once_sends_again_what_nobody_answered_for():
    turn = turn_at(DeliveryStage.COMMITTED, transitions=AT_LEAST_ONCE)
    assert turn.handle(Signal.LINK_LOST, 104.0) == ()
    assert turn.offer(105.0) == (Send(AudioStart()),)
    turn.hear(Listening("den"), 105.0)
    commit(turn, 105.0)
    assert turn.tick(109.0) == (Replace("waited too long"),)
    assert turn.stage is DeliveryStage.WAITING


def test_what_perhaps_ran_is_never_called_expired():
    turn = turn_at(DeliveryStage.COMMITTED, transitions=AT_LEAST_ONCE)
    turn.handle(Signal.LINK_LOST, 104.0)
    assert turn.tick(130.0) == (finished(Verdict.IN_DOUBT, Cause.LINK_LOST),)


def test_a_backend_that_begins_early_and_fails_ran_nothing_either():
    turn = turn_at(DeliveryStage.OFFERED)
    turn.hear(Processing(), 103.0)
    assert turn.hear(BackendError("fetch failed"), 104.0) == (
        Replace("backend refused it"),
        SetState("t1", SpoolState.NEW),
        refused(turn, at=104.0),
    )


def test_a_refusal_of_the_second_time_says_nothing_about_the_first():
    turn = turn_at(DeliveryStage.COMMITTED, transitions=AT_LEAST_ONCE)
    turn.handle(Signal.LINK_LOST, 104.0)
    turn.offer(105.0)
    turn.hear(Listening("den"), 105.0)
    commit(turn, 105.0)
    assert turn.hear(BackendError("fetch failed"), 106.0) == (
        Replace("backend refused it"),
        refused(turn, at=106.0),
    )
    assert turn.tick(130.0) == (finished(Verdict.IN_DOUBT, Cause.LINK_LOST),)


def test_what_a_former_run_committed_is_never_called_expired_either():
    past = Utterance("t1", WAV, 44, 100.0, Past.PERHAPS_RAN)
    turn = DeliveryTurn(past, TIMEOUTS, AT_LEAST_ONCE)
    assert turn.tick(130.0) == (finished(Verdict.IN_DOUBT, Cause.LINK_LOST),)


def test_after_a_failure_later_chunks_may_still_come():
    turn = turn_at(DeliveryStage.ANSWERING)
    turn.hear(chunk(0), 105.5)
    turn.hear(chunk(2), 105.5)
    assert turn.hear(BackendError("500 llm"), 106.0) == (
        Replace("backend refused it"),
        missing(1),
        audio(2),
        finished(Verdict.FAILED, Cause.BACKEND_ERROR, 2, 1),
    )


@pytest.mark.parametrize("signal", [Signal.LINK_LOST, Signal.TIMED_OUT])
def test_what_has_come_is_heard_although_the_reply_breaks_off(signal):
    turn = turn_at(DeliveryStage.ANSWERING)
    turn.hear(chunk(1), 105.5)
    *_, gap, heard, end = turn.handle(signal, 106.0)
    assert (gap, heard) == (missing(0), audio(1))
    assert (end.event.verdict, end.event.chunks) == (Verdict.REPLY_LOST, 1)


def test_an_abandoned_reply_is_not_played_at_the_end():
    turn = turn_at(DeliveryStage.ANSWERING)
    turn.hear(chunk(1), 105.5)
    assert turn.handle(Signal.ABANDONED, 106.0, Cause.INTERRUPTED) == (
        Replace("abandoned"),
        finished(Verdict.ABANDONED, Cause.INTERRUPTED),
    )


def test_the_slower_of_two_parallel_syntheses_is_waited_for():
    turn = turn_at(DeliveryStage.ANSWERING)
    assert turn.hear(chunk(1), 106.0) == ()
    assert turn.tick(120.9) == ()
    assert turn.hear(chunk(0), 120.9) == (audio(0), audio(1))
    assert turn.hear(TtsDone(2), 121.0) == (finished(Verdict.DONE, Cause.NONE, 2),)


@pytest.mark.parametrize(("came", "lost"), [((), (0, 1, 2)), ((0, 1), (2,))])
def test_fewer_chunks_than_were_tried(came, lost):
    turn = turn_at(DeliveryStage.ANSWERING)
    for index in came:
        turn.hear(chunk(index), 106.0)
    end = finished(Verdict.DONE, Cause.NONE, len(came), len(lost))
    assert turn.hear(TtsDone(3), 107.0) == (missing(*lost), end)


def test_the_end_of_another_reply_says_nothing_about_ours():
    turn = turn_at(DeliveryStage.UPLOADED)
    assert turn.hear(TtsDone(7), 102.0) == ()
    commit(turn, 103.0)
    turn.hear(Transcript("hi"), 104.0)
    assert turn.hear(Listening(), 105.0) == (finished(Verdict.DONE, Cause.NONE),)


def test_silence_inside_a_turn():
    turn = turn_at(DeliveryStage.ANSWERING)
    turn.hear(Thinking("slow"), 120.0)
    assert turn.deadline == 180.0
    assert turn.tick(180.0) == (
        Replace("waited too long"),
        finished(Verdict.REPLY_LOST, Cause.NO_REPLY),
    )


def test_a_backend_that_talks_for_ever():
    turn, now = turn_at(DeliveryStage.DELIVERED), 104.0
    while now < 280.0:
        turn.hear(Thinking("still"), now)
        now += 4.0
    assert turn.deadline == 284.0
    assert turn.tick(284.0)[-1] == finished(Verdict.REPLY_LOST, Cause.NO_REPLY)


def test_processing_said_again_is_a_sign_of_life():
    for stage in (DeliveryStage.DELIVERED, DeliveryStage.ANSWERING):
        turn = turn_at(stage)
        assert turn.hear(Processing(), 150.0) == ()
        assert turn.stage is stage
        assert turn.deadline == 210.0


def test_a_missing_sentence_is_skipped_in_time():
    turn = turn_at(DeliveryStage.ANSWERING)
    turn.hear(chunk(1), 110.0)
    assert turn.deadline == 125.0
    assert turn.tick(125.0) == (missing(0), audio(1))
    assert turn.stage is DeliveryStage.ANSWERING


def test_ready_again_ends_a_turn_that_was_never_said_to_be_done():
    effects = turn_at(DeliveryStage.ANSWERING).hear(Listening(), 110.0)
    assert effects == (finished(Verdict.DONE, Cause.NONE),)


def test_too_much_reply():
    turn = turn_at(DeliveryStage.ANSWERING)
    for index in range(1000):
        turn.hear(chunk(index), 110.0)
    assert turn.hear(chunk(1000), 110.0) == (
        Replace("reply too big"),
        finished(Verdict.REPLY_LOST, Cause.REPLY_TOO_BIG, 1000),
    )


def test_a_pong_is_ignored():
    assert turn_at(DeliveryStage.COMMITTED).hear(Pong(), 104.0) == ()


def test_a_second_attempt_waits_half_a_second_to_two():
    waits = set()
    for number in range(200):
        turn = DeliveryTurn(Utterance(f"t{number}", WAV, 0, ended_at=100.0), TIMEOUTS)
        turn.offer(101.0)
        *_, told = turn.hear(BackendError("STT service not available: it is busy"), 102.0)
        assert told.event == events.Refused(
            f"t{number}", "stt_unavailable", turn.not_before - 102.0
        )
        waits.add(turn.not_before - 102.0)
    assert 0.5 <= min(waits) < 0.6
    assert 1.9 < max(waits) <= 2.0


def test_a_second_attempt_that_would_come_too_late_is_none():
    turn = turn_at(DeliveryStage.OFFERED)
    assert turn.hear(BackendError("fetch failed"), 129.9) == (
        Replace("backend refused it for good"),
        finished(Verdict.FAILED, Cause.STT_UNAVAILABLE),
    )


def test_a_refusal_of_what_waits_is_no_second_attempt():
    turn = turn_at(DeliveryStage.WAITING)
    assert turn.hear(BackendError("fetch failed"), 103.0) == ()
    assert turn.not_before == float("-inf")


def test_what_cannot_be_recorded_is_not_committed():
    turn = turn_at(DeliveryStage.FLUSHED)
    assert turn.recorded(103.0, ok=False) == (
        Replace("commit cannot be recorded"),
        finished(Verdict.FAILED, Cause.STORAGE_FAILED),
    )
    assert turn.recorded(103.0, ok=True) == ()


def test_what_perhaps_ran_and_cannot_be_recorded_is_in_doubt():
    turn = turn_at(DeliveryStage.COMMITTED, transitions=AT_LEAST_ONCE)
    turn.handle(Signal.LINK_LOST, 104.0)
    turn.offer(105.0)
    turn.hear(Listening("den"), 105.0)
    turn.flushed(105.0)
    assert turn.recorded(105.0, ok=False)[-1] == finished(Verdict.IN_DOUBT, Cause.STORAGE_FAILED)


def test_writing_it_down_may_take_until_it_is_too_late():
    turn = turn_at(DeliveryStage.FLUSHED)
    assert turn.recorded(130.0, ok=True) == (
        Replace("too old"),
        finished(Verdict.EXPIRED, Cause.TOO_OLD),
    )


@pytest.mark.parametrize(
    ("signal", "cause", "verdict"),
    [
        (Signal.ABANDONED, Cause.INTERRUPTED, Verdict.REPLACED),
        (Signal.STOPPED, Cause.STOPPING, Verdict.FAILED),
    ],
)
@pytest.mark.parametrize(
    "stage",
    [DeliveryStage.WAITING, DeliveryStage.OFFERED, DeliveryStage.UPLOADED, DeliveryStage.FLUSHED],
)
def test_what_was_not_committed_was_not_run_and_the_verdict_says_so(stage, signal, cause, verdict):
    assert turn_at(stage).handle(signal, 103.0, cause)[-1] == finished(verdict, cause)


@pytest.mark.parametrize(
    ("signal", "cause"), [(Signal.ABANDONED, Cause.INTERRUPTED), (Signal.STOPPED, Cause.STOPPING)]
)
def test_what_perhaps_ran_is_never_said_not_to_have_run(signal, cause):
    turn = turn_at(DeliveryStage.COMMITTED, transitions=AT_LEAST_ONCE)
    turn.handle(Signal.LINK_LOST, 104.0)
    assert turn.handle(signal, 105.0, cause) == (finished(Verdict.ABANDONED, cause),)


def test_a_refusal_for_good_is_told_as_one_whatever_was_before():
    turn = turn_at(DeliveryStage.COMMITTED, transitions=AT_LEAST_ONCE)
    turn.handle(Signal.LINK_LOST, 104.0)
    turn.offer(105.0)
    effects = turn.hear(BackendError("Could not understand audio"), 106.0)
    assert effects[-1] == finished(Verdict.FAILED, Cause.NOT_UNDERSTOOD)
