import pytest

from jarvis_ear.delivery.cause import Cause
from jarvis_ear.delivery.events import Finished, Verdict
from jarvis_ear.delivery.mark import Mark
from jarvis_ear.delivery.moves import AT_LEAST_ONCE, AT_MOST_ONCE
from jarvis_ear.delivery.revival import Present, Promise, gave_way, lost, revive
from jarvis_ear.delivery.spool_record import Header
from jarvis_ear.delivery.utterance import Past


def present(now=110.0, boot="this", promise=Promise.AT_MOST_ONCE):
    return Present(boot, now, 30.0, promise)


def left(mark, **now):
    return revive(mark, Header("t1", "this", 100.0, 4, 0), present(**now))


def ended(verdict, cause):
    return Finished("t1", verdict, cause.value, 0)


TOO_OLD = ended(Verdict.EXPIRED, Cause.TOO_OLD)


def test_what_was_never_committed_goes_on_while_it_is_fresh():
    assert left(Mark.NEW) is Past.NEW
    assert left(Mark.NEW, now=129.9) is Past.NEW
    assert left(Mark.NEW, now=130.0) == TOO_OLD


@pytest.mark.parametrize("now", [{"boot": "another"}, {"now": 99.0}])
def test_the_time_of_another_start_of_the_machine_is_no_time_of_ours(now):
    assert left(Mark.NEW, **now) == TOO_OLD


@pytest.mark.parametrize("now", [110.0, 1000.0])
def test_what_was_committed_is_in_doubt_and_never_sent_again(now):
    assert left(Mark.SENT, now=now) == ended(Verdict.IN_DOUBT, Cause.KILLED)


def test_at_least_once_sends_it_again_while_it_is_fresh():
    again = Promise.AT_LEAST_ONCE
    assert left(Mark.SENT, promise=again) is Past.PERHAPS_RAN
    assert left(Mark.SENT, promise=again, now=130.0) == ended(Verdict.IN_DOUBT, Cause.KILLED)


@pytest.mark.parametrize("promise", list(Promise))
def test_of_what_the_backend_had_only_the_reply_is_lost(promise):
    assert left(Mark.TAKEN, promise=promise) == ended(Verdict.REPLY_LOST, Cause.KILLED)


def test_what_is_not_whole_and_what_finds_no_room_is_told():
    assert lost("t1") == ended(Verdict.FAILED, Cause.TORN)
    assert gave_way("t1") == ended(Verdict.EXPIRED, Cause.OUTBOX_FULL)


def test_each_promise_has_its_table():
    assert Promise.AT_MOST_ONCE.moves is AT_MOST_ONCE
    assert Promise.AT_LEAST_ONCE.moves is AT_LEAST_ONCE
