"""Every command that docs/operations.md and docs/journal.md show works on an installed ear."""

import re
import shlex
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

DOCS = Path(__file__).parents[2] / "docs"

LASTS = {
    "journalctl -u jarvis-ear -f": "it goes on until Ctrl-C",
    "jarvis-ear run --log-format json": "it goes on until Ctrl-C",
}


def shown(page: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and line not in LASTS]


def test_every_shown_command_works(prepared):
    """In the order of the pages, in one test, because the last one removes everything."""
    prepared.box.run("useradd", "alice")
    commands = [*shown("operations.md")[:3], *shown("journal.md"), *shown("operations.md")[2:]]
    assert len(commands) > 20
    for line in commands:
        words = shlex.split(line.removeprefix("sudo "))
        if words[:2] == ["jarvis-ear", "service"]:
            if words[2] == "install":
                prepared.build(*words[3:], unless_there=True)
            said = prepared.service(*words[2:])
            assert "Traceback" not in said
            continue
        done = prepared.box.run("bash", "-c", line.removeprefix("sudo "), check=False)
        assert done.returncode == 0, f"{line}: {done.stderr}{done.stdout}"
