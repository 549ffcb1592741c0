"""A whole turn at the most talkative level: what a real journal, and JSON lines, hold of it."""

import json
import sys
from pathlib import Path

import pytest

from fakes.journald import Journald, why_not
from fakes.voice_server import Switches, VoiceServer
from jarvis_ear.journal.kind import FIELDS
from loopback.test_canary import CANARIES, PASSWORD

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "tests" / "data" / "hey-jarvis-what-time-is-it.wav"
IN_THE_JOURNAL = """
import os, runpy, sys
found = os.fstat(2)
os.environ["JOURNAL_STREAM"] = f"{found.st_dev}:{found.st_ino}"
runpy.run_module("jarvis_ear", run_name="__main__", alter_sys=True)
"""
"""Standard error leads to the journal, as far as the program can know."""


@pytest.fixture(scope="module")
def renderings(tmp_path_factory):
    """Every record of two lives: told to the journal, and as lines of JSON."""
    if missing := why_not():
        pytest.skip(missing)
    secret = tmp_path_factory.mktemp("home") / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    with (
        Journald(ROOT / "systemd" / "jarvis-ear.catalog") as journal,
        VoiceServer(tmp_path_factory.mktemp("server"), Switches(password=PASSWORD)) as server,
    ):
        run = [
            *("run", "--input", str(RECORDING), "--fast", "--speaker.device", "none"),
            *("--log.level", "debug", "--backend-url", server.url),
            *("--backend.password-file", str(secret), "--spool.dir", str(secret.parent / "spool")),
            *("--spool.ledger-dir", str(secret.parent)),
        ]
        said = journal.run([sys.executable, "-c", IN_THE_JOURNAL, *run])
        lines = journal.run([sys.executable, "-m", "jarvis_ear", *run, "--log-format", "json"])
        journal.run(["journalctl", "--sync"])
        kept = journal.run(["journalctl", "-o", "json", "SYSLOG_IDENTIFIER=jarvis-ear"])
    assert said == ""  # everything has gone to the journal
    return {
        form: [json.loads(line) for line in text.splitlines()]
        for form, text in (("journal", kept), ("json", lines))
    }


@pytest.mark.parametrize("what", CANARIES)
def test_a_canary_is_in_no_record(renderings, what):
    assert [form for form, told in renderings.items() if CANARIES[what] in str(told)] == []


def test_both_tell_the_same_story(renderings):
    stories = {
        form: {record["EVENT"] for record in told if "EVENT" in record}
        for form, told in renderings.items()
    }
    assert stories["journal"] == stories["json"]
    assert {"Started", "TurnEnded", "BackendReached", "Stopped"} <= stories["journal"]
    fields = {form: {name for each in told for name in each} for form, told in renderings.items()}
    assert fields["json"] - {"TIME"} == {each for each in fields["journal"] if each in FIELDS}


def test_the_end_of_the_turn_has_its_numbers(renderings):
    for told in renderings.values():
        (ended,) = [record for record in told if record.get("EVENT") == "TurnEnded"]
        assert ended["OUTCOME"] == "done"
        assert float(ended["WAKE_SCORE"]) > 0.5
        latencies = [
            int(ended[f"LATENCY_{stage}_MS"])
            for stage in ("CAPTURED", "SENT", "PROCESSING", "TRANSCRIPT", "DONE")
        ]
        assert latencies == sorted(latencies)
        assert int(ended["BYTES_BASE64"]) > int(ended["BYTES_WAV"]) > int(ended["BYTES_RAW"]) > 0
        assert int(ended["LATENCY_WAKE_MS"]) < 0
