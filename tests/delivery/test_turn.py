"""Each row of the transition table, without waiting."""

import pytest

from jarvis_ear.delivery import events
from jarvis_ear.delivery import transitions as table
from jarvis_ear.delivery.events import Cause, Verdict
from jarvis_ear.delivery.timeouts import FLUSH_WINDOW_BYTES, Timeouts
from jarvis_ear.delivery.transitions import DeliveryStage as Stage
from jarvis_ear.delivery.transitions import Emit, Replace, Send, SetState, Signal, Upload
from jarvis_ear.delivery.turn import DeliveryTurn
from jarvis_ear.delivery.utterance import Past, Utterance
from jarvis_ear.wires import messages as wire

WAV = b"RIFF" + bytes(40)
TIMEOUTS = Timeouts()
READY = wire.Listening("den")


def turn_at(stage, wav=WAV, transitions=table.AT_MOST_ONCE):
    turn = DeliveryTurn(Utterance("t1", wav, 0, ended_at=100.0), TIMEOUTS, transitions)
    steps = [
        (Stage.OFFERED, lambda: turn.offer(101.0)),
        (Stage.UPLOADED, lambda: turn.hear(READY, 102.0)),
        (Stage.FLUSHED, lambda: turn.flushed(103.0)),
        (Stage.COMMITTED, lambda: turn.recorded(103.0, ok=True)),
        (Stage.DELIVERED, lambda: turn.hear(wire.Processing(), 104.0)),
        (Stage.ANSWERING, lambda: turn.hear(wire.Transcript("hi"), 105.0)),
        (Stage.OVER, lambda: turn.hear(wire.TtsDone(0), 106.0)),
    ]
    for reached, step in steps:
        if turn.stage is stage:
            break
        step()
        assert turn.stage is reached
    assert turn.stage is stage
    return turn


def offer_again(turn, now):
    """Offer the utterance on a new link, whose backend is ready."""
    assert turn.offer(now) == (Send(wire.AudioStart()),)
    turn.hear(READY, now)


def commit(turn, now):
    """The socket has taken all of it, and the commit is recorded."""
    return (*turn.flushed(now), *turn.recorded(now, ok=True))


def refused(turn, at):
    return Emit(events.Refused("t1", Cause.STT_UNAVAILABLE.value, turn.not_before - at))


def finished(verdict, cause=Cause.NONE, chunks=0, missing=0):
    return Emit(events.Finished("t1", verdict, cause.value, chunks, missing))


def audio(index):
    return Emit(events.ReplyAudio("t1", index, "audio/wav", bytes(4)))


def missing(*indexes):
    return Emit(events.ChunksMissing("t1", indexes))


def chunk(index):
    return wire.TtsChunk(index, "audio/wav", bytes(4))


TAKEN = (SetState("t1", table.SpoolState.TAKEN), Emit(events.ProcessingStarted("t1")))
NO_STT = wire.BackendError("fetch failed")
NOT_UNDERSTOOD = wire.BackendError("Could not understand audio")
REFUSED, LATE = Replace("backend refused it"), Replace("waited too long")
REFUSED_FOR_GOOD = Replace("backend refused it for good")
DONE = finished(Verdict.DONE)
EXPIRED = finished(Verdict.EXPIRED, Cause.TOO_OLD)
IN_DOUBT = finished(Verdict.IN_DOUBT, Cause.LINK_LOST)
WITHOUT_STT = finished(Verdict.FAILED, Cause.STT_UNAVAILABLE)
WITHOUT_WORDS = finished(Verdict.FAILED, Cause.NOT_UNDERSTOOD)
NO_PROCESSING = finished(Verdict.IN_DOUBT, Cause.NO_PROCESSING)
REPLY_LOST = finished(Verdict.REPLY_LOST, Cause.LINK_LOST)


