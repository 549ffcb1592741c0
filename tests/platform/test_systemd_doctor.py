"""The doctor beside the installed ear under a real systemd, as root and as another user."""

import json
import tarfile

import pytest

from fakes.installed_ear import CARD

pytestmark = pytest.mark.long

SECRET = "c4n4ry-of-the-box"
BUNDLE = "/var/lib/support.tar.gz"


@pytest.fixture
def ear(installed):
    installed.wait_until_it_hears()
    return installed


def doctor(ear, *words, user="root"):
    """Run it in the box; return the exit status and the lines by check."""
    command = f"ALSA_CONFIG_PATH={CARD}/asound.conf jarvis-ear doctor --json {' '.join(words)}"
    done = ear.box.run("runuser", "-u", user, "--", "bash", "-c", command, check=False)
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout)
    return done.returncode, {line["check"]: line for line in found["checks"]}


def test_a_running_service_is_fine_and_keeps_its_microphone(ear):
    before = ear.status()
    status, lines = doctor(ear)
    assert {line["check"] for line in lines.values() if line["grade"] == "fail"} == set()
    assert status == 0
    assert lines["service"]["text"].startswith("active (running), ")
    assert lines["watchdog"]["text"].startswith("every 10s, ")
    assert lines["microphone"]["text"].startswith("the running ear holds it: microphone ")
    assert (lines["spool"]["grade"], lines["ear"]["grade"]) == ("ok", "ok")
    after = ear.status()
    assert (after["hearing"], after["gaps"], after["pid"]) == (True, before["gaps"], before["pid"])


def test_another_user_is_told_what_root_would_see(ear):
    ear.box.run("useradd", "--no-create-home", "visitor")
    before = ear.status()
    status, lines = doctor(ear, user="visitor")
    assert status == 0
    assert "run this as root, or as a member of the group" in lines["ear"]["text"]
    hidden = ("ear", "microphone", "sound", "loudspeaker", "login", "wire", "spool", "ledger")
    assert {lines[check]["grade"] for check in hidden} == {"skipped"}
    assert "sudo jarvis-ear doctor" in lines["spool"]["text"] + lines["login"]["text"]
    assert lines["configuration"]["grade"] == "ok"  # of the password, it knows nothing
    assert ear.status()["gaps"] == before["gaps"]


def test_the_bundle_of_a_service_has_its_journal_and_its_unit_without_secrets(ear, tmp_path):
    ear.drop_in("jarvis-ear", f"Environment=ALSA_CONFIG_PATH={CARD}/asound.conf X={SECRET}")
    ear.box.run("logger", "-t", "jarvis-ear", SECRET)
    doctor(ear, f"--bundle={BUNDLE}")
    copy = tmp_path / "b.tar.gz"
    copy.write_bytes(ear.box.at(BUNDLE).read_bytes())
    with tarfile.open(copy) as archive:
        found = {m.name.rpartition("/")[2]: archive.extractfile(m).read().decode() for m in archive}
    ear.with_card()
    assert [name for name, text in found.items() if SECRET in text] == []
    events = {json.loads(line).get("EVENT") for line in found["journal.jsonl"].splitlines()}
    assert {"Started"} <= events
    assert "WatchdogSec=10\n" in found["unit.txt"]
    assert found["unit.txt"].count("Environment=(not shown)\n") == 2
    assert "ExecPaths=/opt/jarvis-test" in found["unit.txt"]


def test_a_stopped_service_is_the_first_failure(ear):
    ear.box.run("systemctl", "stop", "jarvis-ear")
    try:
        status, lines = doctor(ear)
    finally:
        ear.box.run("systemctl", "start", "jarvis-ear")
    ear.wait_until_it_hears()
    assert status == 69
    assert lines["service"]["grade"] == "fail"
    assert "systemctl start jarvis-ear" in lines["service"]["fix"]
    assert lines["sound"]["text"].startswith("-")  # nobody holds the microphone now
