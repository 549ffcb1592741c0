"""The command `jarvis-ear service`."""

import os
import sys

import pytest

from jarvis_ear import cli
from jarvis_ear.service import command
from jarvis_ear.service.probe import Layout
from jarvis_ear.service.status import Findings


def main(*words):
    return cli.main(["service", *words], run=lambda _loaded: 0)


TWICE = ["install", "--password-file", "a", "--password-file", "b"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        *((words, "") for words in ([], ["instal"], ["install", "--nope"], ["status", "x"])),
        (TWICE, "service install: --password-file: given twice, expected once\n"),
    ],
)
def test_misuse_is_reported_in_one_line(words, reason, capsys):
    assert main(*words) == 64
    said = capsys.readouterr().err
    assert said.startswith(f"jarvis-ear: {reason}")
    assert len(said.splitlines()) == 1


def test_a_staged_root_is_an_option_or_a_variable_and_may_begin_with_a_tilde(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main("install", "--dry-run", "--destdir", "~/stage") == 0
    assert f"would build {tmp_path}/stage/opt/jarvis-ear" in capsys.readouterr().out
    monkeypatch.setenv("DESTDIR", "~/other")
    assert main("install", "--dry-run") == 0
    assert f"would build {tmp_path}/other/opt/jarvis-ear/releases/" in capsys.readouterr().out
    assert main("install", "--destdir", "~no-such-user-at-all/x") == 64
    assert "the home of an unknown user" in capsys.readouterr().err
    monkeypatch.setenv("DESTDIR", "~no-such-user-at-all/x")
    assert main("install", "--dry-run") == 64
    assert "the home of an unknown user" in capsys.readouterr().err


def test_help_names_the_verbs(capsys):
    assert main("--help") == 0
    said = capsys.readouterr().out
    assert all(verb in said for verb in ("install", "uninstall", "status"))


@pytest.mark.parametrize("verb", ["install", "uninstall", "password"])
def test_without_root_the_error_is_one_line(verb, capsys, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["/opt/bin/jarvis-ear"])
    assert main(verb) == 77
    said = capsys.readouterr().err
    assert said == (f"jarvis-ear: only root may do this: sudo /opt/bin/jarvis-ear service {verb}\n")


def test_a_dry_run_needs_no_rights_and_changes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main("install", "--with-backend", "--dry-run", "--destdir", str(tmp_path)) == 0
    said = capsys.readouterr().out.splitlines()
    assert all(line.startswith("would ") for line in said)
    assert any("requirements-backend.txt" in line for line in said)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def ann(monkeypatch, tmp_path):
    """A user without a system service and without a session; her home."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(command, "PACKAGE", Layout(root=tmp_path, library=tmp_path / "usr/lib"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_dry_run_for_a_user_stays_in_their_home(ann, capsys):
    assert main("install", "--user", "--with-backend", "--dry-run") == 0
    said = capsys.readouterr().out.splitlines()
    assert f"would write {ann}/.config/jarvis-ear/credentials/jarvis-password (0600)" in said
    assert f"would link {ann}/.local/bin/jarvis-ear to" in "\n".join(said)
    assert not any(path in line for line in said for path in (" /etc", " /usr/l", " /opt"))
    assert list(ann.iterdir()) == []


def test_a_user_without_a_session_is_told_and_nothing_is_written(ann, capsys):
    assert main("install", "--user") == 71
    assert "no service manager runs for this user: log in" in capsys.readouterr().err
    assert list(ann.iterdir()) == []


def test_a_user_uninstalls_and_keeps_the_options_unless_they_are_purged(ann, capsys):
    options = ann / ".config" / "jarvis-ear" / "config.toml"
    options.parent.mkdir(parents=True)
    options.write_text("mine")
    (ann / ".local" / "share" / "jarvis-ear").mkdir(parents=True)
    assert main("uninstall", "--user") == 0
    said = capsys.readouterr().out
    assert f"kept: {options.parent}, {ann}/.local/state/jarvis-ear, the password (--purge)" in said
    assert options.read_text() == "mine"
    assert main("uninstall", "--user", "--purge") == 0
    assert not options.parent.exists()


def test_what_a_user_cannot_mean_is_refused_in_one_line(ann, monkeypatch, capsys):
    assert main("install", "--user", "--destdir", "/x") == 64
    assert "--user and --destdir exclude each other" in capsys.readouterr().err
    with monkeypatch.context() as patched:
        patched.setenv("HOME", "/my home")
        assert main("install", "--user", "--dry-run") == 71
        assert "expected a home without spaces" in capsys.readouterr().err
    unit = command.PACKAGE.unit("jarvis-ear")
    unit.parent.mkdir(parents=True)
    unit.touch()
    assert main("install", "--user", "--dry-run") == 71
    assert f"a system service already ({unit})" in capsys.readouterr().err
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert main("install", "--user") == 77
    assert "not for root: without sudo" in capsys.readouterr().err


def test_uninstalling_from_a_folder_keeps_the_options_unless_they_are_purged(tmp_path, capsys):
    uninstall = ("uninstall", "--destdir", str(tmp_path))
    assert main(*uninstall, "--purge") == 0
    assert capsys.readouterr().out == "nothing to do: nothing of it is installed\n"
    options = tmp_path / "etc" / "jarvis-ear" / "config.toml"
    options.parent.mkdir(parents=True)
    options.write_text("mine")
    (tmp_path / "opt" / "jarvis-ear").mkdir(parents=True)
    assert main(*uninstall) == 0
    assert options.read_text() == "mine"
    assert not (tmp_path / "opt" / "jarvis-ear").exists()
    assert "kept: /etc/jarvis-ear" in capsys.readouterr().out
    assert main(*uninstall, "--purge") == 0
    assert not options.exists()


THERE = "the backend at {} (backend.url)"
REFERENCE = "https://x:1 (backend.url); the reference backend is at http://localhost:4000"


@pytest.mark.parametrize(
    ("options", "with_backend", "words"),
    [
        ("", False, THERE.format("http://localhost:4000")),
        ("", True, THERE.format("http://localhost:4000")),
        ('url = "http://127.0.0.1:4000"', True, THERE.format("http://127.0.0.1:4000")),
        ('url = "https://x:1"', False, THERE.format("https://x:1")),
        ('url = "https://x:1"', True, REFERENCE),
        ("url = 1", False, "Its options have a mistake:  jarvis-ear check --config"),
    ],
)
def test_an_installation_names_the_backend_that_it_talks_to(options, with_backend, words, tmp_path):
    layout = Layout(root=tmp_path)
    layout.at(layout.config).parent.mkdir(parents=True)
    layout.at(layout.config).write_text(f"[backend]\n{options}\n")
    said = command._next_steps(layout, has_password=True, with_backend=with_backend)
    assert any(words in line for line in said.splitlines())


@pytest.mark.parametrize(("report", "status"), [(None, 2), ({"hearing": False, "turns": []}, 1)])
def test_status_has_an_exit_status(report, status, monkeypatch, capsys):
    report = report and {
        "heard_s_ago": None,
        "state": "deaf",
        "deaf_s_today": 1.0,
        "stuck": [],
        **report,
    }
    unit = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running"}
    monkeypatch.setattr(command, "_find", lambda _layout: Findings(unit, {}, report))
    assert main("status") == status
    assert "to do" in capsys.readouterr().out
