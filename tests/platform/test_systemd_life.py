"""The installed ear under a real systemd: it starts, answers, is killed, and comes back.

One box for all tests, in their order; each leaves the ear running and hearing.
"""

import json
import re
import time
from contextlib import contextmanager

import numpy as np
import pytest

from fakes.installed_ear import CARD, PLAYED, wait_for

pytestmark = pytest.mark.long

HANG = """
import pathlib, threading
from jarvis_ear.hearing.ear_thread import EarThread
turn_over = EarThread._process
def hang(self, item):
    if pathlib.Path("/etc/jarvis-ear/hang").exists():
        threading.Event().wait()
    turn_over(self, item)
EarThread._process = hang
"""
"""An ear whose thread can be made to hang: nothing that is installed can do that."""

BACK_S = 5.0
STOP_S = 2.0


def main_pid(ear) -> str:
    return ear.show("MainPID")["MainPID"]


def restarted(ear, pid: str) -> bool:
    return main_pid(ear) not in {pid, "0"} and ear.hears()


@pytest.fixture
def ear(installed):
    installed.wait_until_it_hears()
    return installed


@contextmanager
def instead(ear, path: str, text: str):
    """Restart the ear with another file; both are as before at the end."""
    file = ear.box.at(path)
    good = file.read_text()
    file.write_text(text)
    try:
        ear.box.run("systemctl", "restart", "jarvis-ear", check=False)
        yield
    finally:
        file.write_text(good)
        ear.box.run("systemctl", "restart", "jarvis-ear")
    ear.wait_until_it_hears()


def test_it_counts_as_started_only_when_it_hears(ear):
    ear.box.run("systemctl", "restart", "jarvis-ear")
    assert ear.show("ActiveState", "SubState") == {"ActiveState": "active", "SubState": "running"}
    assert ear.hears(), ear.log_text()


def test_systemctl_status_says_how_it_is(ear):
    def said():
        text = ear.box.run("systemctl", "status", "jarvis-ear").stdout
        return text if 'Status: "listening"' in text else ""

    assert "active (running)" in wait_for(said, "no turn is going on")


@pytest.fixture
def turn(ear):
    return wait_for(lambda: ear.journal("EVENT=TurnEnded", "OUTCOME=done"), "a turn is done")[0]


def test_a_question_is_answered_aloud(ear, turn):
    played = np.frombuffer(ear.box.at(PLAYED).read_bytes(), np.int16)
    assert np.abs(played.astype(int)).max() > 1000, "the reply was not heard"
    assert not any("what time is it" in str(record) for record in ear.journal())


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


def test_the_records_of_a_turn_are_found_by_its_id_and_explained(ear, turn):
    log = ear.journal(f"TURN_ID={turn['TURN_ID']}")
    assert len(log) > 3
    assert [record.get("EVENT") for record in log].count("TurnEnded") == 1
    explained = ("journalctl", "-x", "-u", "jarvis-ear", f"MESSAGE_ID={turn['MESSAGE_ID']}")
    said = ear.box.run(*explained).stdout
    assert f" Subject: Turn {turn['TURN_ID']} was answered" in said
    assert " Defined-By: jarvis-ear" in said


@contextmanager
def without_backend(ear):
    ear.box.run("systemctl", "stop", "jarvis-backend")
    try:
        yield
    finally:
        ear.box.run("systemctl", "start", "jarvis-backend")
    wait_for(lambda: ear.status().get("connected"), "it finds the backend")


def test_a_loss_of_the_backend_is_a_warning_once(ear):
    wait_for(lambda: ear.status().get("connected"), "it is connected")
    known = len(ear.journal("EVENT=BackendUnreachable"))
    with without_backend(ear):
        new = wait_for(lambda: ear.journal("EVENT=BackendUnreachable")[known:], "a warning", 40.0)
    assert [record["PRIORITY"] for record in new] == ["4"]


def test_it_runs_confined(ear):
    pid = main_pid(ear)
    status = ear.box.at(f"/proc/{pid}/status").read_text()
    found = dict(re.findall(r"^(CapEff|CapBnd|NoNewPrivs|Seccomp):\s+(\w+)", status, re.MULTILINE))
    assert found == {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}
    said = ear.box.run("systemd-analyze", "security", "--no-pager", "jarvis-ear").stdout
    _, _, exposure = said.partition("Overall exposure level for jarvis-ear.service: ")
    # The folder of the test's packages may be executed from: that weighs nothing here.
    assert float(exposure.split()[0]) <= 1.2


