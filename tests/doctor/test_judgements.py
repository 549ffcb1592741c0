"""What the doctor makes of the facts that its probes gather."""

import base64
import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jarvis_ear import __version__
from jarvis_ear.config import SpeakerOptions, WakeOptions
from jarvis_ear.devices.sound_library import Device
from jarvis_ear.doctor import backend_checks as backend
from jarvis_ear.doctor import host_checks as host
from jarvis_ear.doctor import machine_checks as machine
from jarvis_ear.doctor import sound_checks as sound
from jarvis_ear.doctor import storage_checks as storage
from jarvis_ear.doctor.checks import (
    CHECKS,
    attempt,
    exit_status,
    fail,
    ok,
    ordered,
    page,
    skipped,
    warn,
)
from jarvis_ear.errors import JarvisEarError
from jarvis_ear.spool.ledger import FILE

NOW = 1_800_000_000.0


def graded(results):
    """Each line as its check, grade and status."""
    return [(each.check, str(each.grade), each.exit_status) for each in results]


def only(results):
    (result,) = results
    return str(result.grade), result.exit_status, f"{result.text} -> {result.fix}"


def says(results, grade, status, words):
    found = only(results)
    assert found[:2] == (grade, status)
    assert words in found[2]


# The page


def test_the_first_failed_line_in_the_order_of_causes_decides():
    later, earlier = fail("ping", "p", "x", 76), fail("microphone", "m", "y", 69)
    lines = ordered([later, warn("disk", "d", "z"), earlier, ok("ear", "e")])
    assert [line.check for line in lines] == ["ear", "microphone", "ping", "disk"]
    assert exit_status(lines) == 69
    assert exit_status([warn("disk", "d", ""), skipped("tls", "t")]) == 0
    assert page(lines, colour=False).endswith("\n2 failed, 1 warning. Begin with: microphone.\n")


def test_the_page_breaks_long_lines_in_a_terminal_and_colours_the_grade():
    lines = [fail("microphone", "long " * 30, "mend " * 30, 69)]
    text = page(lines, colour=True, columns=80)
    assert text.startswith("\x1b[31mfail\x1b[0m")
    assert max(map(len, text.replace("\x1b[31m", "").replace("\x1b[0m", "").splitlines())) <= 80
    plain = page(lines, colour=False)
    assert len(plain.splitlines()) == 4
    assert "\x1b" not in plain


def test_a_check_that_hangs_or_has_a_bug_is_a_line():
    release = threading.Event()
    says(attempt("sound", 0.01, release.wait), "fail", 69, "no result within 0.01 s")
    release.set()
    says(attempt("sound", 9, lambda: [1 / 0]), "fail", 70, "ZeroDivisionError")


# Sound

MICROPHONE = Device(0, "USB Mic: Audio (hw:1,0)", "ALSA", 1, 0, 48_000)


def test_cards_need_files_and_the_right_to_use_them():
    cards = sound.CardFacts(("Mic",), ("pcmC1D0c",))
    says(sound.judge_cards(cards, ear_runs=False), "ok", 0, "Mic; this user may use it")
    says(sound.judge_cards(sound.CardFacts(), ear_runs=False), "skipped", 0, "shows none")
    closed = replace(cards, closed=("pcmC1D0c",))
    says(sound.judge_cards(closed, ear_runs=False), "fail", 77, "usermod -aG audio")
    says(sound.judge_cards(closed, ear_runs=True), "skipped", 0, "has its own rights")
    member = replace(closed, is_member=True)
    says(sound.judge_cards(member, ear_runs=False), "fail", 77, "ls -l /dev/snd")


