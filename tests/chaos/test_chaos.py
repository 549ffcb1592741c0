"""A minute of ``make chaos``, and one round of ``make killpoints``."""

import pytest

from chaos.killpoints import kill_everywhere
from chaos.random_faults import Chaos
from fakes.account import draw_up, turn_of
from fakes.voice_server import VOICES

pytestmark = pytest.mark.long

CI_SEED = 3


def test_a_minute_of_random_faults(tmp_path):
    chaos = Chaos(CI_SEED, tmp_path, pause_s=0.8)
    account = chaos.run(utterances=60, faults=16)
    assert account.clean, f"{chaos.faults}\n{account}"
    assert account.said >= 40


@pytest.mark.parametrize("protocol", [name for name in VOICES if name != "socketio"])
def test_a_few_random_faults_on_every_other_wire(protocol, tmp_path):
    chaos = Chaos(CI_SEED, tmp_path, pause_s=0.6, protocol=protocol)
    account = chaos.run(utterances=20, faults=5)
    assert account.clean, f"{chaos.faults}\n{account}"
    assert account.said >= 15


TELLING = [
    "after extend",
    "after moved to new",
    "after moved to held",
    "before moved to sent",
    "after moved to sent",
    "after send AudioEnd",
    "after told ProcessingStarted",
    "after ledger",
]


def test_killed_at_the_telling_moments(tmp_path):
    table = []
    assert kill_everywhere(tmp_path, 1, table.append, TELLING), "\n".join(table)


@pytest.mark.parametrize(
    ("runs", "recorded", "what"),
    [
        ([(1, 1.0), (1, 1.0)], ["done"], "repeated"),
        ([(1, 1.0)], [], "unaccounted"),
        ([(1, 50.0)], ["in_doubt"], "late"),
        ([(1, 1.0)], ["expired"], "late"),
        ([(1, 1.0)], ["replaced"], "late"),
        ([(1, 1.0)], ["superseded (not_committed)"], "late"),
        ([(1, 1.0)], ["superseded (committed)"], ""),
        ([(None, 1.0)], ["done"], "torn"),
        ([(1, 1.0)], ["done", "done"], "judged_twice"),
        ([(1, 1.0)], ["done"], ""),
    ],
)
def test_the_account_sees_what_it_is_for(runs, recorded, what):
    ends = {turn_of(1): recorded} if recorded else {}
    ran = [{"number": number, "at": at} for number, at in runs]
    account = draw_up({1: 0.0}, ran, ends, fresh_s=5.0)
    assert account.clean == (not what)
    assert not what or len(getattr(account, what)) == 1
