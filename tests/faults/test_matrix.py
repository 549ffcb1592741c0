"""Every row of the fault matrix has a test, here or where it was before.

Rows: 1 backend down at start, 2 killed and restarted, 3 says goodbye, 4 stopped while idle,
5 stopped during an upload, 6 black hole, 7 somebody else answers, 8 slow link, 9 token refused,
10 wrong password, 11 slow authentication, 12 dies around the commit, 13 dies while it works,
14 answers out of order, 15 floods, 16 nonsense, 18 no speaker, 19 ear killed, 20 spool unusable,
21 wall clock jumps, 22 machine sleeps, 25 state unusable, 26 told to stop, 27 name without address,
28 two ears.
"""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

DELIVERY = "loopback/test_link_delivery.py"
RECOVERY = "loopback/test_link_recovery.py"

ELSEWHERE = {
    1: [f"{RECOVERY}::test_a_backend_that_comes_up_later"],
    4: [f"{RECOVERY}::test_an_idle_link_is_not_taken_for_dead"],
    9: [f"{RECOVERY}::test_a_backend_that_forgot_our_token"],
    12: [f"{DELIVERY}::test_a_link_that_dies_after_the_commit_leaves_doubt_and_no_second_run"],
    13: [f"{DELIVERY}::test_a_link_that_dies_after_processing_loses_the_reply_only"],
    14: [
        f"{DELIVERY}::test_an_utterance_without_an_answer_ends_in_time",
        f"{DELIVERY}::test_a_backend_that_is_busy_is_given_a_moment",
    ],
    10: [f"{RECOVERY}::test_a_wrong_password_is_a_state_of_its_own_is_said_once_and_not_hammered"],
    15: [f"{DELIVERY}::test_a_reply_ends_a_turn"],
    18: [
        "devices/test_speaker.py::test_a_speaker_that_takes_nothing_is_given_up",
        "devices/test_speaker.py::test_without_a_speaker_replies_start_and_end_in_silence",
        "devices/test_speaker.py::test_a_speaker_that_comes_back_is_used",
    ],
    25: ["faults/test_folders.py::test_row_20_and_25_disk_full"],
    26: ["platform/test_stop.py::test_it_stops_in_every_state"],
    28: ["loopback/test_whole_ear.py::test_a_second_ear_with_the_same_folder_is_refused"],
    19: ["chaos/test_chaos.py::test_killed_at_the_telling_moments"],
}
"""Tests of a row that are not in this folder."""

ROWS = [*range(1, 17), 18, 19, 20, 21, 22, 25, 26, 27, 28]
"""23 and 24, a starved processor and a ceiling of memory, are measured by ``make bench``."""


def names_in(file):
    return [
        each.name
        for each in ast.walk(ast.parse(file.read_text()))
        if isinstance(each, ast.FunctionDef)
    ]


HERE = [name for file in Path(__file__).parent.glob("test_*.py") for name in names_in(file)]


@pytest.mark.parametrize("row", ROWS)
def test_the_row_has_a_test(row):
    here = [name for name in HERE if name.startswith(f"test_row_{row:02}_")]
    assert here or row in ELSEWHERE


@pytest.mark.parametrize("place", [place for places in ELSEWHERE.values() for place in places])
def test_what_is_named_is_there(place):
    file, _, name = place.partition("::")
    assert not name or name in names_in(TESTS / file)
