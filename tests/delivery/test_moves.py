from jarvis_ear.delivery.events import Verdict
from jarvis_ear.delivery.moves import MOVES, UNCOMMITTED, After, Sign, Stage


def reachable(start):
    seen, todo = {start}, [start]
    while todo:
        for move in MOVES[todo.pop()].values():
            if move.to not in seen:
                seen.add(move.to)
                todo.append(move.to)
    return seen


def test_every_stage_has_a_row():
    assert set(MOVES) == set(Stage)


def test_every_stage_is_reached_and_leads_to_the_end():
    assert reachable(Stage.WAITING) == set(Stage)
    assert all(Stage.OVER in reachable(stage) for stage in Stage)


def test_no_way_leads_back_from_the_commit():
    committed = set(Stage) - UNCOMMITTED
    assert all(reachable(stage) <= committed for stage in committed)


def test_only_flushed_sound_is_committed():
    ways = [
        (a, sign) for a, row in MOVES.items() for sign, b in row.items() if b.to is Stage.COMMITTED
    ]
    assert ways == [(Stage.UPLOADED, Sign.FLUSHED)]


def test_the_end_has_a_verdict_and_nothing_else_has():
    for row in MOVES.values():
        for move in row.values():
            assert (move.to is Stage.OVER) == (move.verdict is not None)


def test_nothing_expires_after_the_commit_and_nothing_is_in_doubt_before():
    for stage, row in MOVES.items():
        verdicts = {move.verdict for move in row.values()}
        if stage in UNCOMMITTED:
            assert not verdicts & {Verdict.DONE, Verdict.IN_DOUBT, Verdict.REPLY_LOST}
        else:
            assert Verdict.EXPIRED not in verdicts
        assert stage is Stage.COMMITTED or Verdict.IN_DOUBT not in verdicts


def test_every_turn_can_be_abandoned_and_takes_what_is_on_the_way_with_it():
    for stage in set(Stage) - {Stage.OVER}:
        move = MOVES[stage][Sign.ABANDONED]
        assert move.verdict is Verdict.ABANDONED
        assert (move.link is After.REPLACE) == (stage is not Stage.WAITING)
