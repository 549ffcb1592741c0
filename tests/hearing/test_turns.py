import itertools
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jarvis_ear import config
from jarvis_ear.hearing.events import (
    AbandonTurn,
    DeadlinePassed,
    Effect,
    Event,
    Failed,
    Hushed,
    Ignored,
    MicrophoneLost,
    MicrophoneSilent,
    Muted,
    ReplyEnded,
    ReplyStarted,
    SendUtterance,
    SoundEnded,
    SpeechDiscarded,
    SpeechEnded,
    SpeechStarted,
    State,
    StateChanged,
    StopSpeaking,
    TurnDropped,
    TurnOpened,
    Unmuted,
    WakeDetected,
)
from jarvis_ear.hearing.turns import SPEAKING_MAX_MS, TRANSITIONS, TurnMachine
from jarvis_ear.hearing.utterance import CapturedUtterance, EndReason
from jarvis_ear.units import Samples, samples

NOW = Samples(0)
BACKEND_EVENTS = {ReplyStarted, ReplyEnded, Failed}
UTTERANCE = CapturedUtterance(
    start=Samples(0),
    speech_start=Samples(0),
    speech_end=Samples(320),
    end=Samples(320),
    pcm=bytes(640),
    reason=EndReason.HANGOVER,
    lost=Samples(0),
)


def make(**hearing: int) -> TurnMachine:
    ids = itertools.count(1)
    return TurnMachine(config.HearingOptions(**hearing), lambda: f"id{next(ids)}")


def event_of(kind: type[Event], turn_id: str = "", at: Samples = NOW) -> Event:
    """Make an event of this kind, about the turn ``turn_id`` where it is about one."""
    if kind is WakeDetected:
        return WakeDetected(at, 0.9)
    if kind is SpeechEnded:
        return SpeechEnded(at, UTTERANCE)
    if kind is Failed:
        return Failed(turn_id, "timeout")
    if kind in BACKEND_EVENTS:
        return kind(turn_id)
    if kind in (SpeechStarted, SpeechDiscarded, SoundEnded, DeadlinePassed):
        return kind(at)
    return kind()


def advance(machine: TurnMachine, *kinds: type[Event], now: Samples = NOW) -> list[Effect]:
    """Advance a machine by events about its open turn; every effect, in order."""
    effects: list[Effect] = []
    for kind in kinds:
        effects += machine.advance(event_of(kind, machine.turn_id, now), now)
    return effects


TO_CAPTURING = (WakeDetected, SpeechStarted)
TO_SPEAKING = (*TO_CAPTURING, SpeechEnded, ReplyStarted)
WAY_TO: dict[State, tuple[type[Event], ...]] = {
    State.IDLE: (),
    State.LISTENING: TO_CAPTURING[:1],
    State.CAPTURING: TO_CAPTURING,
    State.THINKING: TO_SPEAKING[:3],
    State.SPEAKING: TO_SPEAKING,
    State.FOLLOW_UP: (*TO_SPEAKING, ReplyEnded),
    State.MUTED: (Muted,),
    State.DEAF: (MicrophoneLost,),
}


def machine_in(state: State, **hearing: int) -> TurnMachine:
    machine = make(**hearing)
    advance(machine, *WAY_TO[state])
    assert machine.state is state
    return machine


def reachable(start: State, kinds: set[type[Event]]) -> set[State]:
    """States that events of these kinds lead to, by the table."""
    seen, todo = {start}, [start]
    while todo:
        row = TRANSITIONS[todo.pop()]
        new = {row[kind].to for kind in kinds & row.keys()} - seen
        seen |= new
        todo += new
    return seen


# The table as a graph


def test_every_state_has_a_row_every_event_is_used_and_only_unmuting_leaves_muted():
    assert set(TRANSITIONS) == set(State)
    assert {kind for row in TRANSITIONS.values() for kind in row} == set(get_args(Event))
    arrows = TRANSITIONS[State.MUTED].items()
    assert {kind for kind, arrow in arrows if arrow.to is not State.MUTED} == {Unmuted}


@pytest.mark.parametrize("state", State)
def test_every_state_is_reachable_and_has_a_way_back(state):
    everything = set(get_args(Event))
    assert state in reachable(State.IDLE, everything)
    assert State.IDLE in reachable(state, everything)


@pytest.mark.parametrize("state", [state for state in State if state is not State.MUTED])
def test_every_state_can_be_muted_and_made_deaf(state):
    row = TRANSITIONS[state]
    assert row[Muted].to is State.MUTED
    if state is not State.DEAF:
        assert row[MicrophoneLost].to is State.DEAF
        assert row[MicrophoneSilent] == row[MicrophoneLost]


@pytest.mark.parametrize("state", [state for state in State if state is not State.CAPTURING])
def test_no_event_of_the_backend_leads_to_capturing_or_listening(state):
    found = reachable(state, BACKEND_EVENTS)
    assert State.CAPTURING not in found
    assert State.LISTENING not in found - {state}


# Deadlines


