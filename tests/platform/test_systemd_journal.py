"""What the installed ear tells the journal of a real systemd, read back from there."""

import pytest

from fakes.installed_ear import wait_for

pytestmark = pytest.mark.long


@pytest.fixture
def turn(installed):
    """The record of a turn that was answered."""
    found = wait_for(
        lambda: installed.journal("EVENT=TurnEnded", "OUTCOME=done"), "a turn is answered"
    )
    return found[0]


def test_a_turn_ends_in_one_record_with_its_numbers(turn):
    assert turn["_SYSTEMD_UNIT"] == "jarvis-ear.service"
    assert turn["SYSLOG_IDENTIFIER"] == "jarvis-ear"
    assert turn["PRIORITY"] == "6"
    assert len(turn["TURN_ID"]) == 8
    assert turn["MESSAGE"].startswith(f"turn {turn['TURN_ID']}: done in ")
    assert 0.5 < float(turn["WAKE_SCORE"]) <= 1
    latencies = {name: int(value) for name, value in turn.items() if name.startswith("LATENCY_")}
    assert latencies["LATENCY_TRANSCRIPT_MS"] <= latencies["LATENCY_FIRST_AUDIO_MS"]
    assert all(value >= -2000 for value in latencies.values())
    assert any(name.startswith("BYTES_") and int(turn[name]) > 10_000 for name in turn)


def test_the_whole_story_of_a_turn_is_found_by_its_id(installed, turn):
    log = installed.journal(f"TURN_ID={turn['TURN_ID']}")
    assert len(log) > 3
    assert len([record for record in log if record.get("EVENT") == "TurnEnded"]) == 1


def test_nothing_that_was_said_is_in_it(installed, turn):
    assert not any("what time is it" in str(record) for record in installed.journal())


def test_it_is_explained(installed, turn):
    said = installed.box.run(
        "journalctl", "-x", "-u", "jarvis-ear", f"MESSAGE_ID={turn['MESSAGE_ID']}"
    ).stdout
    assert f" Subject: Turn {turn['TURN_ID']} was answered" in said
    assert " Defined-By: jarvis-ear" in said


def test_a_loss_of_the_backend_is_a_warning_once(installed, turn):
    wait_for(lambda: installed.status().get("connected"), "it is connected")
    known = len(installed.journal("EVENT=BackendUnreachable"))
    installed.box.run("systemctl", "stop", "jarvis-backend")
    try:
        new = wait_for(
            lambda: installed.journal("EVENT=BackendUnreachable")[known:], "the loss is told", 40.0
        )
    finally:
        installed.box.run("systemctl", "start", "jarvis-backend")
    assert [record["PRIORITY"] for record in new] == ["4"]
    wait_for(lambda: installed.status().get("connected"), "it is reached again")
