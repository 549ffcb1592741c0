"""What README and docs tell people to type does what they say."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

DRY_RUN = "make -n: it would set up, run the tests inside themselves, or listen until Ctrl-C"
NEEDS_ROOT = "changes the system"
NEEDS_EAR = "tests/platform/test_verbs.py asks a running ear"
BY_HAND = {
    "make": DRY_RUN,
    "apt": NEEDS_ROOT,
    "apt-get": NEEDS_ROOT,
    "pip": "what it installs is checked with the lock files",
    "sudo": NEEDS_ROOT,
    "systemctl": NEEDS_ROOT,
    "journalctl": "tests/platform/test_journal.py asks a real journal",
    "usermod": NEEDS_ROOT,
    "service": "test_systemd_operations.py and test_systemd_user.py run it in a box with systemd",
    **dict.fromkeys(("mute", "unmute", "stop", "listen", "say", "volume", "metrics"), NEEDS_EAR),
}


def shown_commands() -> list[str]:
    """Every command of the fenced `sh` and `console` blocks, without prompt and comment."""
    commands: dict[str, None] = {}
    for page in PAGES:
        for kind, block in re.findall(r"```(sh|console)\n(.*?)```", page.read_text(), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if kind == "console" and not line.startswith("$ "):
                    continue  # what the command printed
                command = shlex.join(shlex.split(line.removeprefix("$ "), comments=True))
                if command:
                    commands[command] = None
    return list(commands)


def runnable(command: str) -> list[str] | None:
    """How a test runs it, or None if it is not for tests (``BY_HAND`` says why)."""
    program, *arguments = shlex.split(command)
    name = Path(program).name
    if name == "make":
        return ["make", "-n", "-C", str(ROOT), *arguments]
    if arguments[:1] and arguments[0] in BY_HAND:
        return None
    if name in {"jarvis-ear", "jarvis-backend"}:
        module = name.replace("-", "_")
        return [sys.executable, "-m", module, *arguments]
    assert name in BY_HAND, f"{command!r}: say here how to test it, or why not"
    return None


def test_the_two_commands_are_shown():
    assert {"make run", "make test"} <= set(shown_commands())


@pytest.mark.parametrize("command", shown_commands())
def test_a_shown_command_works(command):
    line = runnable(command)
    if line is None:
        words = [Path(word).name for word in shlex.split(command)]
        pytest.skip(f"not run here: {next(BY_HAND[word] for word in words if word in BY_HAND)}")
    if line[0] != "make" and line[3:4] in (["run"], ["wyoming"]):
        pytest.skip("listens until Ctrl-C; the tests of the whole program run it")
    result = subprocess.run(
        line,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "MAKEFLAGS": ""},
    )
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