def test_a_microphone_is_found_held_named_by_number_or_missing():
    facts = sound.MicrophoneFacts(MICROPHONE, stable="hw:CARD=Mic")
    says(sound.judge_microphone(facts, "USB"), "ok", 0, "48000 Hz, converted to 16000 Hz")
    says(sound.judge_microphone(facts, "hw:1,0"), "warn", 0, '"hw:CARD=Mic"')
    held = replace(facts, holders="hw:CARD=Mic is held by arecord (pid 7)")
    says(sound.judge_microphone(held, "USB"), "fail", 69, "arecord (pid 7) -> stop that program")
    monitor = replace(facts, device=MICROPHONE._replace(monitor=True))
    says(sound.judge_microphone(monitor, ""), "fail", 69, "the monitor of a loudspeaker")
    missing = sound.MicrophoneFacts(problem="no input device matches 'x'", remedy="choose")
    says(sound.judge_microphone(missing, "x"), "fail", 69, "matches 'x' -> choose")


ROOM = sound.SoundFacts(1.0, -55.0, -40.0, -300, 290)


@pytest.mark.parametrize(
    ("changes", "grade", "status", "words"),
    [
        ({}, "ok", 0, "-55 dBFS, peak -40, in 1.0 s"),
        ({"problem": "it is gone"}, "fail", 69, "it is gone"),
        ({"least": 0, "most": 0}, "fail", 69, "only zeros -> its mute switch"),
        ({"least": 7, "most": 9}, "fail", 69, "one value and its noise"),
        ({"clipped_percent": 2.0}, "warn", 0, "2.0 % is clipped -> lower the gain"),
        ({"rms_dbfs": -85.0}, "warn", 0, "very quiet -> raise its gain"),
    ],
)
def test_a_second_of_sound(changes, grade, status, words):
    says(sound.judge_sound(replace(ROOM, **changes)), grade, status, words)


REPORT = {
    "state": "idle",
    "hearing": True,
    "muted_by": [],
    "stuck": [],
    "beat": 7,
    "pid": 42,
    "source": "microphone 'USB'",
    "level_dbfs": -60.1,
    "noise_floor_dbfs": -63.0,
    "version": __version__,
    "connected": True,
    "backend_url": "http://a:1",
}


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, [("microphone", "ok", 0), ("sound", "ok", 0)]),
        ({"muted_by": ["owner"]}, [("microphone", "skipped", 0), ("sound", "skipped", 0)]),
        ({"hearing": False}, [("microphone", "fail", 69), ("sound", "skipped", 0)]),
        ({"clipped_percent": 3}, [("microphone", "ok", 0), ("sound", "warn", 0)]),
        ({"hears_own_speaker": True}, [("microphone", "fail", 69), ("sound", "ok", 0)]),
    ],
)
def test_a_running_ear_tells_of_its_microphone(changes, lines):
    assert graded(sound.judge_report({**REPORT, **changes})) == lines


def test_the_loudspeaker_is_a_warning_at_most(tmp_path):
    options = SpeakerOptions()
    says(sound.judge_loudspeaker(options, "", None), "ok", 0, "found")
    says(sound.judge_loudspeaker(options, "none there", None), "warn", 0, "none there")
    says(sound.judge_loudspeaker(options, "", {"speaker": "fine"}), "ok", 0, "the running ear")
    says(sound.judge_loudspeaker(options, "", {"speaker": "lost"}), "warn", 0, "not heard: lost")
    none = SpeakerOptions(device="none")
    says(sound.judge_loudspeaker(none, "x", None), "skipped", 0, "speaker.device is none")
    files = SpeakerOptions(output_dir=tmp_path)
    says(sound.judge_loudspeaker(files, "x", None), "skipped", 0, "files")


def test_the_models_are_those_that_are_known(monkeypatch, tmp_path):
    says(sound.judge_models(sound.model_facts(), WakeOptions()), "ok", 0, "are intact")
    broken = tmp_path / "x.onnx"
    broken.write_bytes(b"x")
    monkeypatch.setattr(sound, "shipped_model", lambda _name: broken)
    found = sound.judge_models(sound.model_facts(), None)
    assert graded(found) == [("models", "fail", 78)] * 4


# The backend

