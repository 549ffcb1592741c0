"""The command line as a person meets it."""

import io
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

import pytest

from jarvis_ear import cli, paths
from jarvis_ear.cli import VERBS
from jarvis_ear.control.server import ControlServer
from jarvis_ear.errors import ConfigError, ConnectFailed, InputError
from jarvis_ear.options import render
from jarvis_ear.schema import SCHEMA, Loaded

HEAVY = {"numpy", "onnxruntime", "sounddevice", "socketio", "aiohttp", "requests", "soxr"}
KNOWN, OF_SERVICE = ", ".join(VERBS), "install, uninstall, password, status"
NONE = "there is no such option"


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("JARVIS_") or name in {"BACKEND_URL", "AGENT_ID"}:
            monkeypatch.delenv(name)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


def never(_loaded: Loaded) -> int:
    raise AssertionError("nobody asked for this")


def main(*argv: str, run=never) -> int:
    return cli.main(argv, run=run)


def test_run_gets_the_options(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["jarvis-ear", "run", "--fast"])  # that of the process
    assert cli.main(run=lambda loaded: 2 + loaded.config.microphone.fast) == 3
    monkeypatch.setattr("jarvis_ear.__main__.run", lambda loaded: int(loaded.config.console.port))
    assert cli.main(["run", "--port", "17"]) == 17


@pytest.mark.parametrize("argv", [["run", "--help"], ["run", "-h"], ["help", "run"]])
def test_help_for_run_begins_with_what_people_need(argv, capsys):
    assert main(*argv) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: jarvis-ear run")
    assert text.index("--device") < text.index("--config")
    assert "--hearing.endpointing.hangover-ms" not in text
    assert len(text.splitlines()) < 55


def test_config_prints_what_is_in_force(capsys, monkeypatch):
    monkeypatch.setenv("JARVIS_PASSWORD", "hunter2")
    assert main("config", "--backend-url", "http://a:1") == 0
    text = capsys.readouterr().out
    assert 'url = "http://a:1"' in text
    assert "# command line: --backend-url" in text
    assert "# environment: JARVIS_PASSWORD" in text
    assert "hunter2" not in text