def test_a_turn_from_offer_to_end():
    turn = DeliveryTurn(Utterance("t1", WAV, 44, ended_at=100.0), TIMEOUTS)
    assert turn.offer(101.0) == (Send(wire.AudioStart()),)
    assert turn.hear(READY, 101.1) == (Upload(wire.AudioChunk(WAV)),)
    assert turn.flushed(101.2) == (SetState("t1", table.SpoolState.SENT),)
    sent = Emit(events.Sent("t1", 44, len(WAV), 60))
    assert turn.recorded(101.2, ok=True) == (Send(wire.AudioEnd()), sent)
    assert turn.hear(wire.Processing(), 101.3) == TAKEN
    assert turn.hear(wire.Transcript("hi"), 101.4) == (Emit(events.Transcribed("t1", "hi")),)
    assert turn.hear(wire.Thinking("none"), 101.5) == (Emit(events.ThinkingStarted("t1", "none")),)
    assert turn.hear(chunk(1), 101.6) == ()
    assert turn.hear(chunk(0), 101.7) == (audio(0), audio(1))
    assert turn.hear(chunk(3), 101.8) == ()
    end = finished(Verdict.DONE, Cause.NONE, 3, 1)
    assert turn.hear(wire.TtsDone(4), 101.9) == (missing(2), audio(3), end)
    assert turn.deadline == float("inf")


def test_the_end_of_a_turn_says_whether_the_backend_asks_for_an_answer():
    asked = wire.TtsDone(0, follow_up=True)
    assert turn_at(Stage.ANSWERING).hear(asked, 106.0)[-1].event.follow_up
    assert not turn_at(Stage.ANSWERING).hear(wire.TtsDone(0), 106.0)[-1].event.follow_up


def test_the_end_of_a_turn_has_the_volume_once_and_only_if_the_reply_ended():
    louder = wire.TtsDone(0, volume=wire.VolumeRequest(change=10))
    turn = turn_at(Stage.ANSWERING)
    assert turn.hear(louder, 106.0)[-1].event.volume == louder.volume
    assert turn.hear(louder, 106.0) == ()
    stopped = turn_at(Stage.ANSWERING)
    [*_, end] = stopped.handle(Signal.ABANDONED, 106.0)
    assert end.event.volume == wire.UNCHANGED
    assert stopped.hear(louder, 106.0) == ()


@pytest.mark.parametrize(
    ("stage", "size", "deadline", "effects", "then"),
    [
        (Stage.WAITING, 44, 130.0, (EXPIRED,), Stage.OVER),
        (Stage.OFFERED, 44, 104.0, (LATE,), Stage.WAITING),
        (Stage.UPLOADED, 1, 105.0, (LATE,), Stage.WAITING),  # three seconds for every six of speech
        (Stage.UPLOADED, FLUSH_WINDOW_BYTES, 105.0, (LATE,), Stage.WAITING),
        (Stage.UPLOADED, 900_000, 117.0, (LATE,), Stage.WAITING),
        (Stage.COMMITTED, 44, 107.0, (LATE, NO_PROCESSING), Stage.OVER),
    ],
)
def test_a_stage_has_a_deadline(stage, size, deadline, effects, then):
    turn = turn_at(stage, bytes(size))
    assert turn.deadline == deadline
    assert turn.tick(deadline - 0.1) == ()
    assert turn.tick(deadline) == effects
    assert turn.stage is then


def hear(message, now=106.0):
    return lambda turn: turn.hear(message, now)


def signal(name, cause=Cause.NONE):
    return lambda turn: turn.handle(name, 106.0, cause)


def flushed(turn):
    return turn.flushed(130.0)


def recorded(now, *, ok):
    return lambda turn: turn.recorded(now, ok=ok)


