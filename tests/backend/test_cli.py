"""The verbs of ``jarvis-backend``, and what they warn about."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import jarvis_backend
from jarvis_backend import __main__ as server
from jarvis_backend import cli
from jarvis_backend.config import BackendConfig, warnings


def test_a_bad_option_is_one_line_and_78(capsys):
    assert cli.main(["--port", "x"]) == 78
    assert re.fullmatch("jarvis-backend: command line: --port: .*\n", capsys.readouterr().err)


@pytest.mark.parametrize("argv", [["--port", "7"], ["run", "--port", "7"]])
def test_without_a_verb_it_serves(argv):
    assert cli.main(argv, run=lambda config: config.port) == 7
    assert cli.main([], run=lambda config: config.port // 1000) == 4


def test_run_is_that_of_the_server(monkeypatch):
    monkeypatch.setattr(server, "run", lambda config: config.port)
    assert cli.main(["run", "--port", "17"]) == 17


@pytest.mark.parametrize("argv", [[], ["run"], ["check"], ["config"]])
@pytest.mark.parametrize("missing", ["jwt", "fastapi"])
def test_without_its_extra_it_says_what_to_install(argv, missing):
    absent = f"import sys; sys.modules[{missing!r}] = None; import jarvis_backend.cli as cli; "
    needs = missing == "jwt" or argv in ([], ["run"])  # the options need jwt, a server the others
    done = subprocess.run(
        [sys.executable, "-c", f"{absent} cli.program()", *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    if not needs:
        assert done.returncode == 0
        return
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr == (
        "jarvis-backend: the packages of the backend are not installed "
        f"(there is no {missing}): pip install 'jarvis-ear[backend]'\n"
    )


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["chek"], '"chek": expected one of run, check, .*; did you mean check?'),
        (["version", "x"], "version takes no options"),
        (["completion", "tcsh"], "argument bash|zsh|fish: invalid choice"),
    ],
)
def test_misuse(argv, complaint, capsys):
    assert cli.main(argv) == 64
    said = capsys.readouterr().err
    assert re.match(f"jarvis-backend: {complaint.replace('|', '.')}", said)
    assert said.count("\n") == 1


def test_the_configuration_is_checked(capsys, monkeypatch):
    assert cli.main(["check"]) == 0
    assert capsys.readouterr().out == "the configuration is fine\n"
    assert cli.main(["check", "--host", "::", "--insecure-password"]) == 0
    reachable, password, fine = capsys.readouterr().out.splitlines()
    assert reachable == "warning: listening on ::: other machines can reach this backend"
    assert password.startswith("warning: --insecure-password: ")
    assert fine == "the configuration is valid, with 2 warnings"
    monkeypatch.setenv("JARVIS_BACKEND_STATE_DIR", "/nonexistent")
    assert cli.main(["check", "--stt.engine", "faster-whisper", "--tts.engine", "piper"]) == 0
    whisper, voice, _fine = capsys.readouterr().out.splitlines()
    assert whisper.endswith(" tiny.en is not here: jarvis-backend models fetch tiny.en")
    assert voice.endswith(" joe is not here: jarvis-backend models fetch joe")
    monkeypatch.setenv("JARVIS_BACKEND_WORKERS", "2")
    assert cli.main(["check"]) == 78
    assert capsys.readouterr().out == ""


def test_the_configuration_in_force_is_printed_without_secrets(capsys, monkeypatch):
    monkeypatch.setenv("JARVIS_PASSWORD", "hunter2")
    assert cli.main(["config", "--stt.engine", "none", "--allow-hosts", "a,b"]) == 0
    text = capsys.readouterr().out
    assert re.search(r'^engine = "none" +# command line: --stt.engine$', text, re.MULTILINE)
    assert re.search(
        r"^# password is not shown +# environment: JARVIS_PASSWORD$", text, re.MULTILINE
    )
    assert 'allow_hosts = ["a", "b"]' in text
    assert "hunter2" not in text
    assert tomllib.loads(text)["port"] == 4000
    assert cli.main(["config", "--reference"]) == 0
    assert capsys.readouterr().out.startswith("# Options of the backend")


def test_a_verb_without_the_server_does_not_load_it():
    code = "import sys; from jarvis_backend import cli; cli.main(sys.argv[1:]); print(*sys.modules)"
    {**os.environ, "PYTHONPATH": str(Path(jarvis_backend.__file__).parents[1])}
    for verb, heavy in (("version", "pydantic"), ("config", "fastapi")):
        words = [sys.executable, "-c", code, verb]
        loaded = subprocess.check_output(
            words,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(jarvis_backend.__file__).parents[1])},
        ).split()
        assert "jarvis_backend.cli" in loaded
        assert heavy not in loaded


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ({"host": "127.0.0.1"}, 0),
        ({"host": "::1"}, 0),
        ({"host": "localhost"}, 0),
        ({"host": "0.0.0.0", "insecure_password": True}, 2),  # noqa: S104 - configured, never bound here
        ({"host": "192.168.1.2"}, 1),
        ({"host": "0.0.0.0", "password": "geheim"}, 1),  # noqa: S104 - configured, never bound here
    ],
)
def test_a_reachable_backend_is_warned_about(options, number):
    told = list(warnings(BackendConfig(**options)))
    assert len(told) == number
    assert ("insecure" in " ".join(told)) is (number == 2)
