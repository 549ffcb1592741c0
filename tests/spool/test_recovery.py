import pytest

from jarvis_ear.delivery.events import Cause, Finished, Verdict
from jarvis_ear.delivery.transitions import AT_LEAST_ONCE, AT_MOST_ONCE, Guarantee, SpoolState
from jarvis_ear.delivery.utterance import Past
from jarvis_ear.spool.record import Header
from jarvis_ear.spool.recovery import CurrentRun, recover


def present(now=110.0, boot="this", guarantee=Guarantee.AT_MOST_ONCE):
    return CurrentRun(boot, now, 30.0, guarantee)


def left(mark, **now):
    return recover(mark, Header("t1", "this", 100.0, 4, 0), present(**now))


def ended(verdict, cause):
    return Finished("t1", verdict, cause.value, 0)


TOO_OLD = ended(Verdict.EXPIRED, Cause.TOO_OLD)


def test_what_was_never_committed_goes_on_while_it_is_fresh():
    assert left(SpoolState.NEW) is Past.NEW
    assert left(SpoolState.NEW, now=129.9) is Past.NEW
    assert left(SpoolState.NEW, now=130.0) == TOO_OLD


@pytest.mark.parametrize("now", [{"boot": "another"}, {"now": 99.0}])
def test_the_time_of_another_start_of_the_machine_is_no_time_of_ours(now):
    assert left(SpoolState.NEW, **now) == TOO_OLD


@pytest.mark.parametrize("now", [110.0, 1000.0])
def test_what_was_committed_is_in_doubt_and_never_sent_again(now):
    assert left(SpoolState.SENT, now=now) == ended(Verdict.IN_DOUBT, Cause.KILLED)


def test_at_least_once_sends_it_again_while_it_is_fresh():
    again = Guarantee.AT_LEAST_ONCE
    assert left(SpoolState.SENT, guarantee=again) is Past.PERHAPS_RAN
    assert left(SpoolState.SENT, guarantee=again, now=130.0) == ended(
        Verdict.IN_DOUBT, Cause.KILLED
    )


@pytest.mark.parametrize("guarantee", list(Guarantee))
def test_of_what_the_backend_had_only_the_reply_is_lost(guarantee):
    assert left(SpoolState.TAKEN, guarantee=guarantee) == ended(Verdict.REPLY_LOST, Cause.KILLED)


def test_each_promise_has_its_table():
    assert Guarantee.AT_MOST_ONCE.transitions is AT_MOST_ONCE
    assert Guarantee.AT_LEAST_ONCE.transitions is AT_LEAST_ONCE
