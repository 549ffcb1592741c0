"""The screen shows the state of the service, and what to do about a problem."""

import pytest

from jarvis_ear.service.probe import StoredCredentials
from jarvis_ear.service.status import Findings, advice, screen

RUNNING = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "StatusText": "listening",
    "Result": "success",
    "ExecMainStatus": "0",
    "StateChangeTimestamp": "Sat 2026-11-21 11:57:47 UTC",
    "NRestarts": "0",
    "UnitFileState": "enabled",
}
MISSING = {"LoadState": "not-found", "ActiveState": "inactive", "SubState": "dead"}
HEARING = {
    "state": "idle",
    "hearing": True,
    "heard_s_ago": 0.04,
    "deaf_s_today": 3.2,
    "connected": True,
    "muted_by": [],
    "turns": [{"ended_s_ago": n, "story": f"story {n}"} for n in (10, 20)],
    "stuck": [],
}

DEAF = {
    "hearing": False,
    "deaf_reason": "it gives only zeros",
    "deaf_remedy": "look at switch and cable",
}


def test_all_is_well():
    assert screen(Findings(RUNNING, MISSING, HEARING)) == (
        "jarvis-ear      active (running), since Sat 2026-11-21 11:57:47 UTC\n"
        "  says          listening\n"
        "  state         hearing: waits for the wake word\n"
        "  backend       connected\n"
        "  deaf today    3 s\n"
        "  last turns    10 s ago: story 10\n"
        "                20 s ago: story 20\n"
        "credentials     none\n"
        "to do           nothing: all is well\n"
    )


def test_unusual_properties_are_shown():
    odd = RUNNING | {"NRestarts": "3", "UnitFileState": "disabled", "Result": "watchdog"}
    text = screen(Findings(odd, RUNNING, HEARING | {"hearing": False, "heard_s_ago": None}))
    assert "last result watchdog" in text
    assert "restarts      3 automatic" in text
    assert "at boot       no (disabled)" in text
    assert "last sound    none yet" in text
    assert "jarvis-backend  active (running)" in text


def test_the_stored_credentials_are_listed_by_name():
    names = frozenset({"jarvis-password", "jarvis-bus-key"})
    stored = StoredCredentials(names, frozenset({"jarvis-password"}))
    text = screen(Findings(RUNNING, MISSING, HEARING, credentials=stored))
    assert "credentials     jarvis-bus-key (for root only), jarvis-password (encrypted)\n" in text
    stored = StoredCredentials(names, names, is_complete=False)
    text = screen(Findings(RUNNING, MISSING, HEARING, credentials=stored))
    assert "jarvis-password (encrypted), unencrypted ones are shown to root only\n" in text


FAILED = RUNNING | {"ActiveState": "failed"}


@pytest.mark.parametrize(
    ("unit", "report", "words"),
    [
        (MISSING, None, "not installed: sudo jarvis-ear service install"),
        (FAILED, None, "does not run"),
        (FAILED | {"ExecMainStatus": "78"}, None, "configuration has a mistake"),
        (RUNNING, None, "does not answer"),
        (RUNNING, {"muted_by": ["owner"]}, "jarvis-ear unmute"),
        (RUNNING, {"muted_by": ["clock"]}, "by the clock"),
        (RUNNING, {"muted_by": ["bus"]}, "by the event bus"),
        (RUNNING, {"muted_by": ["bus", "clock"]}, "by the event bus"),
        (RUNNING, {"muted_by": ["x"]}, "muted by the x: jarvis-ear"),
        (RUNNING, {"hearing": False}, "no sound"),
        (RUNNING, DEAF, "it is deaf: look at switch and cable"),
        (RUNNING, {"connected": False}, "cannot reach the backend"),
        (RUNNING, {}, "all is well"),
    ],
)
def test_there_is_always_advice(unit, report, words):
    findings = Findings(unit, report=None if report is None else HEARING | report)
    assert words in advice(findings)
    assert words in screen(findings)


def test_a_refusal_is_the_advice():
    findings = Findings(RUNNING, refusal="as root")
    assert "as root" in advice(findings)
    assert "as root" in screen(findings)


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (DEAF, "  state         deaf: it gives only zeros"),
        (
            {"hearing": False, "muted_by": ["bus"]},
            "  state         muted by the event bus (bus.url)",
        ),
    ],
)
def test_the_reason_of_deafness_is_shown(report, line):
    assert line in screen(Findings(RUNNING, report=HEARING | report)).splitlines()