def test_it_uses_less_than_half_of_its_ceilings(ear):
    found = ear.show("TasksCurrent", "TasksMax", "MemoryMax")
    assert int(found["TasksCurrent"]) < int(found["TasksMax"]) / 2
    status = ear.box.at(f"/proc/{main_pid(ear)}/status").read_text()
    resident = int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) * 1024
    assert resident < int(found["MemoryMax"]) / 2


def test_only_the_service_can_read_the_password(ear):
    folder = "/run/credentials/jarvis-ear.service"
    found = ear.box.run("stat", "-c", "%a %U", folder, f"{folder}/jarvis-password").stdout
    assert found == "500 jarvis-ear\n400 jarvis-ear\n"
    stored = ear.box.run("bash", "-c", "stat -c '%a %U' /etc/credstore*/jarvis-password").stdout
    assert stored == "600 root\n"
    denied = ear.box.run("cat", f"{folder}/jarvis-password", user="nobody", check=False)
    assert "Permission denied" in denied.stderr
    password = ear.box.run("cat", f"{folder}/jarvis-password").stdout.strip()
    shown = ear.box.run("systemctl", "show", "jarvis-ear").stdout + ear.log_text()
    shown += ear.box.at(f"/proc/{main_pid(ear)}/environ").read_text(errors="replace")
    shown += ear.box.at(f"/proc/{main_pid(ear)}/cmdline").read_text()
    assert len(password) >= 32
    assert password not in shown


def test_members_of_its_group_may_ask_and_mute_it_and_others_may_not(ear):
    for name in ("member", "stranger"):
        ear.box.run("useradd", name)
    ear.box.run("usermod", "--append", "--groups", "jarvis-ear", "member")
    assert "hearing: " in ear.box.run("jarvis-ear", "status", user="member").stdout
    assert ear.box.run("jarvis-ear", "toggle", user="member").stdout == "muted by the owner\n"
    assert ear.box.run("jarvis-ear", "toggle", user="member").stdout == "not muted\n"
    refused = ear.box.run("jarvis-ear", "mute", user="stranger", check=False)
    assert refused.returncode == 1
    assert "cannot be asked" in refused.stderr
    spool = ear.box.run("ls", "/run/jarvis-ear/spool", user="member", check=False)
    assert "Permission denied" in spool.stderr


def test_a_mute_outlasts_a_restart(ear):
    ear.box.run("jarvis-ear", "mute")
    ear.box.run("systemctl", "restart", "jarvis-ear")
    try:
        assert ear.show("StatusText")["StatusText"].startswith("muted")
        assert ear.status()["muted_by"] == ["owner"]
        assert "to do           it is muted by you" in ear.service("status", check=False)
    finally:
        ear.box.run("jarvis-ear", "unmute")


def test_killed_it_hears_again_within_five_seconds(ear):
    pid = main_pid(ear)
    ear.box.run("systemctl", "kill", "--signal=KILL", "jarvis-ear")
    killed_at = time.monotonic()
    wait_for(lambda: restarted(ear, pid), "it hears again")
    assert time.monotonic() - killed_at <= BACK_S, ear.log_text()


def test_a_frozen_process_is_replaced(ear):
    pid = main_pid(ear)
    ear.box.run("systemctl", "kill", "--signal=STOP", "--kill-whom=main", "jarvis-ear")
    wait_for(lambda: restarted(ear, pid), "the watchdog bites, and it hears again", 40.0)
    assert "Watchdog timeout" in ear.log_text()


def test_an_ear_thread_that_hangs_is_replaced(ear):
    hang = ear.box.at("/etc/jarvis-ear/hang")
    site = next(ear.box.at("/opt/jarvis-ear/current").glob("lib/python3*/site-packages"))
    (site / "hang.py").write_text(HANG)
    (site / "hang.pth").write_text("import hang\n")
    try:
        ear.box.run("systemctl", "restart", "jarvis-ear")
        pid = main_pid(ear)
        hang.touch()
        wait_for(lambda: "ear thread" in ear.show("StatusText")["StatusText"], "it says what hangs")
        wait_for(lambda: main_pid(ear) != pid, "the watchdog bites", 60.0)
    finally:
        hang.unlink(missing_ok=True)
        (site / "hang.pth").unlink()
    ear.wait_until_it_hears(60.0)
    assert "Fatal Python error: Aborted" in ear.log_text()
    assert "ear_thread.py" in ear.log_text()


