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
    AnsweredElsewhere,
    AnsweredHere,
    DeadlinePassed,
    Effect,
    Event,
    Failed,
    FollowUp,
    HoldTurn,
    Hushed,
    Ignored,
    ListenRequested,
    MicrophoneLost,
    MicrophoneSilent,
    Muted,
    RefusalReason,
    ReplyEnded,
    ReplyStarted,
    ResumeTurn,
    ResumptionDiscarded,
    SendUtterance,
    SoundEnded,
    SpeechDiscarded,
    SpeechEnded,
    SpeechResumed,
    SpeechStarted,
    State,
    StateChanged,
    StopSpeaking,
    SupersedeTurn,
    TurnConfirmed,
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
    if kind in (Failed, AnsweredElsewhere):
        return kind(turn_id, "timeout" if kind is Failed else "kitchen")
    if kind in (*BACKEND_EVENTS, AnsweredHere):
        return kind(turn_id)
    if kind in (
        *(SpeechStarted, SpeechDiscarded, SpeechResumed, ResumptionDiscarded),
        *(SoundEnded, DeadlinePassed, ListenRequested),
    ):
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


@pytest.mark.parametrize(
    ("follow_up", "configured_ms", "window_ms"),
    [
        (FollowUp.AS_CONFIGURED, 3000, 3500),
        (FollowUp.ASKED, 3000, 8500),
        (FollowUp.ASKED, 0, 8500),
        (FollowUp.DECLINED, 3000, None),
        (FollowUp.AS_CONFIGURED, 0, None),
    ],
)
def test_a_follow_up_lasts_as_the_backend_the_person_and_the_owner_want_and_the_lag(
    follow_up, configured_ms, window_ms
):
    hearing = config.HearingOptions(follow_up_ms=configured_ms)
    machine = TurnMachine(hearing, lambda: "id", samples(500))
    advance(machine, *TO_SPEAKING)
    machine.advance(ReplyEnded(machine.turn_id, follow_up), NOW)
    assert machine.deadline == (None if window_ms is None else samples(window_ms))
    assert machine.state is (State.IDLE if window_ms is None else State.FOLLOW_UP)


def test_an_announcement_opens_the_microphone_only_if_it_asks_and_then_in_a_session_of_its_own():
    machine = machine_in(State.FOLLOW_UP, follow_up_ms=8000)
    machine.advance(ReplyStarted("news"), NOW)
    machine.advance(ReplyEnded("news"), NOW)
    assert machine.state is State.IDLE
    machine.advance(ReplyStarted("news"), NOW)
    machine.advance(ReplyEnded("news", FollowUp.ASKED), NOW)
    assert machine.state is State.FOLLOW_UP
    assert advance(machine, SpeechStarted)[0] == TurnOpened("id3", "id4", NOW, None)


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


def test_refused_speech_says_why():
    machine = machine_in(State.LISTENING)
    advance(machine, SpeechStarted)
    effects = machine.advance(SpeechDiscarded(NOW, RefusalReason.TALK), NOW)
    changed = StateChanged(State.CAPTURING, State.LISTENING, NOW, "SpeechDiscarded(talk)")
    assert effects == (changed,)


# The effects of a transition


def test_a_turn_from_the_word_to_the_reply():
    machine = make()
    assert advance(machine, WakeDetected, SpeechStarted, SpeechEnded, ReplyStarted, ReplyEnded) == [
        TurnOpened("id1", "id2", NOW, 0.9),
        StateChanged(State.IDLE, State.LISTENING, NOW, "WakeDetected"),
        StateChanged(State.LISTENING, State.CAPTURING, NOW, "SpeechStarted"),
        SendUtterance("id1", UTTERANCE, wake_word="hey_jarvis"),
        StateChanged(State.CAPTURING, State.THINKING, NOW, "SpeechEnded(hangover)"),
        StateChanged(State.THINKING, State.SPEAKING, NOW, "ReplyStarted"),
        StateChanged(State.SPEAKING, State.IDLE, NOW, "ReplyEnded"),
    ]
    assert machine.turn_id == ""


