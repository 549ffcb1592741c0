"""The outbox: one at a time, in order, bounded, and one verdict for each utterance."""

import math
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jarvis_ear.delivery import events, transitions
from jarvis_ear.delivery import outbox as module
from jarvis_ear.delivery.events import Announced, Cause, Finished, UnaskedSpeech, Verdict
from jarvis_ear.delivery.outbox import MAX_UTTERANCES, Outbox
from jarvis_ear.delivery.timeouts import Timeouts
from jarvis_ear.delivery.transitions import Emit, Replace, Send, SetState, SpoolState, Upload
from jarvis_ear.delivery.utterance import Past, Utterance
from jarvis_ear.spool.record import Header
from jarvis_ear.spool.recovery import CurrentRun, recover
from jarvis_ear.wires import messages as wire

START, READY = Send(wire.AudioStart()), wire.Listening("den")


def utterance(name, ended_at=0.0, size=100):
    return Utterance(name, name.encode() + bytes(size), size, ended_at)


def outbox(*names, up=None, queue=False):
    """Make an outbox that holds utterances, with a link since ``up``."""
    box = Outbox("den", Timeouts(), queue=queue)
    for name in names:
        assert box.put(utterance(name), 0.0) == ()
    if up is not None:
        assert box.link_up(up) == (START,) * bool(names)
    return box


def ends(effects):
    found = [each.event for each in effects if isinstance(each, Emit)]
    return [(end.turn_id, end.verdict, end.code) for end in found if isinstance(end, Finished)]


def commit(box, now):
    ready, flushed = box.hear(READY, now), box.flushed(now)
    return (*ready, *flushed, *record(box, flushed, now))


def record(box, effects, now, *, ok=True):
    """Record what has to be recorded before it may run."""
    notes = [
        each for each in effects if isinstance(each, SetState) and each.state is SpoolState.SENT
    ]
    return tuple(e for note in notes for e in box.recorded(note.turn_id, now, ok=ok))


def deliver(box, now):
    committed, processing = commit(box, now), box.hear(wire.Processing(), now)
    return (*committed, *processing, *box.hear(wire.TtsDone(0), now))


def test_an_empty_outbox_waits_for_nothing():
    box = outbox()
    assert (box.deadline, len(box)) == (math.inf, 0)
    assert box.tick(1.0) == box.link_lost(2.0) == box.flushed(3.0) == ()
    assert box.recorded("unknown", 3.0, ok=True) == box.abandon("unknown", 4.0) == ()


def test_utterances_are_uploaded_in_order_one_at_a_time():
    box = outbox("a", "b", up=1.0)
    effects = deliver(box, 2.0)
    assert ends(effects) == [("a", Verdict.DONE, "")]
    assert effects[-1] == START
    assert Upload(wire.AudioChunk(utterance("b").wav)) in deliver(box, 3.0)
    assert len(box) == 0


def test_only_before_the_commit_the_next_link_gets_it_from_the_beginning():
    box = outbox("a", up=1.0)
    box.hear(READY, 2.0)
    assert box.link_lost(3.0) == ()
    assert box.link_up(4.0) == (START,)
    commit(box, 5.0)
    assert ends(box.link_lost(6.0)) == [("a", Verdict.IN_DOUBT, "link_lost")]
    assert box.link_up(7.0) == ()
    assert box.put(utterance("b"), 7.0) == (START,)  # at once on a link that is up
    commit(box, 8.0)
    assert ends(box.abandon("b", 9.0)) == [("b", Verdict.ABANDONED, "interrupted")]  # may have run


def test_nothing_is_offered_on_a_link_that_is_being_replaced():
    box = outbox("a", "b", up=1.0)
    commit(box, 2.0)
    effects = box.tick(6.0)
    assert effects[0] == Replace("waited too long")
    assert ends(effects) == [("a", Verdict.IN_DOUBT, "no_processing")]
    assert box.link_up(7.0) == (START,)


HOLDABLE = [0, 1, 2]
"""Steps towards the commit after which a turn may be held."""