TOO_OLD = (Replace("too old"), EXPIRED)
NOT_STORED = (Replace("commit cannot be recorded"), finished(Verdict.FAILED, Cause.STORAGE_FAILED))
STEPS = {
    "late offer": (Stage.WAITING, lambda turn: turn.offer(130.0), (EXPIRED,)),
    "late commit": (Stage.UPLOADED, flushed, TOO_OLD),
    "late record": (Stage.FLUSHED, recorded(130.0, ok=True), TOO_OLD),
    "no record": (Stage.FLUSHED, recorded(103.0, ok=False), NOT_STORED),
    "end proves delivery": (Stage.COMMITTED, hear(wire.TtsDone(0)), (*TAKEN, DONE)),
    "link lost after commit": (Stage.COMMITTED, signal(Signal.LINK_LOST), (IN_DOUBT,)),
    "link lost after delivery": (Stage.DELIVERED, signal(Signal.LINK_LOST), (REPLY_LOST,)),
    "link lost in reply": (Stage.ANSWERING, signal(Signal.LINK_LOST), (REPLY_LOST,)),
    "no words after commit": (Stage.COMMITTED, hear(NOT_UNDERSTOOD), (WITHOUT_WORDS,)),
    "no words after delivery": (Stage.DELIVERED, hear(NOT_UNDERSTOOD), (WITHOUT_WORDS,)),
    "late refusal after commit": (Stage.COMMITTED, hear(NO_STT, 130.0), (WITHOUT_STT,)),
    "late refusal after delivery": (Stage.DELIVERED, hear(NO_STT, 130.0), (WITHOUT_STT,)),
    "late refusal": (Stage.OFFERED, hear(NO_STT, 129.9), (REFUSED_FOR_GOOD, WITHOUT_STT)),
    "failure after transcript": (Stage.ANSWERING, hear(NO_STT), (REFUSED, WITHOUT_STT)),
    "ready without an end": (Stage.ANSWERING, hear(wire.Listening(), 110.0), (DONE,)),
}


@pytest.mark.parametrize(("stage", "step", "effects"), STEPS.values(), ids=STEPS)
def test_a_last_step_has_its_effects(stage, step, effects):
    turn = turn_at(stage)
    assert step(turn) == effects
    assert turn.stage is Stage.OVER
    assert turn.offer(131.0) == turn.recorded(131.0, ok=True) == ()


LLM = wire.BackendError("500 llm")
NO_PARTS, PARTS = finished(Verdict.DONE, missing=3), finished(Verdict.DONE, Cause.NONE, 2, 1)
LLM_FAILED = finished(Verdict.FAILED, Cause.BACKEND_ERROR, 2, 1)
CUT_OFF = finished(Verdict.REPLY_LOST, Cause.LINK_LOST, 1, 1)
SILENT = finished(Verdict.REPLY_LOST, Cause.NO_REPLY, 1, 1)
ABANDONED = finished(Verdict.ABANDONED, Cause.INTERRUPTED)
TOO_BIG = finished(Verdict.REPLY_LOST, Cause.REPLY_TOO_BIG, 1000)
ABANDON = signal(Signal.ABANDONED, Cause.INTERRUPTED)
ENDS = {
    "no chunks": ((), hear(wire.TtsDone(3)), (missing(0, 1, 2), NO_PARTS)),
    "one too few": ((0, 1), hear(wire.TtsDone(3)), (missing(2), PARTS)),
    "failure": ((0, 2), hear(LLM), (REFUSED, missing(1), audio(2), LLM_FAILED)),
    "link lost": ((1,), signal(Signal.LINK_LOST), (missing(0), audio(1), CUT_OFF)),
    "silence": ((1,), signal(Signal.TIMED_OUT), (LATE, missing(0), audio(1), SILENT)),
    "abandoned": ((1,), ABANDON, (Replace("abandoned"), ABANDONED)),
    "too many": (range(1000), hear(chunk(1000)), (Replace("reply too big"), TOO_BIG)),
}


@pytest.mark.parametrize(("heard", "step", "effects"), ENDS.values(), ids=ENDS)
def test_a_reply_ends(heard, step, effects):
    turn = turn_at(Stage.ANSWERING)
    for index in heard:
        turn.hear(chunk(index), 105.5)
    assert step(turn) == effects


def test_an_answer_without_a_name_is_accepted_and_a_pong_ignored():
    effects = turn_at(Stage.OFFERED).hear(wire.Listening(), 102.0)
    assert effects == (Upload(wire.AudioChunk(WAV)),)
    assert turn_at(Stage.COMMITTED).hear(wire.Pong(), 104.0) == ()


@pytest.mark.parametrize("stage", [Stage.OFFERED, Stage.UPLOADED, Stage.FLUSHED])
def test_before_the_commit_a_lost_link_costs_nothing(stage):
    turn = turn_at(stage)
    assert turn.handle(Signal.LINK_LOST, 103.0) == ()
    assert turn.offer(104.0) == (Send(wire.AudioStart()),)


