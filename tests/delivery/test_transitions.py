import pytest

from jarvis_ear.delivery.events import Verdict
from jarvis_ear.delivery.transitions import (
    AT_LEAST_ONCE,
    AT_MOST_ONCE,
    UNCOMMITTED,
    After,
    DeliveryStage,
    Signal,
)

BOTH = pytest.mark.parametrize("moves", [AT_MOST_ONCE, AT_LEAST_ONCE])


def reachable(start, moves=AT_MOST_ONCE):
    seen, todo = {start}, [start]
    while todo:
        for move in moves[todo.pop()].values():
            if move.to not in seen:
                seen.add(move.to)
                todo.append(move.to)
    return seen


def ways_back(moves):
    return {
        (stage, sign)
        for stage, row in moves.items()
        for sign, move in row.items()
        if stage not in UNCOMMITTED and move.to in UNCOMMITTED
    }


@BOTH
def test_every_stage_has_a_row(moves):
    assert set(moves) == set(DeliveryStage)


@BOTH
def test_every_stage_is_reached_and_leads_to_the_end(moves):
    assert reachable(DeliveryStage.WAITING, moves) == set(DeliveryStage)
    assert all(DeliveryStage.OVER in reachable(stage, moves) for stage in DeliveryStage)


def test_only_a_refusal_before_the_transcript_leads_back_from_the_commit():
    assert ways_back(AT_MOST_ONCE) == {
        (DeliveryStage.COMMITTED, Signal.REFUSED),
        (DeliveryStage.DELIVERED, Signal.REFUSED),
    }
    assert reachable(DeliveryStage.ANSWERING) == {DeliveryStage.ANSWERING, DeliveryStage.OVER}


def test_at_least_once_also_sends_again_what_nobody_answered_for():
    assert ways_back(AT_LEAST_ONCE) - ways_back(AT_MOST_ONCE) == {
        (DeliveryStage.COMMITTED, Signal.LINK_LOST),
        (DeliveryStage.COMMITTED, Signal.TIMED_OUT),
    }


@BOTH
def test_whoever_goes_back_from_the_commit_leaves_nothing_behind_on_the_link(moves):
    for stage, sign in ways_back(moves) - {(DeliveryStage.COMMITTED, Signal.LINK_LOST)}:
        assert moves[stage][sign].link is After.REPLACE


@BOTH
def test_only_flushed_sound_is_committed(moves):
    ways = [
        (a, sign)
        for a, row in moves.items()
        for sign, b in row.items()
        if b.to is DeliveryStage.COMMITTED
    ]
    assert ways == [(DeliveryStage.FLUSHED, Signal.MARKED)]
    flushed = [a for a, row in moves.items() for b in row.values() if b.to is DeliveryStage.FLUSHED]
    assert flushed == [DeliveryStage.UPLOADED]


@BOTH
def test_the_end_has_a_verdict_and_nothing_else_has(moves):
    for row in moves.values():
        for move in row.values():
            assert (move.to is DeliveryStage.OVER) == (move.verdict is not None)


def test_nothing_expires_after_the_commit_and_nothing_is_in_doubt_before():
    for stage, row in AT_MOST_ONCE.items():
        verdicts = {move.verdict for move in row.values()}
        if stage in UNCOMMITTED:
            assert verdicts <= {None, Verdict.FAILED, Verdict.EXPIRED, Verdict.REPLACED}
        else:
            assert not verdicts & {Verdict.EXPIRED, Verdict.REPLACED}
        assert stage is DeliveryStage.COMMITTED or Verdict.IN_DOUBT not in verdicts


@BOTH
def test_every_turn_can_be_abandoned_and_takes_what_is_on_the_way_with_it(moves):
    for stage in set(DeliveryStage) - {DeliveryStage.OVER}:
        wanted, stopped = moves[stage][Signal.ABANDONED], moves[stage][Signal.STOPPED]
        is_early = stage in UNCOMMITTED
        assert wanted.verdict is (Verdict.REPLACED if is_early else Verdict.ABANDONED)
        assert stopped.verdict is (Verdict.FAILED if is_early else Verdict.ABANDONED)
        for move in (wanted, stopped):
            assert (move.link is After.REPLACE) == (stage is not DeliveryStage.WAITING)