def test_a_turn_knows_the_scores_of_its_wake_word():
    [opened, _] = make().advance(WakeDetected(NOW, 0.6, 0.5, 1.5), NOW)
    assert opened == TurnOpened("id1", "id2", NOW, 0.6, second_look=0.5, verifier=1.5)


def test_an_utterance_names_its_wake_word_and_is_for_its_agent_until_the_session_ends():
    machine = make(follow_up_ms=4000)
    hall = config.WakeWord(model="alexa", agent_id="hall")
    machine.advance(WakeDetected(NOW, 0.9, word=hall), NOW)
    sent = [*advance(machine, SpeechStarted, SpeechEnded)]
    machine.advance(ReplyStarted(machine.turn_id), NOW)
    machine.advance(ReplyEnded(machine.turn_id), NOW)
    sent += advance(machine, SpeechStarted, SpeechEnded)
    machine.advance(ReplyStarted(machine.turn_id), NOW)
    machine.advance(ReplyEnded(machine.turn_id), NOW)
    sent += advance(machine, WakeDetected, SpeechStarted, SpeechEnded)
    sent = [effect for effect in sent if isinstance(effect, SendUtterance)]
    assert [(effect.agent_id, effect.wake_word) for effect in sent] == [
        ("hall", "alexa"),
        ("hall", "alexa"),
        ("", "hey_jarvis"),
    ]


def test_the_wake_word_holds_a_reply_and_an_utterance_ends_its_turn():
    machine = machine_in(State.SPEAKING)
    assert advance(machine, WakeDetected) == [
        HoldTurn("id1", goes_on=False),
        TurnOpened("id3", "id4", NOW, 0.9),
        StateChanged(State.SPEAKING, State.LISTENING, NOW, "WakeDetected"),
    ]
    assert machine.held_id == "id1"
    assert advance(machine, SpeechStarted, SpeechEnded)[1:4] == [
        StopSpeaking("id1"),
        AbandonTurn("id1", "WakeDetected"),
        SendUtterance("id3", UTTERANCE, wake_word="hey_jarvis"),
    ]
    assert machine.held_id == ""


@pytest.mark.parametrize("state", [State.THINKING, State.SPEAKING])
@pytest.mark.parametrize("nothing", [DeadlinePassed, SoundEnded])
def test_a_turn_goes_on_where_it_was_if_nothing_follows_the_wake_word(state, nothing):
    machine = machine_in(state)
    deadline = machine.deadline
    advance(machine, WakeDetected)
    assert advance(machine, nothing) == [
        TurnDropped("id3", nothing.__name__),
        ResumeTurn("id1"),
        StateChanged(State.LISTENING, state, NOW, nothing.__name__),
    ]
    assert (machine.turn_id, machine.held_id) == ("id1", "")
    assert machine.deadline == deadline


def test_a_held_turn_whose_reply_began_meanwhile_goes_on_with_the_reply():
    machine = machine_in(State.THINKING)
    advance(machine, WakeDetected)
    assert machine.advance(ReplyStarted("id1"), NOW) == ()
    advance(machine, DeadlinePassed)
    assert (machine.state, machine.turn_id) == (State.SPEAKING, "id1")


def test_a_held_reply_that_reports_its_start_late_is_held_as_before():
    machine = machine_in(State.SPEAKING)
    advance(machine, WakeDetected)
    assert machine.advance(ReplyStarted("id1"), NOW) == ()
    advance(machine, DeadlinePassed)
    assert machine.state is State.SPEAKING


@pytest.mark.parametrize("kind", [ReplyEnded, Failed])
def test_a_held_turn_that_is_over_meanwhile_does_not_go_on(kind):
    machine = machine_in(State.THINKING)
    advance(machine, WakeDetected)
    assert machine.advance(event_of(kind, "id1"), NOW) == ()
    assert ResumeTurn("id1") not in advance(machine, DeadlinePassed)
    assert (machine.state, machine.turn_id) == (State.IDLE, "")


