"""`jarvis-ear doctor` as a person uses it, and what its bundle must not hold."""

import io
import json
import stat
import tarfile
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fakes.microphones import OneMicrophone
from jarvis_ear import __version__, cli, paths
from jarvis_ear.control.server import ControlServer
from jarvis_ear.devices import portaudio_process
from jarvis_ear.doctor import bundle, command, machine_checks
from jarvis_ear.doctor.checks import CHECKS, ok
from jarvis_ear.journal.kind import FIELDS
from jarvis_ear.mute import Mute

SOUND = np.random.default_rng(5).normal(0, 40, (40_000, 1))


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    """Folders of the test, a microphone, and a service that is not installed."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    for name in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / name.partition("_")[0].lower()))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("JARVIS_PASSWORD", "jarvis-of-the-test")
    monkeypatch.setattr(paths, "SERVICE", tmp_path / "none")
    monkeypatch.setattr(machine_checks, "unit_facts", lambda: None)
    library = OneMicrophone(SOUND)
    monkeypatch.setattr(portaudio_process, "for_input", lambda: library)
    monkeypatch.setattr(portaudio_process, "for_output", lambda: library)
    return SimpleNamespace(folder=tmp_path, runtime=runtime, library=library)


def doctor(capsys, *words):
    """Run it; return the exit status and the lines by check."""
    status = cli.main(["doctor", "--json", *words])
    found = json.loads(capsys.readouterr().out)
    return status, found, {line["check"]: line for line in found["checks"]}


def test_a_whole_ear_has_nothing_that_fails(real_backend, capsys, monkeypatch, place):
    monkeypatch.setenv("JARVIS_PASSWORD", "jarvis")
    status, found, lines = doctor(capsys, "--backend-url", real_backend)
    assert (status, found["exit_status"]) == (0, 0)
    assert list(lines) == list(CHECKS)
    assert lines["sound"]["text"].startswith("-")
    assert lines["wire"]["grade"] == "ok"
    assert place.library.is_closed
    assert cli.main(["doctor", "--backend-url", real_backend]) == 0
    assert "\nNothing failed, " in capsys.readouterr().out


def test_the_json_has_the_documented_fields(capsys):
    _, found, _ = doctor(capsys, "--backend-url", "http://127.0.0.1:9")
    assert list(found) == ["schema", "version", "time", "exit_status", "checks"]
    assert (found["schema"], found["version"]) == (1, __version__)
    fields = {"check", "grade", "text", "fix", "exit_status"}
    assert {frozenset(line) for line in found["checks"]} == {frozenset(fields)}
    page = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text()
    assert [name for name in {*found, *fields} if f"`{name}`" not in page] == []


def test_every_mistake_is_a_line_and_what_needs_no_option_is_still_checked(capsys, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("[hearing.wake]\nthreshold = 5\n[backend]\nurl = 'x'\n")
    status, found, lines = doctor(capsys, "--config", str(file))
    assert status == 78
    mistakes = [line["text"] for line in found["checks"] if line["check"] == "configuration"]
    assert ["threshold" in mistakes[0], "backend.url" in mistakes[1]] == [True, True]
    assert lines["wire"]["text"] == "the configuration has a mistake"
    assert (lines["models"]["grade"], lines["disk"]["grade"]) == ("ok", "ok")


REPORT = {
    "state": "idle",
    "hearing": True,
    "heard_s_ago": 0.1,
    "deaf_s_today": 0.0,
    "stuck": [],
    "muted_by": [],
    "turns": [],
    "source": "microphone 'USB'",
    "connected": True,
    "backend_url": "http://127.0.0.1:9",
    "version": __version__,
    "beat": 3,
    "pid": 4,
}


def test_the_microphone_of_a_running_ear_is_not_opened(capsys, place):
    with ControlServer(place.runtime, lambda _word: REPORT):
        _, _, lines = doctor(capsys, "--backend-url", "http://127.0.0.1:9")
    assert place.library.opened == []
    assert lines["microphone"]["text"] == "the running ear holds it: microphone 'USB'"


def test_the_microphone_of_an_ear_that_does_not_answer_is_not_opened(capsys, monkeypatch, place):
    facts = machine_checks.EarFacts(refusal="it hangs")
    monkeypatch.setattr(machine_checks, "ear_facts", lambda: facts)
    monkeypatch.setenv("JARVIS_EAR_MICROPHONE__DEVICE", "USB")  # nor is its name looked up
    monkeypatch.setattr(place.library, "devices", lambda: pytest.fail("it is held"))
    status, _, lines = doctor(capsys, "--backend-url", "http://127.0.0.1:9")
    assert place.library.opened == []
    assert (status, lines["ear"]["grade"], lines["sound"]["grade"]) == (69, "fail", "skipped")


def test_the_microphone_of_a_muted_ear_is_not_opened(capsys, place):
    Mute(place.folder / "state", None).mute()
    _, _, lines = doctor(capsys, "--backend-url", "http://127.0.0.1:9")
    assert place.library.opened == []
    assert lines["microphone"]["grade"] == "ok"
    assert "muted" in lines["sound"]["text"]


def test_a_group_that_hangs_does_not_keep_the_others():
    release = threading.Event()

    def hangs():
        yield [ok("models", "m")]
        release.wait()
        yield [ok("sound", "s")]

    results = command._together([hangs(), iter([[ok("disk", "d")]])], limit_s=0.05)
    release.set()
    assert [result.check for result in results] == ["models", "disk"]
    missing = command._missing(results, is_loaded=True)
    assert {line.text for line in missing} == {"not finished in time"}
    assert {line.check for line in missing} == set(CHECKS) - {"models", "disk"}


CANARY = "c4n4ry"
"""Stands in every place that may hold a secret, a word, or the name of a file or a person."""

CONFIG = f"""\
[microphone]
fallback = "/srv/{CANARY}.wav"
[backend]
url = "http://127.0.0.1:9"
agent_id = "{CANARY}"
token_file = "{{folder}}/{CANARY}-token"
[bus]
url = "ws://127.0.0.1:9/{CANARY}"
key = "{CANARY}-key-of-the-bus"
[rooms]
group = "{CANARY}"
[hooks]
wake = ["curl", "-H", "Authorization: {CANARY}"]
url = "http://127.0.0.1:9/{CANARY}"
[spool]
dir = "{{folder}}/{CANARY} spool"
ledger_dir = "{{folder}}/{CANARY} ledger"
[hearing]
follow_up_ends_on = "{CANARY}"
"""
UNIT = f"""\
[Service]
# {CANARY}
ExecStart=/opt/x/jarvis-ear run --config /{CANARY}
Environment=JARVIS_PASSWORD={CANARY} \\
  MORE={CANARY}
