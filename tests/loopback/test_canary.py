"""No secret, no word and no sound of a turn is found where it does not belong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.voice_server import Switches, VoiceServer, wait_until

RECORDING = Path(__file__).parents[1] / "data" / "hey-jarvis-what-time-is-it.wav"
PASSWORD = "squawk-2718281828"

CANARIES = {
    "password": PASSWORD,
    "token": "canary-first-",
    "transcript": "what time is it",
    "sound in base64": "UklGR",
}


def start(home: Path, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "jarvis_ear", "run", "--input", str(RECORDING), "--fast"),
            *("--speaker.device", "none", "--log.level", "debug", *arguments),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={
            "HOME": str(home),
            "TMPDIR": str(home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            **variables,
        },
    )


def shown(session: int, *, but: int = 0) -> dict[str, str]:
    """What everybody may see of the processes of a session."""
    seen = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(process.name)) != session or int(process.name) == but:
                continue
            for name in ("cmdline", "environ"):
                seen[f"{process.name} {name}"] = (process / name).read_bytes().decode()
        except (ProcessLookupError, FileNotFoundError):
            continue  # it has ended
    return seen


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Everything that a whole turn leaves anywhere, at the most talkative level."""
    home = tmp_path_factory.mktemp("home")
    secret = home / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    switches = Switches(password=PASSWORD)
    with VoiceServer(tmp_path_factory.mktemp("server"), switches) as server:
        backend = ("--backend-url", server.url, "--backend.password-file", str(secret))
        ear = start(home, *backend)
        try:
            wait_until(lambda: server.received("connect"), 30)
            seen = shown(ear.pid)
            said, _ = ear.communicate(timeout=90)
        finally:
            ear.kill()
        assert ear.returncode == 0, said
        assert server.received("end"), said
    secret.unlink()
    files = [path for path in home.rglob("*") if path.is_file()]
    left = {str(path): path.read_bytes().decode("latin-1") for path in files}
    assert seen
    assert any("ledger" in name for name in left)
    assert "understood 15 characters" in said
    return {"log": said, **seen, **left}


@pytest.mark.parametrize("what", CANARIES)
def test_it_is_nowhere(traces: dict[str, str], what: str) -> None:
    assert [place for place, text in traces.items() if CANARIES[what] in text] == []


def test_the_reference_backend_is_not_told_the_owners_password(tmp_path: Path) -> None:
    variables = {"JARVIS_EAR_BACKEND__PASSWORD": PASSWORD}
    ear = start(tmp_path, "--with-backend", **variables)
    assert ear.stdout is not None
    try:
        for line in ear.stdout:
            if "backend: listening" in line:
                break
        seen = shown(ear.pid, but=ear.pid)
    finally:
        ear.kill()
        ear.communicate(timeout=20)
    assert any("jarvis_backend" in text for text in seen.values())
    assert [place for place, text in seen.items() if PASSWORD in text] == []