@pytest.mark.parametrize(
    ("state", "window_ms"),
    [
        (State.LISTENING, 5000),
        (State.THINKING, 180_000),
        (State.SPEAKING, SPEAKING_MAX_MS),
        (State.FOLLOW_UP, 8000),
    ],
)
def test_a_deadline_ends_a_state_that_waits(state, window_ms):
    machine = machine_in(state, follow_up_ms=8000)
    assert machine.deadline == samples(window_ms)
    advance(machine, DeadlinePassed)
    assert machine.state is State.IDLE


@pytest.mark.parametrize("state", [State.IDLE, State.CAPTURING, State.MUTED, State.DEAF])
def test_other_states_have_no_deadline(state):
    assert machine_in(state).deadline is None


@pytest.mark.parametrize("state", [State.THINKING, State.SPEAKING])
def test_a_follow_up_of_no_length_is_not_entered(state):
    machine = machine_in(state, follow_up_ms=0)
    assert advance(machine, ReplyEnded) == [StateChanged(state, State.IDLE, NOW, "ReplyEnded")]
    assert (machine.deadline, machine.turn_id) == (None, "")


@pytest.mark.parametrize(
    ("state", "reply_ended_ms", "deadline_ms"),
    [(State.LISTENING, None, 5000), (State.SPEAKING, 20_000, 28_000)],
)
def test_discarded_speech_does_not_move_the_deadline(state, reply_ended_ms, deadline_ms):
    machine, at = machine_in(state, follow_up_ms=8000), 2000
    if reply_ended_ms:
        advance(machine, ReplyEnded, now=samples(reply_ended_ms))
        at = reply_ended_ms + 1000
    advance(machine, SpeechStarted, SpeechDiscarded, now=samples(at))
    assert (machine.state, machine.deadline) == (State.LISTENING, samples(deadline_ms))


# The effects of a transition


def test_a_turn_from_the_word_to_the_reply():
    machine = make()
    assert advance(machine, WakeDetected, SpeechStarted, SpeechEnded, ReplyStarted, ReplyEnded) == [
        TurnOpened("id1", "id2", NOW, 0.9),
        StateChanged(State.IDLE, State.LISTENING, NOW, "WakeDetected"),
        StateChanged(State.LISTENING, State.CAPTURING, NOW, "SpeechStarted"),
        SendUtterance("id1", UTTERANCE),
        StateChanged(State.CAPTURING, State.THINKING, NOW, "SpeechEnded(hangover)"),
        StateChanged(State.THINKING, State.SPEAKING, NOW, "ReplyStarted"),
        StateChanged(State.SPEAKING, State.IDLE, NOW, "ReplyEnded"),
    ]
    assert machine.turn_id == ""


def test_the_wake_word_silences_a_reply_abandons_its_turn_and_opens_one():
    machine = machine_in(State.SPEAKING)
    assert advance(machine, WakeDetected) == [
        StopSpeaking("id1"),
        AbandonTurn("id1", "WakeDetected"),
        TurnOpened("id3", "id4", NOW, 0.9),
        StateChanged(State.SPEAKING, State.LISTENING, NOW, "WakeDetected"),
    ]


def test_the_wake_word_silences_an_announcement_which_is_no_turn():
    machine = make()
    machine.advance(ReplyStarted("news"), NOW)
    effects = [StopSpeaking(""), TurnOpened("id1", "id2", NOW, 0.9)]
    assert advance(machine, WakeDetected)[:2] == effects


def test_a_follow_up_is_a_turn_of_the_same_session():
    machine = machine_in(State.FOLLOW_UP, follow_up_ms=8000)
    assert advance(machine, SpeechStarted)[0] == TurnOpened("id3", "id2", NOW, None)


def test_a_failure_has_its_code():
    changed = StateChanged(State.THINKING, State.IDLE, NOW, "Failed(timeout)")
    assert advance(machine_in(State.THINKING), Failed) == [changed]


@pytest.mark.parametrize("state", [State.LISTENING, State.CAPTURING])
@pytest.mark.parametrize("kind", [Muted, MicrophoneLost, MicrophoneSilent, SoundEnded])
def test_an_unsent_utterance_is_dropped(state, kind):
    assert advance(machine_in(state), kind)[0] == TurnDropped("id1", kind.__name__)


def test_the_wake_word_again_is_a_new_turn():
    machine = machine_in(State.LISTENING)
    effects = machine.advance(WakeDetected(samples(900), 0.8), samples(1000))
    assert effects == (
        TurnDropped("id1", "WakeDetected"),
        TurnOpened("id3", "id4", samples(1000), 0.8),
    )
    assert machine.deadline == samples(6000)


@pytest.mark.parametrize(
    "state", [State.LISTENING, State.CAPTURING, State.THINKING, State.SPEAKING]
)
@pytest.mark.parametrize("kind", [ReplyStarted, ReplyEnded, Failed])
def test_an_event_of_an_older_turn_is_ignored(state, kind):
    machine = machine_in(state)
    event = event_of(kind, "older")
    assert machine.advance(event, NOW) == (Ignored(state, event),)
    assert machine.state is state