HOST = host.HostFacts(
    "a.local", 443, ("10.0.0.1",), connected_s=0.002, is_tls=True, tls_version="TLSv1.3",
    expires_at=NOW + 90 * 86_400, server_at=NOW - 1, asked_at=NOW,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "check", "status", "words"),
    [
        ({"name_problem": "unknown host"}, "dns", 69, "a.local: unknown host -> correct the host"),
        ({"tcp_problem": "connection refused"}, "tcp", 69, "port 443 of a.local: connection ref"),
        ({"tls_problem": "expired", "tls_code": 10}, "tls", 76, "renew its certificate"),
        ({"tls_problem": "mismatch", "tls_code": 62}, "tls", 76, "use the name"),
        ({"tls_problem": "self", "tls_code": 18}, "tls", 76, "backend.ca_file"),
        ({"tls_problem": "wrong version"}, "tls", 76, "does that port speak TLS?"),
        ({"server_at": NOW + 4000}, "clock", 71, "4000 s behind"),
    ],
)
def test_the_first_failure_on_the_way_skips_what_needs_it(changes, check, status, words):
    results = host.judge_host(replace(HOST, **changes), NOW)
    assert [result.check for result in results] == list(host.HOST_CHECKS)
    at = host.HOST_CHECKS.index(check)
    grades = [str(result.grade) for result in results]
    assert grades == ["ok"] * at + ["fail"] + ["skipped"] * (3 - at)
    says([results[at]], "fail", status, words)


def test_a_certificate_that_ends_soon_and_a_clock_that_is_off_are_warnings():
    assert graded(host.judge_host(HOST, NOW)) == [(check, "ok", 0) for check in host.HOST_CHECKS]
    results = host.judge_host(replace(HOST, expires_at=NOW + 5 * 86_400, server_at=NOW - 99), NOW)
    assert [str(result.grade) for result in results] == ["ok", "ok", "warn", "warn"]
    assert "valid for 5 days" in results[2].text
    assert "99 s ahead of" in results[3].text
    plain = host.judge_host(replace(HOST, is_tls=False, server_at=None), NOW)
    assert [str(result.grade) for result in plain] == ["ok", "ok", "skipped", "skipped"]


@pytest.mark.parametrize(
    ("facts", "grade", "status", "words"),
    [
        (backend.LoginFacts(200, token="t"), "ok", 0, "accepts the password"),
        (backend.LoginFacts(401), "fail", 77, "jarvis-ear service password"),
        (backend.LoginFacts(429, "30"), "fail", 75, "wait 30 s"),
        (backend.LoginFacts(404), "skipped", 0, "has no login"),
        (backend.LoginFacts(502), "fail", 76, "status 502"),
        (backend.LoginFacts(problem="no answer"), "fail", 69, "no answer"),
    ],
)
def test_an_answer_to_the_login(facts, grade, status, words):
    says(backend.judge_login(facts), grade, status, words)


def jwt(**claims):
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{body}.x"


@pytest.mark.parametrize(
    ("token", "is_given", "grade", "status", "words"),
    [
        (jwt(exp=NOW + 7 * 86_400), False, "ok", 0, "valid for 7.0 days"),
        (jwt(exp=NOW + 7 * 86_400), True, "warn", 0, "issue a new backend.token before"),
        (jwt(exp=NOW - 7200), True, "fail", 77, "expired 2.0 h ago -> issue a new"),
        (jwt(exp=NOW - 7200), False, "fail", 77, "compare the clocks"),
        (jwt(exp="soon"), False, "ok", 0, "does not tell"),
        ("opaque", True, "ok", 0, "does not tell"),
        ("a.b!.c", True, "ok", 0, "does not tell"),
    ],
)
def test_a_token_is_judged_by_its_own_word(token, is_given, grade, status, words):
    says(backend.judge_token(token, NOW, is_given=is_given), grade, status, words)


def test_a_wire_is_open_slow_or_refused():
    wire = backend.WireFacts(0.03, 0.002)
    judge = backend.judge_wire
    assert graded(judge(wire, "socketio")) == [("wire", "ok", 0), ("ping", "ok", 0)]
    assert graded(judge(replace(wire, ping_s=3), "x"))[1] == ("ping", "warn", 0)
    assert graded(judge(replace(wire, ping_s=None), "x"))[1] == ("ping", "warn", 0)
    refused = backend.WireFacts(problem="no", is_rejected=True)
    assert graded(judge(refused, "x")) == [("wire", "fail", 77), ("ping", "skipped", 0)]
    says(judge(backend.WireFacts(problem="no"), "x")[:1], "fail", 76, "backend.path")


