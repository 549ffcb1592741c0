import pytest

from jarvis_ear.delivery.events import Cause, Finished, Verdict
from jarvis_ear.delivery.transitions import AT_LEAST_ONCE, AT_MOST_ONCE, Guarantee, SpoolState
from jarvis_ear.delivery.utterance import Past
from jarvis_ear.spool.record import Header
from jarvis_ear.spool.recovery import CurrentRun, recover


def ended(verdict, cause):
    return Finished("t1", verdict, cause.value, 0)


TOO_OLD = ended(Verdict.EXPIRED, Cause.TOO_OLD)
IN_DOUBT = ended(Verdict.IN_DOUBT, Cause.KILLED)
SUPERSEDED = ended(Verdict.SUPERSEDED, Cause.NOT_COMMITTED)
REPLY_LOST = ended(Verdict.REPLY_LOST, Cause.KILLED)
ONCE, AGAIN = Guarantee.AT_MOST_ONCE, Guarantee.AT_LEAST_ONCE


@pytest.mark.parametrize(
    ("state", "guarantee", "now", "boot_id", "found"),
    [
        (SpoolState.NEW, ONCE, 110.0, "this", Past.NEW),
        (SpoolState.NEW, ONCE, 129.9, "this", Past.NEW),
        (SpoolState.NEW, ONCE, 130.0, "this", TOO_OLD),
        (SpoolState.NEW, ONCE, 110.0, "another", TOO_OLD),  # whose clock says nothing here
        (SpoolState.NEW, ONCE, 99.0, "this", TOO_OLD),
        (SpoolState.HELD, ONCE, 110.0, "this", SUPERSEDED),
        (SpoolState.HELD, AGAIN, 110.0, "this", SUPERSEDED),
        (SpoolState.SENT, ONCE, 110.0, "this", IN_DOUBT),
        (SpoolState.SENT, ONCE, 1000.0, "this", IN_DOUBT),
        (SpoolState.SENT, AGAIN, 110.0, "this", Past.PERHAPS_RAN),
        (SpoolState.SENT, AGAIN, 130.0, "this", IN_DOUBT),
        (SpoolState.TAKEN, ONCE, 110.0, "this", REPLY_LOST),
        (SpoolState.TAKEN, AGAIN, 110.0, "this", REPLY_LOST),
    ],
)
def test_an_utterance_goes_on_or_has_its_verdict(state, guarantee, now, boot_id, found):
    run = CurrentRun(boot_id, now, 30.0, guarantee)
    assert recover(state, Header("t1", "this", 100.0, 4, 0), run) == found


def test_each_guarantee_has_its_table():
    assert (ONCE.transitions, AGAIN.transitions) == (AT_MOST_ONCE, AT_LEAST_ONCE)