def test_a_reply_that_was_awaited_while_muted_is_silenced_by_the_next_turn():
    machine = machine_in(State.THINKING)
    effects = advance(machine, Muted, Unmuted, WakeDetected)
    assert effects[2:5] == [
        StopSpeaking("id1"),
        AbandonTurn("id1", "WakeDetected"),
        TurnOpened("id3", "id4", NOW, 0.9),
    ]


def test_a_deaf_ear_plays_its_reply_to_the_end():
    machine = machine_in(State.SPEAKING)
    advance(machine, MicrophoneLost, ReplyStarted)
    assert machine.turn_id == "id1"
    assert advance(machine, ReplyEnded) == []
    assert (machine.state, machine.turn_id) == (State.DEAF, "")


@pytest.mark.parametrize(
    ("state", "to", "effects"),
    [
        (State.LISTENING, State.IDLE, [TurnDropped("id1", "Hushed")]),
        (State.CAPTURING, State.IDLE, [TurnDropped("id1", "Hushed")]),
        (State.THINKING, State.IDLE, [AbandonTurn("id1", "Hushed")]),
        (State.SPEAKING, State.IDLE, [StopSpeaking("id1"), AbandonTurn("id1", "Hushed")]),
        (State.MUTED, State.MUTED, [StopSpeaking("")]),
        (State.DEAF, State.DEAF, [StopSpeaking("")]),
    ],
)
def test_a_hush_ends_the_turn_and_its_reply(state, to, effects):
    machine = machine_in(state)
    changed = [] if state is to else [StateChanged(state, to, NOW, "Hushed")]
    assert advance(machine, Hushed) == effects + changed
    assert machine.turn_id == ""


def test_a_hush_while_muted_abandons_the_awaited_reply():
    machine = machine_in(State.THINKING)
    assert advance(machine, Muted, Hushed)[1:] == [
        StopSpeaking("id1"),
        AbandonTurn("id1", "Hushed"),
    ]


# Any events in any order


kinds = st.sampled_from(get_args(Event))
ids = st.sampled_from(["id1", "id3", "older", ""])


@given(st.lists(st.tuples(kinds, ids)))
def test_no_order_of_events_raises_and_what_is_ignored_changes_nothing(events):
    machine = make()
    for kind, turn_id in events:
        before = (machine.state, machine.turn_id, machine.deadline)
        event = event_of(kind, turn_id)
        effects = machine.advance(event, NOW)
        if any(isinstance(effect, Ignored) for effect in effects):
            assert effects == (Ignored(before[0], event),)
            assert (machine.state, machine.turn_id, machine.deadline) == before


class AnyConversation(RuleBasedStateMachine):
    """Events in any order, about any turn; what the effects promise."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = make(follow_up_ms=8000)
        self.now = 0
        self.open = ""
        self.sent: list[str] = []
        self.opened: list[str] = []

    @rule(kind=kinds, current=st.booleans(), passed=st.integers(0, 50_000))
    def happen(self, kind: type[Event], current: bool, passed: int) -> None:
        self.now += passed
        old = self.machine.state
        event = event_of(kind, self.machine.turn_id if current else "older", Samples(self.now))
        effects = self.machine.advance(event, Samples(self.now))
        for effect in effects:
            self.note(effect)
        if isinstance(event, ReplyEnded | Failed) and Ignored(old, event) not in effects:
            self.open = ""
        self.check(old, event, effects)

    def note(self, effect: Effect) -> None:
        match effect:
            case TurnOpened(turn_id):
                assert self.open == "", "two turns are open"
                assert turn_id not in self.opened
                self.open = turn_id
                self.opened.append(turn_id)
            case TurnDropped(turn_id):
                assert turn_id == self.open
                assert turn_id not in self.sent, "what was sent is not dropped but abandoned"
                self.open = ""
            case AbandonTurn(turn_id):
                assert turn_id == self.open
                assert turn_id in self.sent, "only what was sent can be abandoned"
                self.open = ""
            case SendUtterance(turn_id):
                assert turn_id == self.open
                assert turn_id not in self.sent, "an utterance is sent once"
                self.sent.append(turn_id)

    def check(self, old: State, event: Event, effects: tuple[Effect, ...]) -> None:
        new = self.machine.state
        changes = [effect for effect in effects if isinstance(effect, StateChanged)]
        assert [(change.old, change.new) for change in changes] == (
            [(old, new)] if old != new else []
        )
        if any(isinstance(effect, SendUtterance) for effect in effects):
            assert new is State.THINKING
        if old is State.MUTED and new is not State.MUTED:
            assert isinstance(event, Unmuted)
        if new is State.CAPTURING and old is not State.CAPTURING:
            assert isinstance(event, SpeechStarted)

    @invariant()
    def the_open_turn_is_the_machines(self) -> None:
        assert self.machine.turn_id == self.open

    @invariant()
    def the_ear_listens_only_in_a_turn(self) -> None:
        if self.machine.state in (State.LISTENING, State.CAPTURING, State.THINKING):
            assert self.open


TestAnyConversation = AnyConversation.TestCase
TestAnyConversation.settings = hypothesis_settings(
    deadline=None, max_examples=150, stateful_step_count=40
)
