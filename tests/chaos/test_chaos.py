"""A minute of ``make chaos``, and one round of ``make killpoints``."""

import pytest

from chaos.killpoints import kill_everywhere
from chaos.random_faults import Chaos
from fakes.account import draw_up, turn_of
from jarvis_ear.link.registry import WIRES

CI_SEED = 3


def test_a_minute_of_random_faults(tmp_path):
    chaos = Chaos(CI_SEED, tmp_path, pause_s=0.8)
    account = chaos.run(utterances=60, faults=16)
    assert account.clean, f"{chaos.faults}\n{account}"
    assert account.said >= 40


@pytest.mark.parametrize("protocol", [name for name in WIRES if name != "socketio"])
def test_a_few_random_faults_on_every_other_wire(protocol, tmp_path):
    chaos = Chaos(CI_SEED, tmp_path, pause_s=0.6, protocol=protocol)
    account = chaos.run(utterances=20, faults=5)
    assert account.clean, f"{chaos.faults}\n{account}"
    assert account.said >= 15


TELLING = [
    "after extend",
    "after moved to new",
    "before moved to sent",
    "after moved to sent",
    "after send AudioEnd",
    "after told ProcessingStarted",
    "after ledger",
]


def test_killed_at_the_telling_moments(tmp_path):
    table = []
    assert kill_everywhere(tmp_path, 1, table.append, TELLING), "\n".join(table)


def line(number, at=1.0):
    return {"number": number, "at": at}


@pytest.mark.parametrize(
    ("runs", "recorded", "what"),
    [
        ([line(1), line(1)], ["done"], "repeated"),
        ([line(1)], [], "unaccounted"),
        ([line(1, at=50.0)], ["in_doubt"], "late"),
        ([line(1)], ["expired"], "late"),
        ([line(1)], ["replaced"], "late"),
        ([line(None)], ["done"], "torn"),
        ([line(1)], ["done", "done"], "judged_twice"),
    ],
)
def test_the_account_sees_what_it_is_for(runs, recorded, what):
    ends = {turn_of(1): recorded} if recorded else {}
    account = draw_up({1: 0.0}, runs, ends, fresh_s=5.0)
    assert len(getattr(account, what)) == 1
    assert not account.clean
    assert draw_up({1: 0.0}, [line(1)], {turn_of(1): ["done"]}, fresh_s=5.0).clean