@pytest.mark.parametrize(("kind", "state"), [(Muted, State.MUTED), (MicrophoneLost, State.DEAF)])
def test_an_ear_that_stops_hearing_goes_on_with_the_held_turn(kind, state):
    machine = machine_in(State.SPEAKING)
    effects = advance(machine, WakeDetected, kind)
    assert ResumeTurn("id1") in effects
    assert (machine.state, machine.turn_id) == (state, "id1")


def test_a_hush_after_the_wake_word_ends_both_turns():
    machine = machine_in(State.SPEAKING)
    assert advance(machine, WakeDetected, Hushed)[3:6] == [
        TurnDropped("id3", "Hushed"),
        StopSpeaking("id1"),
        AbandonTurn("id1", "Hushed"),
    ]
    assert (machine.turn_id, machine.held_id) == ("", "")


def test_a_sentence_that_goes_on_is_another_turn_and_supersedes_its_beginning():
    machine = machine_in(State.THINKING)
    assert advance(machine, SpeechResumed, SpeechEnded) == [
        HoldTurn("id1", goes_on=True),
        TurnOpened("id3", "id2", NOW, None, continues="id1"),
        StateChanged(State.THINKING, State.CAPTURING, NOW, "SpeechResumed"),
        SupersedeTurn("id1", by="id3"),
        SendUtterance("id3", UTTERANCE, wake_word="hey_jarvis"),
        StateChanged(State.CAPTURING, State.THINKING, NOW, "SpeechEnded(hangover)"),
    ]


def test_a_sentence_that_did_not_go_on_leaves_its_turn_as_it_was():
    machine = machine_in(State.THINKING)
    assert advance(machine, SpeechResumed, ResumptionDiscarded)[3:] == [
        TurnDropped("id3", "ResumptionDiscarded"),
        ResumeTurn("id1"),
        StateChanged(State.CAPTURING, State.THINKING, NOW, "ResumptionDiscarded"),
    ]


def test_a_sentence_goes_on_although_its_beginning_failed():
    machine = machine_in(State.THINKING)
    advance(machine, Failed)
    assert advance(machine, SpeechResumed, SpeechEnded) == [
        TurnOpened("id3", "id2", NOW, None, continues="id1"),
        StateChanged(State.IDLE, State.CAPTURING, NOW, "SpeechResumed"),
        SendUtterance("id3", UTTERANCE, wake_word="hey_jarvis"),
        StateChanged(State.CAPTURING, State.THINKING, NOW, "SpeechEnded(hangover)"),
    ]


def test_the_wake_word_after_a_command_is_not_the_rest_of_its_sentence():
    machine = machine_in(State.THINKING)
    assert advance(machine, SpeechResumed, WakeDetected)[3:6] == [
        TurnDropped("id3", "WakeDetected"),
        HoldTurn("id1", goes_on=False),
        TurnOpened("id4", "id5", NOW, 0.9),
    ]
    assert AbandonTurn("id1", "WakeDetected") in advance(machine, SpeechStarted, SpeechEnded)


def test_an_announcement_is_held_and_goes_on():
    machine = make()
    machine.advance(ReplyStarted("news"), NOW)
    assert advance(machine, WakeDetected)[:2] == [
        HoldTurn("news", goes_on=False),
        TurnOpened("id1", "id2", NOW, 0.9),
    ]
    assert ResumeTurn("news") in advance(machine, DeadlinePassed)
    assert (machine.state, machine.turn_id) == (State.SPEAKING, "")
    advance(machine, WakeDetected)
    effects = advance(machine, SpeechStarted, SpeechEnded)
    assert StopSpeaking("news") in effects
    assert not any(isinstance(effect, AbandonTurn) for effect in effects)


def test_a_follow_up_is_a_turn_of_the_same_session():
    machine = machine_in(State.FOLLOW_UP, follow_up_ms=8000)
    assert advance(machine, SpeechStarted)[0] == TurnOpened("id3", "id2", NOW, None)