@pytest.mark.parametrize("steps", HOLDABLE)
def test_a_held_turn_is_not_committed_until_it_is_released(steps):
    box = outbox("a")
    ways = [
        lambda: box.link_up(1.0),
        lambda: box.hear(READY, 2.0),
        lambda: box.flushed(3.0),
    ]
    for step in ways[:steps]:
        step()
    assert box.hold("a", 3.0, goes_on=False) == ()
    effects = [effect for step in ways[steps:] for effect in step()]
    assert Send(wire.AudioEnd()) not in effects
    assert box.deadline > 3.0
    released = box.release("a", 4.0)
    effects = [*released, *record(box, released, 4.0)]
    for step in ways[1:]:
        more = step()
        effects += [*more, *record(box, more, 4.0)]
    assert effects.count(Send(wire.AudioEnd())) == 1


def test_a_held_turn_whose_commit_was_being_recorded_is_recorded_again():
    box = outbox("a", up=1.0)
    box.hear(READY, 2.0)
    [note] = box.flushed(3.0)
    assert box.hold("a", 3.0, goes_on=True) == (SetState("a", SpoolState.HELD),)
    assert record(box, [note], 3.1) == ()
    released = box.release("a", 4.0)
    assert released == (SetState("a", SpoolState.NEW), SetState("a", SpoolState.SENT))
    assert Send(wire.AudioEnd()) in record(box, released, 4.1)


def test_a_held_turn_may_become_too_old():
    box = outbox("a", up=1.0)
    box.hold("a", 1.5, goes_on=False)
    box.hear(READY, 2.0)
    assert ends(box.tick(4.0)) == []  # the backend was not told anything: offered again later
    assert ends(box.tick(31.0)) == [("a", Verdict.EXPIRED, "too_old")]


def test_a_beginning_is_superseded_and_not_run_unless_it_was_committed():
    box = outbox("a", up=1.0)
    assert box.hold("a", 1.5, goes_on=True) == (SetState("a", SpoolState.HELD),)
    assert box.hold("a", 1.6, goes_on=True) == ()
    effects = box.supersede("a", "whole", 2.0)
    end = Finished("a", Verdict.SUPERSEDED, "not_committed", 0, successor="whole")
    assert effects == (Replace("superseded"), Emit(end))
    box.put(utterance("whole"), 2.0)
    box.link_up(3.0)
    commit(box, 4.0)
    assert box.hold("whole", 5.0, goes_on=True) == ()
    assert ends(box.supersede("whole", "more", 6.0)) == [("whole", Verdict.SUPERSEDED, "committed")]
    assert box.supersede("unknown", "more", 7.0) == ()


def test_a_beginning_that_may_have_run_before_is_superseded_as_committed():
    box = outbox()
    box.put(replace(utterance("a"), past=Past.PERHAPS_RAN), 0.0)
    assert box.hold("a", 0.5, goes_on=True) == ()
    assert ends(box.supersede("a", "whole", 1.0)) == [("a", Verdict.SUPERSEDED, "committed")]


def test_a_held_turn_that_was_interrupted_waits_with_a_queue():
    box = outbox("a", queue=True)
    box.hold("a", 0.5, goes_on=False)
    box.abandon("a", 1.0)
    assert box.link_up(2.0) == (START,)


def test_an_abandoned_turn_gives_way_to_the_next():
    box = outbox("a", "b", up=1.0)
    effects = box.abandon("a", 2.0)
    assert isinstance(effects[0], Replace)
    assert ends(effects) == [("a", Verdict.REPLACED, "interrupted")]
    assert ends(box.abandon("b", 2.0)) == [("b", Verdict.REPLACED, "interrupted")]


def test_with_a_queue_an_interrupted_turn_waits():
    box = outbox("a", queue=True)
    assert box.abandon("a", 1.0) == (Emit(events.StillWaiting("a")),)
    box.put(utterance("b"), 2.0)
    replaced = Emit(Finished("b", Verdict.REPLACED, "interrupted", 0))
    assert box.abandon("b", 2.5, newer=False)[-1] == replaced
    box.put(utterance("c"), 3.0)
    box.link_up(4.0)
    assert ends(deliver(box, 5.0)) == [("a", Verdict.DONE, "")]
    commit(box, 6.0)
    assert ends(box.abandon("c", 7.0)) == [("c", Verdict.ABANDONED, "interrupted")]