def test_verbs_print_the_reference_the_devices_or_the_usage(capsys, monkeypatch):
    assert main("config", "--reference") == 0
    assert capsys.readouterr().out == render.reference(SCHEMA)
    monkeypatch.setattr("jarvis_ear.devices.selection.describe", lambda _library: "a microphone\n")
    assert main("devices") == 0
    assert capsys.readouterr().out == "a microphone\n"
    assert main() == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: jarvis-ear VERB")


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        ("rn", f'"rn": expected one of {KNOWN}; did you mean run?'),
        ("'listen\n'", f'"listen\\n": expected one of {KNOWN}'),
        ("--fast", f"missing command; choose from {KNOWN} (see jarvis-ear --help)"),
        ("devices --fast", "devices takes no options"),
        ("version x", "version takes no options"),
        ("statsu --help", f'"statsu": expected one of {KNOWN}; did you mean status?'),
        ("help statsu", f'"statsu": expected one of {KNOWN}; did you mean status?'),
        ("service", f"missing command; choose from {OF_SERVICE} (see"),
        ("service instal", f'"instal": expected one of {OF_SERVICE}; did you mean install?'),
        ("service install --dryrun", f"service install: --dryrun: {NONE}; did you mean --dry-run?"),
        ("status --jsno", f"status: --jsno: {NONE}; did you mean --json?"),
        ("status x", 'status: "x": expected one of --json'),
        ("status --json=1", "argument --json: ignored explicit argument '1' (see jarvis-ear"),
    ],
)
def test_misuse_is_one_line(argv, complaint, capsys):
    assert main(*shlex.split(argv)) == 64
    said = capsys.readouterr().err
    assert said.startswith(f"jarvis-ear: {complaint}")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status", "printed"),
    [
        (ConfigError("what happened"), 78, r"jarvis-ear: what happened\n"),
        (InputError("what happened"), 66, r"jarvis-ear: what happened\n"),
        (ConnectFailed("what happened"), 69, r"jarvis-ear: what happened\n"),
        (AssertionError("a bug"), 70, r"(?s)Traceback.*a bug.*"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_of_the_program_has_its_words_and_its_status(error, status, printed, capsys):
    def run(_loaded: Loaded) -> int:
        raise error

    assert main("run", run=run) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(printed, err)


def jarvis_ear(*argv: str, program: str = "-mjarvis_ear", **environ: str):
    """Run a process of its own, as a person starts it."""
    return subprocess.run(
        [sys.executable, program, *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def scratch(tmp_path):
    """Do what ``__main__`` does, without loading models and sound libraries."""
    program = tmp_path / "main.py"
    program.write_text(
        "import sys\n"
        "from jarvis_ear import cli\n"
        "sys.exit(cli.main(run=lambda loaded: print(loaded) or 0))\n"
    )
    return str(program)


def test_the_whole_program_names_a_misspelt_option():
    result = jarvis_ear("run", "--treshold", "0.4")
    mistake = f"command line: --treshold: {NONE}; did you mean --threshold?"
    assert (result.returncode, result.stdout) == (78, "")
    assert result.stderr == f"jarvis-ear: {mistake}\n"


def test_the_mistakes_of_all_sources_are_shown_line_by_line_and_no_secret_is(scratch, tmp_path):
    path, password = tmp_path / "c.toml", tmp_path / "password"
    path.write_text("[hearing.wake]\nthreshold = 5\npatiense = 2\n[backend]\nurl = 'local:4000'\n")
    password.write_text("hunter2")
    password.chmod(0o644)
    result = jarvis_ear(
        *("run", "--password", "hunter2", "--config", str(path)),
        program=scratch,
        JARVIS_EAR_LOG__LEVEL="loud",
        JARVIS_EAR_BACKEND__PASSWORD_FILE=str(password),
    )
    assert (result.returncode, result.stdout) == (78, "")
    assert "hunter2" not in result.stderr
    expected = [
        "command line: --password: a secret is never an argument",
        'environment: JARVIS_EAR_LOG__LEVEL: given "loud", expected one of debug, info, warning',
        f"environment: backend.password_file: {password} is refused: others may read it",
        f"{path}: hearing.wake.threshold: given 5, expected a number from 0 to 0.99",
        f"{path}: hearing.wake.patiense: there is no such option; did you mean hearing.wake.",
        f'{path}: backend.url: given "local:4000", expected http:// or https://',
    ]
    for line, mistake in zip(result.stderr.splitlines(), expected, strict=True):
        assert line.startswith(f"jarvis-ear: {mistake}")


def test_arguments_that_are_no_text(scratch):
    result = subprocess.run(
        [sys.executable.encode(), scratch.encode(), b"run", b"--\xff", b"\xfe\n"],
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert result.returncode == 78
    assert result.stderr.startswith(b"jarvis-ear: command line: ")
    assert b"Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_reader_that_goes_away_early(scratch):
    process = subprocess.Popen(
        [sys.executable, scratch, "config", "--reference"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (141, b"")


@pytest.mark.parametrize(("words", "status"), [("version", 0), ("status --zzz", 64)])
def test_without_output_streams_a_verb_has_its_exit_status(words, status):
    command = f"exec {sys.executable} -m jarvis_ear {words} >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], check=False, timeout=30).returncode == status


LIGHT = [
    *("version", "-V", "--version", "--help", "status --help", "status", "status --json"),
    *(
        "mute",
        "unmute",
        "toggle",
        "stop",
        "listen",
        "volume 40",
        "metrics",
        "say hi",
        "statsu",
        "status --jsno",
    ),
]

MODULES = """
import atexit, os, sys
os._exit = lambda status: sys.exit(status)
atexit.register(lambda: sys.stderr.write("\\nMODULES " + " ".join(sys.modules)))
sys.argv = ["jarvis-ear", *sys.argv[1:]]
from jarvis_ear.cli import program
program()
"""


def modules_of(*argv: str, **environ: str) -> set[str]:
    """Return the modules that the console script has imported at its end."""
    result = jarvis_ear("-c", MODULES, *argv, program="-I", **environ)
    assert "MODULES " in result.stderr, result.stderr
    return set(result.stderr.partition("MODULES ")[2].split())


@pytest.mark.parametrize("argv", LIGHT)
def test_a_light_verb_imports_nothing_heavy(argv, ear, tmp_path):
    ear["status"] = REPORT
    loaded = modules_of(*argv.split(), RUNTIME_DIRECTORY=str(tmp_path))
    ours = {name for name in loaded if name.startswith("jarvis_ear.")}
    assert "jarvis_ear.cli" in ours
    assert {name.partition(".")[0] for name in loaded} & (HEAVY | {"asyncio", "pydantic"}) == set()
    assert {name for name in ours if re.match(r"jarvis_ear\.(config|schema|log)", name)} == set()


def test_a_verb_without_an_ear_imports_nothing_heavy(tmp_path):
    loaded = {
        name.partition(".")[0] for name in modules_of("mute", RUNTIME_DIRECTORY=str(tmp_path))
    }
    assert loaded & (HEAVY | {"asyncio", "pydantic"}) == set()
    loaded = {name.partition(".")[0] for name in modules_of("config")}
    assert "pydantic_settings" in loaded or "pydantic" in loaded
    assert loaded & HEAVY == set()


PREPARED = """
import os, sys
from jarvis_ear import cli
assert cli._composition_root()
import jarvis_ear.link.socketio
import aiohttp.connector
never_used = aiohttp.connector._SSL_CONTEXT_VERIFIED
print(never_used.cert_store_stats()["x509"], os.environ.get("SSL_CERT_FILE"))
unneeded = ("redis.", "websocket.", "charset_n")
print(sorted(name for name in sys.modules if name.startswith(unneeded)))
assert "socketio" in sys.modules
del os.environ["SSL_CERT_FILE"]
cli.forbid_unneeded()
print(os.environ.get("SSL_CERT_FILE"))
"""


def test_the_ear_imports_no_servers_and_no_certificates():
    environ = {**os.environ, "SSL_CERT_FILE": "ours.pem"}
    command = [sys.executable, "-c", PREPARED]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "0 ours.pem\n['charset_normalizer']\nNone\n"
    assert done.stderr == ""


OFFERED = {
    "un": "unmute",
    "st": "status stop",
    "status --": "--json --help",
    "service ''": "install uninstall password status --help",
    "service install --d": "--dry-run --destdir",
    "run --log-format ''": "auto text json",
    "run --fast --thr": "--threshold",
    "run --threshold ''": "",
    "completion z": "zsh",
    "run --input pyproject.t": "pyproject.toml",
}


@pytest.mark.parametrize("words", OFFERED)
def test_bash_offers_what_fits(words, capsys):
    assert main("completion", "bash") == 0
    code = (
        "compopt() { :; }\n"  # it works while a person types only
        f"{capsys.readouterr().out}\n"
        f"COMP_WORDS=(jarvis-ear {words}) COMP_CWORD={len(shlex.split(words))}\n"
        '_jarvis_ear; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    root = Path(__file__).parents[1]
    done = subprocess.run(
        ["bash", "--norc"], input=code, text=True, capture_output=True, check=False, cwd=root
    )
    assert (set(done.stdout.split()), done.stderr) == (set(OFFERED[words].split()), "")


def test_only_the_verbs_read_the_environment():
    sources = (Path(cli.__file__).parent / "options").glob("*.py")
    assert [path.name for path in sources if "os.environ" in path.read_text()] == ["verbs.py"]


@pytest.fixture
def ear(tmp_path, monkeypatch):
    """A running ear, as far as the command line can tell; its answers are the test's."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    monkeypatch.setattr(paths, "SERVICE", tmp_path / "none")
    answers = {}

    def answer(word):
        return answers.get(word) or answers.get(word.partition(" ")[0], {"stored": True})

    with ControlServer(tmp_path, answer):
        yield answers


REPORT = {"state": "idle", "hearing": True, "heard_s_ago": 0.1, "deaf_s_today": 0.0}
REPORT |= {"muted_by": [], "stuck": [], "turns": []}


@pytest.mark.parametrize(("hearing", "status"), [(True, 0), (False, 1)])
def test_status_says_whether_it_hears(ear, capsys, hearing, status):
    ear["status"] = {**REPORT, "hearing": hearing}
    assert main("status") == status
    assert capsys.readouterr().out.split()[1] == ("hearing:" if hearing else "deaf:")
    assert main("status", "--json") == status
    assert json.loads(capsys.readouterr().out) == ear["status"]


def test_the_metrics_are_printed_as_the_ear_tells_them(ear, capsys):
    ear["metrics"] = {"metrics": "# TYPE jarvis_ear_alive gauge\njarvis_ear_alive 1.0\n"}
    assert main("metrics") == 0
    assert capsys.readouterr().out == ear["metrics"]["metrics"]
    ear["metrics"] = {"error": "expected one of status, mute"}
    assert main("metrics") == 76
    assert "is it another version?" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["mute", "unmute", "toggle"])
def test_a_mute_is_confirmed(ear, capsys, word):
    ear[word] = {"muted_by": ["owner"], "stored": True}
    assert main(word) == 0
    assert capsys.readouterr().out == "muted by the owner\n"
    ear[word] = {"muted_by": [], "stored": False}
    assert main(word) == 0
    said = capsys.readouterr()
    assert said.out == "not muted\n"
    assert "a restart will reset this" in said.err


@pytest.mark.parametrize("words", [["30m"], ["until", "07:30"], ["7:30"]])
def test_a_timed_mute_is_confirmed_with_its_end(ear, capsys, words):
    request = "mute 1800" if words == ["30m"] else "mute"
    ear[request] = {"muted_by": ["owner"], "muted_until": "07:30", "stored": True}
    assert main("mute", *words) == 0
    assert capsys.readouterr().out == "muted by the owner until 07:30\n"


@pytest.mark.parametrize("words", [["soon"], ["until"], ["30m", "2h"], ["until", "30m"], ["--for"]])
def test_a_length_of_a_mute_that_is_none_is_one_line(ear, capsys, words):
    assert main("mute", *words) == 64
    err = capsys.readouterr().err
    assert err.startswith("jarvis-ear: mute: ")
    assert "expected" in err
    assert err.count("\n") == 1


def test_a_muted_ear_does_not_listen(ear, capsys):
    ear["listen"] = {"error": "the microphone is muted: jarvis-ear unmute", "status": 1}
    assert main("listen") == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", "jarvis-ear: the microphone is muted: jarvis-ear unmute\n")
    ear["listen"] = {"muted_by": [], "stored": True}
    assert main("listen") == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("word", ["status", "mute", "unmute", "toggle"])
def test_without_an_ear_there_is_one_line(tmp_path, monkeypatch, capsys, word):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(paths, "SERVICE", tmp_path)
    assert main(word) == 2
    assert capsys.readouterr().err == "jarvis-ear: no ear is running (for this user)\n"


@pytest.fixture
def taken(ear, tmp_path, monkeypatch):
    """What the running ear was told to say, and its answer."""
    told, answer = [], {"said": True}

    def take(name, body):
        told.append((name, body))
        return answer

    runtime = tmp_path / "taking"
    runtime.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(runtime))
    with ControlServer(runtime, lambda _word: {}, take=take):
        yield told, answer


def test_a_text_or_a_sound_file_is_said(taken, tmp_path, monkeypatch, capsys):
    file = tmp_path / "gong"
    file.write_bytes(b"RIFF....")
    assert main("say", "Dinner is ready") == 0
    assert main("say", str(file)) == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO("from a pipe"))
    assert main("say") == 0
    assert taken[0] == [
        ("say-text", b"Dinner is ready"),
        ("say-sound", b"RIFF...."),
        ("say-text", b"from a pipe"),
    ]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("status", [66, 69, 75, 76, 77])
def test_an_ear_that_cannot_say_it_tells_why(taken, capsys, status):
    taken[1].clear()
    taken[1].update({"error": "the backend has no speech for texts", "status": status})
    assert main("say", "Dinner is ready") == status
    assert capsys.readouterr().err == "jarvis-ear: the backend has no speech for texts\n"


@pytest.mark.parametrize("answer", [{"error": "what?"}, {"error": "x", "status": 0}, {"sad": True}])
def test_an_ear_of_another_version_says_nothing(taken, capsys, answer):
    taken[1].clear()
    taken[1].update(answer)
    assert main("say", "Dinner is ready") == 76
    assert capsys.readouterr().err.count("\n") == 1


@pytest.fixture
def odd_files(tmp_path, monkeypatch):
    """An empty file and one that is too long, in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("empty.WAV").touch()
    with Path("long.mp3").open("wb") as file:
        file.truncate(8 * 1024 * 1024 + 1)


@pytest.mark.parametrize(
    ("what", "status", "why"),
    [
        ("", 64, "say: 0 letters: expected a text of 1 to 2000"),
        ("x" * 2001, 64, "say: 2001 letters: expected a text of 1 to 2000"),
        ("none.wav", 66, "none.wav cannot be read: No such file or directory"),
        ("empty.WAV", 66, "empty.WAV is empty or too long, expected 1 to 8388608 bytes"),
        ("long.mp3", 66, "long.mp3 is empty or too long, expected 1 to 8388608 bytes"),
    ],
)
@pytest.mark.usefixtures("odd_files")
def test_what_cannot_be_said_is_one_line(taken, capsys, what, status, why):
    assert main("say", what) == status
    assert capsys.readouterr().err == f"jarvis-ear: {why}\n"
    assert taken[0] == []


def test_on_a_terminal_there_must_be_something_to_say(taken, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", Mock(isatty=lambda: True))
    assert main("say") == 64
    assert "expected a text or a sound file" in capsys.readouterr().err


def test_the_volume_is_shown_and_set(ear, capsys):
    ear["volume"] = {"volume": 100, "stored": True}
    ear["volume 40"] = {"volume": 40, "stored": False}
    assert main("volume") == 0
    assert main("volume", "040") == 0
    told, complained = capsys.readouterr()
    assert told == "volume: 100 %\nvolume: 40 %\n"
    assert complained.startswith("jarvis-ear: a restart will reset this, because it cannot be")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("101",), '"101": expected a whole number from 0 to 100'),
        (("loud",), '"loud": expected a whole number from 0 to 100'),
        (("-5",), '"-5": expected a whole number from 0 to 100'),
        (("40", "50"), '"50": expected at most one N'),
    ],
)
def test_a_volume_that_is_none_is_one_line(ear, capsys, words, reason):
    assert main("volume", *words) == 64
    assert capsys.readouterr().err == f"jarvis-ear: volume: {reason}\n"


@pytest.mark.parametrize(
    "word", ["status", "mute", "unmute", "toggle", "stop", "listen", "hush", "volume"]
)
@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"error": "expected one of status, mute"},
        {"muted_by": "owner", "stored": True},
        {"muted_by": [7], "stored": True},
        {**REPORT, "turns": [{"story": 3}], "stored": "yes"},
        {**REPORT, "hearing": "yes", "stored": 1},
        {**REPORT, "stuck": None, "stored": None},
        {**REPORT, "muted_by": {}},
    ],
)
def test_an_answer_that_is_none_is_one_line(ear, capsys, word, answer):
    ear[word] = answer
    assert main(word) == 76
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("jarvis-ear: the running ear does not ")
    assert err.count("\n") == 1


NONSENSE = (b"nonsense\n", b"[1]\n", b"\xff\n", b"[" * 60_000 + b"\n", b"7" * 100_000, b"{}")


@pytest.mark.parametrize("said", NONSENSE)
def test_an_answer_of_another_program_is_one_line(tmp_path, monkeypatch, capsys, said):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / paths.SOCKET))
        listener.listen()

        def serve():
            client = listener.accept()[0]
            with client, suppress(OSError):  # it need not read all of it
                client.recv(100)
                client.sendall(said)

        server = threading.Thread(target=serve)
        server.start()
        assert main("mute") == 76
        server.join(10)
    assert capsys.readouterr().err.count("\n") == 1


def test_an_ear_that_may_not_be_asked(ear, monkeypatch, capsys):
    monkeypatch.setattr(cli, "ask", Mock(side_effect=PermissionError("not you")))
    assert main("status") == 1
    assert capsys.readouterr().err == "jarvis-ear: the running ear cannot be asked: not you\n"