@pytest.mark.parametrize("state", [State.IDLE, State.THINKING, State.SPEAKING, State.FOLLOW_UP])
def test_a_request_to_listen_opens_a_turn_of_a_new_session_and_holds_what_is_answered(state):
    machine = machine_in(state, follow_up_ms=8000)
    is_answering = state in (State.THINKING, State.SPEAKING)
    effects = advance(machine, ListenRequested)
    new = {State.IDLE: "id1"}.get(state, "id3")
    assert effects[-2:] == [
        TurnOpened(new, f"id{int(new[2:]) + 1}", NOW, None),
        StateChanged(state, State.LISTENING, NOW, "ListenRequested"),
    ]
    assert effects[:-2] == [HoldTurn("id1", goes_on=False)] * is_answering
    assert (ResumeTurn("id1") in advance(machine, DeadlinePassed)) is is_answering


@pytest.mark.parametrize("state", [State.LISTENING, State.CAPTURING, State.MUTED, State.DEAF])
def test_a_request_to_listen_changes_nothing_while_the_ear_listens_or_may_not(state):
    machine = machine_in(state)
    asked = ListenRequested(NOW)
    assert machine.advance(asked, NOW) == (Ignored(state, asked),)


def test_a_failure_has_its_code():
    changed = StateChanged(State.THINKING, State.IDLE, NOW, "Failed(timeout)")
    assert advance(machine_in(State.THINKING), Failed) == [changed]


@pytest.mark.parametrize("state", [State.LISTENING, State.CAPTURING])
@pytest.mark.parametrize("kind", [Muted, MicrophoneLost, MicrophoneSilent, SoundEnded])
def test_an_unsent_utterance_is_dropped(state, kind):
    assert advance(machine_in(state), kind)[0] == TurnDropped("id1", kind.__name__)


@pytest.mark.parametrize(
    "state", [State.LISTENING, State.CAPTURING, State.THINKING, State.SPEAKING]
)
@pytest.mark.parametrize("kind", [ReplyStarted, ReplyEnded, Failed])
def test_an_event_of_an_older_turn_is_ignored(state, kind):
    machine = machine_in(state)
    event = event_of(kind, "older")
    assert machine.advance(event, NOW) == (Ignored(state, event),)
    assert machine.state is state


def test_a_reply_that_was_awaited_while_muted_is_held_by_the_next_turn():
    machine = machine_in(State.THINKING)
    effects = advance(machine, Muted, Unmuted, WakeDetected)
    assert effects[2:4] == [
        HoldTurn("id1", goes_on=False),
        TurnOpened("id3", "id4", NOW, 0.9),
    ]
    advance(machine, DeadlinePassed)
    assert (machine.state, machine.turn_id) == (State.IDLE, "id1")


@pytest.mark.parametrize("state", [State.LISTENING, State.CAPTURING])
def test_the_wake_word_again_is_a_new_turn(state):
    machine = machine_in(state)
    effects = machine.advance(WakeDetected(samples(900), 0.8), samples(1000))
    assert effects[:2] == (
        TurnDropped("id1", "WakeDetected"),
        TurnOpened("id3", "id4", samples(1000), 0.8),
    )
    assert (machine.state, machine.deadline) == (State.LISTENING, samples(6000))


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


@pytest.mark.parametrize("state", [State.LISTENING, State.CAPTURING])
@pytest.mark.parametrize("before", [State.IDLE, State.THINKING, State.SPEAKING])
def test_a_wake_word_that_another_ear_answers_ends_the_turn_and_the_one_before_goes_on(
    before, state
):
    machine = machine_in(before)
    held = machine.turn_id
    advance(machine, *WAY_TO[state])
    turn_id = machine.turn_id
    effects = machine.advance(AnsweredElsewhere(turn_id, "kitchen"), NOW)
    assert effects[0] == TurnDropped(turn_id, "AnsweredElsewhere", "kitchen")
    assert (ResumeTurn(held) in effects) == bool(held)
    assert (machine.state, machine.turn_id) == (before, held)


def test_an_utterance_that_was_not_sent_because_another_ear_answers_is_dropped():
    machine = machine_in(State.THINKING)
    turn_id = machine.turn_id
    effects = machine.advance(AnsweredElsewhere(turn_id, "kitchen"), NOW)
    assert effects[0] == TurnDropped(turn_id, "AnsweredElsewhere", "kitchen")
    assert machine.state is State.IDLE