def test_an_utterance_that_cannot_be_recorded_is_not_sent_and_the_next_is():
    box = outbox("a", "b", up=1.0)
    box.hear(READY, 1.0)
    effects = record(box, box.flushed(1.0), 1.0, ok=False)
    assert ends(effects) == [("a", Verdict.FAILED, "storage_failed")]
    assert not [each for each in effects if isinstance(each, Send)]
    assert box.recorded("a", 1.0, ok=True) == ()
    assert box.link_up(2.0) == (START,)
    assert box.recorded("a", 2.0, ok=True) == ()


def test_a_second_attempt_waits_and_keeps_its_place():
    box = outbox("a", "b", up=1.0)
    *_, last = box.hear(wire.BackendError("fetch failed"), 2.0)
    again_at = 2.0 + last.event.retry_s
    assert box.deadline == 30.0  # there is no link that it could go up on
    assert box.link_up(2.1) == ()
    assert box.deadline == again_at
    assert box.tick(again_at - 0.01) == ()
    assert box.tick(again_at) == (START,)
    assert ends(deliver(box, 6.0)) == [("a", Verdict.DONE, "")]


def test_stale_utterances_are_passed_over():
    box = outbox("a")
    box.put(utterance("b", ended_at=20.0), 20.0)
    effects = box.link_up(31.0)
    assert ends(effects) == [("a", Verdict.EXPIRED, "too_old")]
    assert effects[-1] == START


def test_the_oldest_gives_way_when_there_are_too_many():
    box = outbox(*map(str, range(MAX_UTTERANCES)))
    assert ends(box.put(utterance("new"), 0.0)) == [("0", Verdict.EXPIRED, "outbox_full")]
    assert len(box) == MAX_UTTERANCES
    assert box.counters()["utterances_dropped"] == 1
    assert ends(box.overflowed("a")) == [("a", Verdict.EXPIRED, "outbox_full")]
    assert box.counters()["utterances_dropped"] == 2