@pytest.mark.parametrize("stage", [Stage.OFFERED, Stage.UPLOADED, Stage.FLUSHED])
def test_before_the_commit_a_refusal_is_tried_once_more(stage):
    turn = turn_at(stage)
    assert turn.hear(NO_STT, 103.0) == (REFUSED, refused(turn, at=103.0))
    assert turn.stage is Stage.WAITING
    turn.offer(105.0)
    assert turn.hear(NO_STT, 105.0) == (REFUSED_FOR_GOOD, WITHOUT_STT)


@pytest.mark.parametrize("stage", [Stage.OFFERED, Stage.UPLOADED])
def test_a_backend_that_begins_early_has_it(stage):
    turn = turn_at(stage)
    assert turn.hear(wire.Processing(), 103.0) == TAKEN
    assert turn.flushed(104.0) == ()
    assert turn.stage is Stage.DELIVERED


@pytest.mark.parametrize(
    "message", [wire.Transcript("x"), wire.Thinking("x"), chunk(0), wire.TtsDone(1)]
)
@pytest.mark.parametrize("stage", [Stage.WAITING, Stage.OFFERED, Stage.UPLOADED, Stage.OVER])
def test_an_answer_to_nothing_is_ignored(stage, message):
    turn = turn_at(stage)
    assert turn.hear(message, 106.0) == ()
    assert turn.stage is stage


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (wire.Transcript("hi"), Emit(events.Transcribed("t1", "hi"))),
        (wire.Thinking("none"), Emit(events.ThinkingStarted("t1", "none"))),
        (chunk(0), audio(0)),
    ],
)
def test_an_answer_proves_the_delivery(message, event):
    turn = turn_at(Stage.COMMITTED)
    assert turn.hear(message, 104.0) == (*TAKEN, event)
    assert turn.stage is Stage.ANSWERING


@pytest.mark.parametrize("stage", [Stage.COMMITTED, Stage.DELIVERED])
def test_a_failure_before_the_transcript_ran_nothing_and_is_tried_once_more(stage):
    turn = turn_at(stage)
    taken_back = SetState("t1", table.SpoolState.NEW)
    assert turn.hear(NO_STT, 106.0) == (REFUSED, taken_back, refused(turn, at=106.0))
    assert (turn.stage, turn.deadline) == (Stage.WAITING, 130.0)
    offer_again(turn, 107.0)
    commit(turn, 107.0)
    assert turn.hear(NO_STT, 108.0) == (WITHOUT_STT,)


def test_a_backend_that_begins_early_and_fails_ran_nothing_either():
    turn = turn_at(Stage.OFFERED)
    turn.hear(wire.Processing(), 103.0)
    taken_back = SetState("t1", table.SpoolState.NEW)
    assert turn.hear(NO_STT, 104.0) == (REFUSED, taken_back, refused(turn, at=104.0))


@pytest.fixture
def unanswered():
    """A turn of at-least-once that was committed on a link that is lost."""
    turn = turn_at(Stage.COMMITTED, transitions=table.AT_LEAST_ONCE)
    assert turn.handle(Signal.LINK_LOST, 104.0) == ()
    return turn


def test_at_least_once_sends_an_unanswered_utterance_again(unanswered):
    offer_again(unanswered, 105.0)
    commit(unanswered, 105.0)
    assert unanswered.tick(109.0) == (LATE,)
    assert unanswered.stage is Stage.WAITING


def test_an_utterance_that_may_have_run_is_in_doubt_and_not_expired(unanswered):
    assert unanswered.tick(130.0) == (IN_DOUBT,)
    past = Utterance("t1", WAV, 44, 100.0, Past.PERHAPS_RAN)  # of a former run
    assert DeliveryTurn(past, TIMEOUTS, table.AT_LEAST_ONCE).tick(130.0) == (IN_DOUBT,)


def test_a_refusal_of_the_second_time_says_nothing_about_the_first(unanswered):
    offer_again(unanswered, 105.0)
    commit(unanswered, 105.0)
    assert unanswered.hear(NO_STT, 106.0) == (REFUSED, refused(unanswered, at=106.0))
    assert unanswered.tick(130.0) == (IN_DOUBT,)


def test_a_refusal_for_good_is_the_verdict_of_an_utterance_that_may_have_run(unanswered):
    unanswered.offer(105.0)
    assert unanswered.hear(NOT_UNDERSTOOD, 106.0)[-1] == WITHOUT_WORDS