@pytest.mark.parametrize(
    ("report", "grade"),
    [(None, "skipped"), ({"connected": True}, "ok"), ({"connected": False}, "warn")],
)
def test_home_assistant_connects_to_the_ear_so_only_the_ear_can_tell(report, grade):
    *others, wire = backend.judge_satellite(report)
    assert (wire.check, str(wire.grade)) == ("wire", grade)
    assert {str(line.grade) for line in others} == {"skipped"}


# The machine


def test_the_configuration_has_mistakes_or_dangers():
    both = machine.judge_configuration(["a", "b"], ["c"], "")
    assert graded(both) == [("configuration", "fail", 78)] * 2
    assert [bool(result.fix) for result in both] == [False, True]
    assert graded(machine.judge_configuration([], ["c"], "")) == [("configuration", "warn", 0)]
    says(machine.judge_configuration([], [], "all default"), "ok", 0, "all default")


@pytest.mark.parametrize(
    ("changes", "grade", "status", "words"),
    [
        ({}, "ok", 0, "it hears, idle, beat 7"),
        ({"stuck": ["ear thread"]}, "fail", 70, "stuck: ear thread"),
        ({"muted_by": ["clock"], "hearing": False}, "warn", 0, "muted by the clock"),
        ({"hearing": False, "deaf_remedy": "plug it in"}, "fail", 69, "plug it in"),
    ],
)
def test_a_running_ear(changes, grade, status, words):
    says(machine.judge_ear(machine.EarFacts({**REPORT, **changes})), grade, status, words)


def test_an_ear_that_is_absent_refuses_or_is_another_one():
    says(machine.judge_ear(machine.EarFacts()), "skipped", 0, "none is running")
    says(machine.judge_ear(machine.EarFacts(refusal="mute")), "fail", 69, "mute")
    private = machine.EarFacts(refusal="not you", is_private=True)
    says(machine.judge_ear(private), "skipped", 0, "not you")
    assert private.holds_devices
    facts = machine.EarFacts({**REPORT, "version": "0.0.1"})
    lines = machine.judge_ear(facts, "https://b:2")
    assert graded(lines) == [("ear", "ok", 0), ("ear", "warn", 0), ("ear", "warn", 0)]
    assert "it talks to http://a:1, this configuration says https://b:2" in lines[2].text
    assert "--with-backend" in lines[2].fix