def test_the_oldest_gives_way_when_they_are_too_big(monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    box = outbox()
    for name, size, gone in (("a", 400, []), ("b", 400, []), ("c", 900, ["a", "b"])):
        assert [end[0] for end in ends(box.put(utterance(name, size=size), 0.0))] == gone


def test_a_committed_utterance_does_not_give_way():
    box = outbox("first", up=0.0)
    commit(box, 0.0)
    for number in range(MAX_UTTERANCES - 1):
        box.put(utterance(f"{number}"), 0.0)
    assert ends(box.put(utterance("new"), 0.0)) == [("0", Verdict.EXPIRED, "outbox_full")]


@pytest.mark.parametrize(
    ("wav_bytes", "raw_bytes", "cause"),
    [(44, 0, Cause.BAD_AUDIO), (0, 3, Cause.BAD_AUDIO), (4_000_000, 3_999_956, Cause.TOO_LARGE)],
)
def test_sound_that_no_backend_would_take_fails_at_once(wav_bytes, raw_bytes, cause):
    effects = outbox(up=0.0).put(Utterance("a", bytes(wav_bytes), raw_bytes, 0.0), 0.0)
    assert ends(effects) == [("a", Verdict.FAILED, cause.value)]
    assert len(effects) == 1


def test_messages_without_a_turn_are_counted_but_for_the_usual_ones():
    box = outbox()
    for message in (wire.Listening(), wire.Pong(), wire.Transcript("late"), wire.TtsDone(3)):
        assert box.hear(message, 0.0) == ()
    assert box.counters()["stray_messages"] == 2


def test_the_end_of_the_ear_is_the_end_of_every_turn():
    box = outbox("a", "b", up=0.0)
    effects = box.close(1.0)
    assert isinstance(effects[0], Replace)
    assert ends(effects) == [(name, Verdict.FAILED, "stopping") for name in "ab"]
    assert box.close(2.0) == ()


def test_an_utterance_on_file_is_left_to_the_next_run_unless_it_is_committed():
    box = outbox("a", "b", "c", up=0.0)
    commit(box, 0.5)
    effects = box.close(1.0, kept={"a", "b"})
    assert Emit(events.Kept("b")) in effects
    verdicts = [("a", Verdict.ABANDONED, "stopping"), ("c", Verdict.FAILED, "stopping")]
    assert ends(effects) == verdicts
    assert len(box) == 0


def test_every_bound_is_counted():
    box = outbox("a", up=0.0)
    commit(box, 0.0)
    for index in (0, 0, *range(1, 1001)):
        box.hear(wire.TtsChunk(index, "audio/wav", b"x"), 1.0)
    assert box.counters() == {
        "utterances_dropped": 0,
        "stray_messages": 0,
        "repeated_sentences": 1,
        "late_sentences": 0,
        "replies_too_big": 1,
    }


UNORDERLY = (Verdict.ABANDONED, Verdict.IN_DOUBT, Verdict.REPLY_LOST, Verdict.SUPERSEDED)

MESSAGES = [
    *(wire.Listening(), wire.Listening("den"), wire.Listening("kitchen"), wire.Processing()),
    *(wire.Transcript("hi"), wire.Thinking("none"), wire.TtsDone(2), wire.Pong()),
    *(wire.TtsChunk(0, "audio/wav", b"x"), wire.TtsChunk(2, "audio/wav", b"x")),
    wire.BackendError("fetch failed"),
]


class AnyBackend(RuleBasedStateMachine):
    """Whatever a backend, a network and a person do, and whenever the ear is killed.

    ``states`` is what a spool would know, and ``hearsay`` what the backend let us know: together
    they say what may be sent again.
    """

    guarantee = transitions.Guarantee.AT_MOST_ONCE

    def __init__(self):
        super().__init__()
        self.now, self.linked = 0.0, False
        self.put, self.ended, self.commits, self.states, self.sounds = [], {}, {}, {}, {}
        self.uploading, self.disk_is_stuck, self.last_first = None, False, -1
        self.held = set()
        self.lost_at = -math.inf  # when a turn ended whose reply may still come
        self.start()

    def start(self):
        table = self.guarantee.transitions
        self.box = Outbox("den", Timeouts(), table, new_id=lambda: "news")
        self.box.doubt_until = self.lost_at + 180  # as a sender tells the next one
        self.linked = False

    def take(self, effects):  # noqa: C901 - one case for each effect
        for effect in effects:
            match effect:
                case Replace():
                    self.linked = False
                case SetState(turn_id, state):
                    self.set_state(turn_id, state)
                case Send(wire.AudioStart()):
                    assert self.linked
                case Upload(wire.AudioChunk(wav)):
                    assert self.linked
                    self.uploading = next(name for name in self.put if self.sounds[name].wav == wav)
                case Send(wire.AudioEnd()):
                    self.commit(self.uploading)
                case Emit(Finished() as end):
                    assert end.turn_id not in self.ended, "two verdicts"
                    self.ended[end.turn_id] = end
                    if end.turn_id in self.commits and end.verdict in UNORDERLY:
                        self.lost_at = self.now
                    self.held.discard(end.turn_id)
                    self.states.pop(end.turn_id, None)
                case Emit(UnaskedSpeech()):
                    pass
                case Emit(Announced()):
                    assert self.now >= self.lost_at + 180, "perhaps the reply to a lost turn"
                case Emit(event):
                    assert event.turn_id not in self.ended, "news after the verdict"

    def set_state(self, name, state):
        """Record it, if the disk lets us; what it does not let us record must not run."""
        ok = state is not SpoolState.SENT or not self.disk_is_stuck
        if ok:
            self.states[name] = state
        if state is SpoolState.SENT:
            self.take(self.box.recorded(name, self.now, ok=ok))

    @rule()
    def disk_changes(self):
        self.disk_is_stuck = not self.disk_is_stuck

    def commit(self, name):
        assert self.linked
        assert name not in self.held, "what is held must not run"
        assert self.states[name] is SpoolState.SENT, "not on file before it may run"
        assert self.now < self.sounds[name].ended_at + 30, "run too late"
        self.commits[name] = self.commits.get(name, 0) + 1
        if self.commits[name] == 1:
            assert self.put.index(name) > self.last_first, "out of order"
            self.last_first = self.put.index(name)

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.6, 3.1, 4.1, 12.0, 31.0, 61.0]))
    def time_passes(self, seconds):
        self.now += seconds
        for _ in range(3 * MAX_UTTERANCES):  # each tick does something, so this comes to an end
            if self.box.deadline > self.now:
                return
            self.take(self.box.tick(self.now))
        raise AssertionError("a deadline passed, and nothing was done about it")

    @rule(size=st.sampled_from([0, 3, 100, 200_000, 3_900_000]))
    def person_speaks(self, size):
        name = f"turn {len(self.put)}"
        self.put.append(name)
        self.sounds[name] = utterance(name, self.now, size)
        self.states[name] = SpoolState.NEW
        self.take(self.box.put(self.sounds[name], self.now))

    @precondition(lambda self: not self.linked)
    @rule()
    def link_comes(self):
        self.linked = True
        self.take(self.box.link_up(self.now))

    @precondition(lambda self: self.linked)
    @rule()
    def link_goes(self):
        self.linked = False
        self.take(self.box.link_lost(self.now))

    @precondition(lambda self: self.linked)
    @rule(message=st.sampled_from(MESSAGES))
    def backend_speaks(self, message):
        before = self.box.counters()
        self.take(self.box.hear(message, self.now))
        assert all(self.box.counters()[name] >= count for name, count in before.items())

    @precondition(lambda self: self.linked)
    @rule()
    def everything_goes_well(self):
        self.take(self.box.hear(READY, self.now))
        if self.linked:
            self.socket_takes_all()

    @precondition(lambda self: self.linked)
    @rule()
    def socket_takes_all(self):
        self.take(self.box.flushed(self.now))

    @precondition(lambda self: self.put)
    @rule(pick=st.integers(0, 1000))
    def person_abandons_a_turn(self, pick):
        self.take(self.box.abandon(self.put[pick % len(self.put)], self.now))

    @precondition(lambda self: self.put)
    @rule(pick=st.integers(0, 1000), goes_on=st.booleans())
    def a_turn_is_held(self, pick, goes_on):
        name = self.put[pick % len(self.put)]
        self.take(self.box.hold(name, self.now, goes_on=goes_on))
        if name not in self.ended:
            self.held.add(name)

    @precondition(lambda self: self.held)
    @rule()
    def a_held_turn_is_released(self):
        name = self.held.pop()
        self.take(self.box.release(name, self.now))
        assert self.states.get(name) is not SpoolState.HELD

    @precondition(lambda self: self.held)
    @rule()
    def a_held_turn_is_superseded(self):
        name = self.held.pop()
        self.take(self.box.supersede(name, "whole", self.now))
        assert name in self.ended

    @rule()
    def killed(self):
        """The next run has what is on file, and nothing else."""
        left, self.states, self.held = self.states, {}, set()
        self.start()
        run = CurrentRun("this", self.now, 30.0, self.guarantee)
        for name, state in left.items():
            spoken = self.sounds[name]
            past = recover(state, Header(name, "this", spoken.ended_at, 0, 0), run)
            self.states[name] = state
            if isinstance(past, Finished):
                self.take((Emit(past),))
            else:
                self.take(self.box.put(replace(spoken, past=past), self.now))

    @invariant()
    def bounds_hold(self):
        assert len(self.box) <= MAX_UTTERANCES
        assert len(self.box) == len(self.put) - len(self.ended)

    def teardown(self):
        self.take(self.box.close(self.now))
        assert set(self.ended) == set(self.put)


class AnyBackendAtLeastOnce(AnyBackend):
    """The same, for an owner who would rather have a command run twice than not at all."""

    guarantee = transitions.Guarantee.AT_LEAST_ONCE


class NoRefusals(AnyBackend):
    """Without a refusal, nothing is ever committed a second time, in however many runs."""

    @precondition(lambda self: self.linked)
    @rule(message=st.sampled_from(MESSAGES[:-1]))
    def backend_speaks(self, message):
        self.take(self.box.hear(message, self.now))

    @invariant()
    def nothing_runs_twice(self):
        assert all(count == 1 for count in self.commits.values())


for machine in (AnyBackend, AnyBackendAtLeastOnce, NoRefusals):
    machine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyBackend = AnyBackend.TestCase
TestAnyBackendAtLeastOnce = AnyBackendAtLeastOnce.TestCase
TestNoRefusals = NoRefusals.TestCase