WatchdogSec=10
SetCredential=jarvis-password:{CANARY}
[Install]
WantedBy=multi-user.target
"""
RECORDS = [
    {"MESSAGE": f"understood {CANARY}", "EVENT": "TurnEnded", "LATENCY_DONE_MS": "994"},
    {
        "PLACE": f"/srv/{CANARY}",
        "REASON": CANARY,
        "SOURCE": CANARY,
        "BACKEND": f"http://u:{CANARY}@h",
    },
    {"EXCEPTION_TEXT": CANARY, "_CMDLINE": f"jarvis-ear {CANARY}", "LOGGER": CANARY},
    {**dict.fromkeys(FIELDS, CANARY), "TURN_ID": "03b91389", "CAUSE": "not_understood"},
]


def planted(place, monkeypatch):
    """Plant the canary in configuration, environment, status, journal, ledger, unit and names."""
    folder = place.folder
    (folder / f"{CANARY}-token").write_text(f"{CANARY}.token")
    (folder / f"{CANARY}-token").chmod(0o600)
    for name in ("spool/new", "ledger"):
        (folder / f"{CANARY} {name}").mkdir(parents=True)
    (folder / f"{CANARY} spool" / "new" / CANARY).touch()
    (folder / f"{CANARY} spool").chmod(0o500)
    (folder / f"{CANARY} ledger" / "ledger.jsonl").write_text(f'{{"verdict": "{CANARY}"}}\n')
    config, unit = folder / f"{CANARY}.toml", folder / f"{CANARY}.service"
    config.write_text(CONFIG.replace("{folder}", str(folder)))
    config.chmod(0o600)
    unit.write_text(UNIT)
    monkeypatch.setenv("JARVIS_EAR_BACKEND__PASSWORD", f"{CANARY}-password")
    loaded = {"LoadState": "loaded", "FragmentPath": str(unit), "StatusText": CANARY}
    monkeypatch.setattr(machine_checks, "unit_facts", lambda: loaded)
    lines = "".join(json.dumps({**each, "__REALTIME_TIMESTAMP": "7"}) + "\n" for each in RECORDS)
    journal = SimpleNamespace(stdout=lines + "{broken\n7\n")
    monkeypatch.setattr(bundle, "run", lambda *_: journal)
    return config


def texts(path):
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        assert {member.mode for member in members} == {0o600}
        return {m.name.rpartition("/")[2]: archive.extractfile(m).read().decode() for m in members}


@pytest.mark.parametrize("is_valid", [True, False])
def test_a_bundle_holds_no_canary_but_what_helps(capsys, monkeypatch, place, is_valid):
    config, target = planted(place, monkeypatch), place.folder / "b.tar.gz"
    if not is_valid:
        config.write_text(f"{config.read_text()}\n[log]\nlevel = '{CANARY}'\n")
    target.touch(mode=0o644)
    story = {"ended_s_ago": 1, "story": f"understood {CANARY}"}
    report = {**REPORT, "turns": [story], "source": f"/srv/{CANARY}", "counters": {"gaps": 3}}
    with ControlServer(place.runtime, lambda _word: report):
        cli.main(["doctor", "--config", str(config), "--bundle", str(target)])
    assert "read it first" in capsys.readouterr().err
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    found = texts(target)
    assert [name for name, text in found.items() if CANARY in text.lower()] == []
    assert set(found) - {"configuration.toml"} == {
        *("doctor.json", "versions.json", "status.json", "journal.jsonl", "unit.txt")
    }
    records = list(map(json.loads, found["journal.jsonl"].splitlines()))
    assert records[0] == {"at_us": "7", "EVENT": "TurnEnded", "LATENCY_DONE_MS": "994"}
    assert records[1:3] == [{"at_us": "7"}] * 2
    assert records[3] == {"at_us": "7", "CAUSE": "not_understood", "TURN_ID": "03b91389"}
    assert json.loads(found["status.json"])["counters"] == {"gaps": 3}
    assert "WatchdogSec=10\n" in found["unit.txt"]
    assert "Environment=(not shown)\n" in found["unit.txt"]
    assert json.loads(found["versions.json"])["jarvis-ear"] == __version__
    if is_valid:
        rows = found["configuration.toml"].splitlines()
        assert 'backend.url = "http://127.0.0.1:9"  # file' in rows
        assert "backend.password = (a secret)  # environment" in rows
        assert "backend.agent_id = (set)  # file" in rows
        assert "hooks.wake = (set)  # file" in rows
        assert 'hooks.url = "http://127.0.0.1:9"  # file' in rows
    else:
        assert "log.level" in found["doctor.json"]


def test_a_known_secret_is_masked_wherever_it_stands():
    mask = bundle.Mask({"hunter2", "a\"b'c\n", "abc"})
    assert mask("x hunter2 a\\\"b'c\\n abc") == "x [secret] [secret] abc"  # as JSON writes it
    assert mask("http://me:pw@host/x eyJhbGci.eyJh.abc") == "http://[secret]@host/x [token]"
    assert mask('"/home" /root') == '"/[home]" /[home]'


def test_a_bundle_that_cannot_be_written_is_one_line(capsys, place):
    (place.folder / "link").symlink_to(place.folder / "elsewhere")
    for target in (place.folder / "none" / "b.tar.gz", place.folder / "link"):
        assert cli.main(["doctor", "--bundle", str(target)]) == 66
        assert f"jarvis-ear: the bundle cannot be written to {target}" in capsys.readouterr().err
    assert not (place.folder / "elsewhere").exists()
    assert cli.main(["doctor", "--bundle"]) == 64
    assert "expected one argument" in capsys.readouterr().err


def test_the_archive_is_one_that_tar_reads(place):
    names = bundle.write_bundle(place.folder / "b.tgz", [ok("disk", "d")], None, None, None)
    data = io.BytesIO((place.folder / "b.tgz").read_bytes())
    with tarfile.open(fileobj=data) as archive:
        assert archive.getnames() == [f"jarvis-ear/{name}" for name in names]