UNIT = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "UnitFileState": "enabled",
    "WatchdogUSec": "10s",
    "NRestarts": "0",
    "DropInPaths": "/etc/systemd/system/jarvis-ear.service.d/50-credentials.conf",
}
FAILED = {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"}


@pytest.mark.parametrize(
    ("changes", "grades", "words"),
    [
        ({}, ("ok", "ok"), "active (running), 1 drop-in"),
        ({"UnitFileState": "disabled"}, ("warn", "ok"), "not at boot"),
        ({"WatchdogUSec": "0"}, ("ok", "warn"), "a hung ear is not restarted"),
        ({"NRestarts": "9"}, ("ok", "warn"), "every 10s, 9 automatic restarts"),
        (FAILED, ("fail", "skipped"), "last result exit-code"),
        (FAILED | {"ExecMainStatus": "78"}, ("fail", "skipped"), "jarvis-ear check lists"),
        ({"LoadState": "not-found"}, ("skipped", "skipped"), "service install"),
    ],
)
def test_the_service_and_its_watchdog(changes, grades, words):
    lines = machine.judge_unit({**UNIT, **changes}, ear_runs=False)
    assert [line.check for line in lines] == ["service", "watchdog"]
    assert tuple(str(line.grade) for line in lines) == grades
    assert any(words in line.text + line.fix for line in lines)
    assert machine.is_active({**UNIT, **changes}) is (changes.get("ActiveState") != "failed")
    of_user = machine.judge_unit({**UNIT, **FAILED, machine.MANAGER: "--user"}, ear_runs=False)
    assert of_user[0].fix.startswith("systemctl --user start jarvis-ear")
    both = machine.judge_unit({**UNIT, **FAILED}, ear_runs=True)
    assert "another ear runs" in both[0].fix
    assert graded(machine.judge_unit(None, ear_runs=True))[1] == ("watchdog", "skipped", 0)


def test_the_unit_of_this_user_counts_if_there_is_none_of_the_system(monkeypatch):
    units = {(): {"LoadState": "not-found"}, ("--user",): UNIT}
    monkeypatch.setattr(machine, "unit_properties", lambda *_names, manager: units[manager])
    assert machine.unit_facts() == {**UNIT, machine.MANAGER: "--user"}
    units[()] = {**UNIT, "SubState": "system"}
    assert machine.unit_facts() == {**units[()], machine.MANAGER: ""}
    units[()] = units["--user",] = {"LoadState": "not-found"}
    assert machine.unit_facts() == {"LoadState": "not-found"}

    def refuse(*_names, manager):
        raise JarvisEarError(f"no systemd {manager}")

    monkeypatch.setattr(machine, "unit_properties", refuse)
    assert machine.unit_facts() is None


def test_the_spool_is_looked_at_and_never_changed(tmp_path):
    judge, facts = storage.judge_spool, storage.spool_facts
    says(judge(facts(tmp_path / "none"), ear_runs=False), "skipped", 0, "no ear has used it")
    assert not (tmp_path / "none").exists()
    says(judge(facts(tmp_path), ear_runs=False), "ok", 0, "nothing waits")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "secret name").touch()
    says(judge(facts(tmp_path), ear_runs=True), "ok", 0, "1 waiting for the backend")
    says(judge(facts(tmp_path), ear_runs=False), "warn", 0, "utterances: 1 waiting")
    closed = storage.SpoolFacts("/x", problem="it is not writable")
    says(judge(closed, ear_runs=True), "fail", 73, "it is not writable -> make it writable")
    foreign = replace(closed, problem="it belongs to another user")
    says(judge(foreign, ear_runs=True), "skipped", 0, "sudo jarvis-ear doctor")


def test_the_ledger_of_the_last_day_is_counted(tmp_path):
    now = datetime.now(UTC)
    judge, facts = storage.judge_ledger, storage.ledger_facts
    says(judge(facts(tmp_path, now)), "skipped", 0, "no utterance yet")

    def line(verdict, hours):
        return json.dumps({"time": (now - timedelta(hours=hours)).isoformat(), "verdict": verdict})

    lines = [line("done", 1), line("done", 30), line("failed", 2), "{broken", line("nonsense", 1)]
    (tmp_path / FILE).write_text("\n".join([*lines, json.dumps({"turn": "a"}), "7"]))
    says(judge(facts(tmp_path, now)), "ok", 0, "last day: 1 done, 1 failed")
    (tmp_path / FILE).write_text("\n".join([line("done", 1)] * 3 + [line("expired", 1)]))
    says(judge(facts(tmp_path, now)), "warn", 0, "last day: 3 done, 1 expired")
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    says(judge(facts(tmp_path, now)), "fail", 73, "readable")


def test_the_disk_is_full_nearly_full_or_fine():
    says(storage.judge_disk(5000, 10**6), "ok", 0, "5000 MB are free")
    says(storage.judge_disk(100, 10**6), "warn", 0, "free some space")
    says(storage.judge_disk(5, 10**6), "fail", 73, "free some space")
    says(storage.judge_disk(5000, 3), "fail", 73, "free some space")
    says(storage.judge_disk(5000, 0), "ok", 0, "5000")  # a file system without inodes


def test_every_check_is_on_the_page_of_the_documentation():
    text = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text()
    assert [check for check in CHECKS if f"`{check}`" not in text] == []
