import pytest

from jarvis_ear.delivery.events import Cause, Verdict
from jarvis_ear.delivery.transitions import AT_LEAST_ONCE, AT_MOST_ONCE, UNCOMMITTED, Signal
from jarvis_ear.delivery.transitions import DeliveryStage as Stage

BOTH = pytest.mark.parametrize("transitions", [AT_MOST_ONCE, AT_LEAST_ONCE])


def reachable(start, transitions=AT_MOST_ONCE):
    seen, todo = {start}, [start]
    while todo:
        for transition in transitions[todo.pop()].values():
            if transition.to not in seen:
                seen.add(transition.to)
                todo.append(transition.to)
    return seen


def ways_back(transitions):
    return {
        (stage, signal)
        for stage, row in transitions.items()
        for signal, transition in row.items()
        if stage not in UNCOMMITTED and transition.to in UNCOMMITTED
    }


@BOTH
def test_every_stage_has_a_row_is_reached_and_leads_to_the_end(transitions):
    assert set(transitions) == reachable(Stage.WAITING, transitions) == set(Stage)
    assert all(Stage.OVER in reachable(stage, transitions) for stage in Stage)


def test_only_a_refusal_before_the_transcript_leads_back_from_the_commit():
    assert ways_back(AT_MOST_ONCE) == {
        (Stage.COMMITTED, Signal.REFUSED),
        (Stage.DELIVERED, Signal.REFUSED),
    }
    assert reachable(Stage.ANSWERING) == {Stage.ANSWERING, Stage.OVER}


def test_at_least_once_also_sends_an_unanswered_utterance_again():
    assert ways_back(AT_LEAST_ONCE) - ways_back(AT_MOST_ONCE) == {
        (Stage.COMMITTED, Signal.LINK_LOST),
        (Stage.COMMITTED, Signal.TIMED_OUT),
    }


@BOTH
def test_a_step_back_from_the_commit_leaves_nothing_on_the_link(transitions):
    for stage, signal in ways_back(transitions) - {(Stage.COMMITTED, Signal.LINK_LOST)}:
        assert transitions[stage][signal].replaces_link


@BOTH
def test_only_flushed_sound_is_committed(transitions):
    ways = {
        (stage, transition.to, signal)
        for stage, row in transitions.items()
        for signal, transition in row.items()
        if transition.to in (Stage.FLUSHED, Stage.COMMITTED)
    }
    assert ways == {
        (Stage.UPLOADED, Stage.FLUSHED, Signal.FLUSHED),
        (Stage.FLUSHED, Stage.COMMITTED, Signal.RECORDED),
    }


@BOTH
def test_the_end_has_a_verdict_and_nothing_else_has(transitions):
    for row in transitions.values():
        for transition in row.values():
            assert (transition.to is Stage.OVER) == (transition.verdict is not None)


def test_nothing_expires_after_the_commit_and_nothing_is_in_doubt_before():
    for stage, row in AT_MOST_ONCE.items():
        verdicts = {transition.verdict for transition in row.values()}
        if stage in UNCOMMITTED:
            early = {Verdict.FAILED, Verdict.EXPIRED, Verdict.REPLACED, Verdict.SUPERSEDED}
            assert verdicts <= {None, *early}
        else:
            assert not verdicts & {Verdict.EXPIRED, Verdict.REPLACED}
        assert stage is Stage.COMMITTED or Verdict.IN_DOUBT not in verdicts


@BOTH
def test_every_turn_can_be_abandoned_and_takes_what_is_on_the_way_with_it(transitions):
    for stage in set(Stage) - {Stage.OVER}:
        wanted, stopped = transitions[stage][Signal.ABANDONED], transitions[stage][Signal.STOPPED]
        is_early = stage in UNCOMMITTED
        superseded = transitions[stage][Signal.SUPERSEDED]
        assert superseded.verdict is Verdict.SUPERSEDED
        assert superseded.cause is (Cause.NOT_COMMITTED if is_early else Cause.COMMITTED)
        assert wanted.verdict is (Verdict.REPLACED if is_early else Verdict.ABANDONED)
        assert stopped.verdict is (Verdict.FAILED if is_early else Verdict.ABANDONED)
        for transition in (wanted, stopped, superseded):
            assert (transition.replaces_link) == (stage is not Stage.WAITING)