@pytest.mark.parametrize("backend", ["running", "frozen"])
def test_it_stops_within_two_seconds(ear, backend):
    if backend == "frozen":
        ear.box.run("systemctl", "kill", "--signal=STOP", "jarvis-backend")
    asked_at = time.monotonic()
    ear.box.run("systemctl", "stop", "jarvis-ear")
    took_s = time.monotonic() - asked_at
    found = ear.show("ActiveState", "Result")
    ear.box.run("systemctl", "kill", "--signal=CONT", "jarvis-backend")
    ear.box.run("systemctl", "start", "jarvis-ear")
    assert took_s <= STOP_S, ear.log_text()
    assert found == {"ActiveState": "inactive", "Result": "success"}


def test_a_reload_changes_a_running_ear_and_a_mistake_changes_nothing(ear):
    options = ear.box.at("/etc/jarvis-ear/config.toml")
    good, pid = options.read_text(), main_pid(ear)
    try:
        options.write_text(f"{good}\n[hearing.endpointing]\nhangover_ms = 640\n")
        ear.box.run("systemctl", "reload", "jarvis-ear")
        [done] = wait_for(lambda: ear.journal("EVENT=Reloaded"), "it has read it again")
        assert done["CHANGED"] == "hearing.endpointing.hangover_ms"
        options.write_text("[hearing.wake]\nthreshhold = 0.4\n")
        ear.box.run("systemctl", "reload", "jarvis-ear")
        [refused] = wait_for(lambda: ear.journal("EVENT=ReloadRefused"), "it has found a mistake")
        assert "did you mean hearing.wake.threshold" in refused["MESSAGE"]
        assert "has 1 mistake, see the log" in ear.show("StatusText")["StatusText"]
        assert main_pid(ear) == pid
        assert ear.hears()
    finally:
        options.write_text(good)
        ear.box.run("systemctl", "reload", "jarvis-ear")
    wait_for(lambda: "mistake" not in ear.show("StatusText")["StatusText"], "all is well again")


def test_a_wrong_configuration_is_said_once_and_not_tried_again(ear):
    with instead(ear, "/etc/jarvis-ear/config.toml", "[hearing.wake]\nthreshhold = 0.4\n"):
        found = ear.show("ActiveState", "ExecMainStatus", "NRestarts")
        assert found == {"ActiveState": "failed", "ExecMainStatus": "78", "NRestarts": "0"}
        assert "did you mean hearing.wake.threshold" in ear.log_text()
        assert "the configuration has a mistake" in ear.service("status", check=False)


def test_without_a_sound_card_it_starts_and_says_why_it_is_deaf(ear):
    with instead(ear, f"{CARD}/asound.conf", "</usr/share/alsa/alsa.conf>\n"):
        assert ear.show("ActiveState")["ActiveState"] == "active"
        said = ear.show("StatusText")["StatusText"]
        assert said.startswith("deaf: "), said
        assert "the kernel shows no sound card" in said
        advice = "it is deaf: list the microphones (jarvis-ear devices)"
        assert advice in ear.service("status", check=False)


def test_a_unit_that_may_not_use_the_sound_card_says_so(ear):
    snd = ear.box.at("/dev/snd")
    snd.mkdir()
    (snd / "pcmC0D0c").touch(mode=0o600)
    try:
        with instead(ear, f"{CARD}/asound.conf", "</usr/share/alsa/alsa.conf>\n"):
            said = ear.show("StatusText")["StatusText"]
            assert "this user may not use the sound card (pcmC0D0c)" in said
    finally:
        (snd / "pcmC0D0c").unlink()
        snd.rmdir()


def test_without_a_backend_it_starts_and_finds_one_later(ear):
    with without_backend(ear):
        ear.box.run("systemctl", "restart", "jarvis-ear")
        assert ear.hears()
        assert not ear.status()["connected"]


def test_nothing_of_it_listens_on_the_network_but_the_backend_on_loopback(ear):
    ear.box.run("systemctl", "is-active", "jarvis-backend")
    tables = "".join(
        ear.box.at(f"/proc/{main_pid(ear)}/net/{name}").read_text() for name in ("tcp", "tcp6")
    )
    inodes = {line.split()[9] for line in tables.splitlines() if line.split()[3] == "0A"}
    links = ear.box.run("bash", "-c", f"ls -l /proc/{main_pid(ear)}/fd").stdout
    assert not inodes & set(re.findall(r"socket:\[(\d+)\]", links))
    assert json.dumps(ear.status())