def test_the_ear_that_answers_confirms_while_the_person_waits_and_not_while_they_speak():
    machine = machine_in(State.LISTENING)
    turn_id, later = machine.turn_id, samples(500)
    assert machine.advance(AnsweredHere(turn_id), later) == (TurnConfirmed(turn_id),)
    assert machine.deadline == later + samples(5000)  # the person heard of it just now
    speaking = machine_in(State.CAPTURING)
    here = AnsweredHere(speaking.turn_id)
    assert speaking.advance(here, later) == (Ignored(State.CAPTURING, here),)


@pytest.mark.parametrize("event", [AnsweredHere("older"), AnsweredElsewhere("older", "kitchen")])
def test_a_decision_about_another_turn_has_no_effect(event):
    machine = machine_in(State.LISTENING)
    assert machine.advance(event, NOW) == (Ignored(State.LISTENING, event),)


class AnyConversation(RuleBasedStateMachine):
    """Events in any order, about any turn; what the effects promise."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = make(follow_up_ms=8000)
        self.now = 0
        self.open = ""
        self.held = ""
        self.sent: list[str] = []
        self.opened: list[str] = []

    @rule(
        kind=kinds,
        whose=st.sampled_from(["open", "held", "older"]),
        passed=st.integers(0, 50_000),
    )
    def happen(self, kind: type[Event], whose: str, passed: int) -> None:
        self.now += passed
        old = self.machine.state
        turns = {"open": self.machine.turn_id or "news", "held": self.held or "older"}
        turn_id = turns.get(whose, "older")
        event = event_of(kind, turn_id, Samples(self.now))
        of_held = kind in BACKEND_EVENTS and turn_id == self.held
        effects = self.machine.advance(event, Samples(self.now))
        for effect in effects:
            self.note(effect)
        if of_held:
            assert effects == ()
            self.held = self.held if kind is ReplyStarted else ""
        elif isinstance(event, ReplyEnded | Failed) and Ignored(old, event) not in effects:
            self.open = ""
        self.check(old, event, effects)

    def note(self, effect: Effect) -> None:
        match effect:
            case TurnOpened(turn_id):
                assert self.open == "", "two turns are open"
                assert turn_id not in self.opened
                self.open = turn_id
                self.opened.append(turn_id)
            case TurnDropped(turn_id, _, answered_by):
                assert turn_id == self.open
                assert answered_by or turn_id not in self.sent, "what was sent is abandoned"
                self.open = ""
            case HoldTurn(reply_id):
                assert self.held in ("", reply_id), "two turns are held"
                assert reply_id in self.sent or reply_id not in self.opened
                self.open, self.held = "", reply_id
            case ResumeTurn(reply_id):
                assert self.open == ""
                assert reply_id == self.held
                self.open, self.held = reply_id if reply_id in self.opened else "", ""
            case SupersedeTurn(turn_id, by):
                assert (turn_id, by) == (self.held, self.open)
                self.held = ""
            case AbandonTurn(turn_id):
                assert turn_id in (self.open, self.held)
                assert turn_id in self.sent, "only what was sent can be abandoned"
                if turn_id == self.held:
                    self.held = ""
                else:
                    self.open = ""
            case StopSpeaking(reply_id) if reply_id == self.held not in self.opened:
                self.held = ""
            case SendUtterance(turn_id):
                assert turn_id == self.open
                assert turn_id not in self.sent, "an utterance is sent once"
                assert self.held == "", "what is newer ends what is held"
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
            assert isinstance(event, SpeechStarted | SpeechResumed)

    @invariant()
    def the_open_turn_and_the_held_one_are_the_machines(self) -> None:
        assert (self.machine.turn_id, self.machine.held_id) == (self.open, self.held)

    @invariant()
    def the_ear_listens_only_in_a_turn_and_holds_one_only_while_it_listens(self) -> None:
        if self.machine.state in (State.LISTENING, State.CAPTURING, State.THINKING):
            assert self.open
        if self.held:
            assert self.machine.state in (State.LISTENING, State.CAPTURING)


TestAnyConversation = AnyConversation.TestCase
TestAnyConversation.settings = hypothesis_settings(
    deadline=None, max_examples=150, stateful_step_count=40
)