def test_an_utterance_that_may_have_run_and_cannot_be_recorded_is_in_doubt(unanswered):
    offer_again(unanswered, 105.0)
    unanswered.flushed(105.0)
    end = finished(Verdict.IN_DOUBT, Cause.STORAGE_FAILED)
    assert unanswered.recorded(105.0, ok=False)[-1] == end


@pytest.mark.parametrize(
    ("signal", "cause", "verdict"),
    [
        (Signal.ABANDONED, Cause.INTERRUPTED, Verdict.REPLACED),
        (Signal.STOPPED, Cause.STOPPING, Verdict.FAILED),
    ],
)
def test_a_turn_is_abandoned_only_if_it_may_have_run(unanswered, signal, cause, verdict):
    for stage in (Stage.WAITING, Stage.OFFERED, Stage.UPLOADED, Stage.FLUSHED):
        assert turn_at(stage).handle(signal, 103.0, cause)[-1] == finished(verdict, cause)
    assert unanswered.handle(signal, 105.0, cause) == (finished(Verdict.ABANDONED, cause),)


def test_the_slower_of_two_parallel_syntheses_is_waited_for():
    turn = turn_at(Stage.ANSWERING)
    assert turn.hear(chunk(1), 106.0) == ()
    assert turn.tick(120.9) == ()
    assert turn.hear(chunk(0), 120.9) == (audio(0), audio(1))
    assert turn.hear(wire.TtsDone(2), 121.0) == (finished(Verdict.DONE, Cause.NONE, 2),)


def test_the_end_of_another_reply_does_not_end_the_turn():
    turn = turn_at(Stage.UPLOADED)
    assert turn.hear(wire.TtsDone(7), 102.0) == ()
    commit(turn, 103.0)
    turn.hear(wire.Transcript("hi"), 104.0)
    assert turn.hear(wire.Listening(), 105.0) == (DONE,)


def test_a_backend_that_talks_for_ever_is_cut_off():
    turn, now = turn_at(Stage.DELIVERED), 104.0
    while now < 280.0:
        turn.hear(wire.Thinking("still"), now)
        now += 4.0
    assert turn.deadline == 284.0
    assert turn.tick(284.0)[-1] == finished(Verdict.REPLY_LOST, Cause.NO_REPLY)


@pytest.mark.parametrize("message", [wire.Processing(), wire.Thinking("slow")])
@pytest.mark.parametrize("stage", [Stage.DELIVERED, Stage.ANSWERING])
def test_silence_after_the_last_sign_of_life_ends_a_turn(stage, message):
    turn = turn_at(stage)
    turn.hear(message, 120.0)
    assert turn.deadline == 180.0
    assert turn.tick(180.0) == (LATE, finished(Verdict.REPLY_LOST, Cause.NO_REPLY))


def test_a_repeated_processing_changes_no_stage():
    for stage in (Stage.DELIVERED, Stage.ANSWERING):
        turn = turn_at(stage)
        assert turn.hear(wire.Processing(), 150.0) == ()
        assert turn.stage is stage


def test_a_missing_sentence_is_skipped_in_time():
    turn = turn_at(Stage.ANSWERING)
    turn.hear(chunk(1), 110.0)
    assert turn.deadline == 125.0
    assert turn.tick(125.0) == (missing(0), audio(1))
    assert turn.stage is Stage.ANSWERING


def test_a_second_attempt_waits_half_a_second_to_two():
    waits = set()
    for number in range(200):
        turn = DeliveryTurn(Utterance(f"t{number}", WAV, 0, ended_at=100.0), TIMEOUTS)
        turn.offer(101.0)
        *_, last = turn.hear(wire.BackendError("STT service not available: it is busy"), 102.0)
        wait = turn.not_before - 102.0
        assert last.event == events.Refused(f"t{number}", "stt_unavailable", wait)
        waits.add(wait)
    assert 0.5 <= min(waits) < 0.6
    assert 1.9 < max(waits) <= 2.0


def test_a_refusal_of_a_waiting_utterance_is_no_second_attempt():
    turn = turn_at(Stage.WAITING)
    assert turn.hear(NO_STT, 103.0) == ()
    assert turn.not_before == float("-inf")
