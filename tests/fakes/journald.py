"""A real journal of our own: systemd-journald in a mount namespace, with our records only."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, Self

DAEMON: Final = Path("/usr/lib/systemd/systemd-journald")

UNIT: Final = "jarvis-ear.service"
"""`journalctl -u` finds what root says about this unit."""

_SCRIPT: Final = """
set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
mount -t tmpfs tmpfs /var/lib/systemd
mount -t tmpfs tmpfs /usr/lib/systemd/catalog
mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal
mkdir -p /var/lib/systemd/catalog
printf '[Journal]\\nStorage=volatile\\nReadKMsg=no\\nAudit=no\\nRateLimitIntervalSec=0\\n' \
    > /run/systemd/journald.conf.d/test.conf
cp "$1" /usr/lib/systemd/catalog/
journalctl --update-catalog
"$2" 2>/dev/null & daemon=$!
trap 'kill $daemon; wait $daemon || true' EXIT
for _ in $(seq 200); do [ ! -S /run/systemd/journal/socket ] || break; sleep 0.02; done
[ -S /run/systemd/journal/socket ]
echo ready
cat > /dev/null
"""


def why_not() -> str:
    """Say what is missing for a journal of our own, or nothing."""
    if not DAEMON.exists() or shutil.which("journalctl") is None:
        return "systemd-journald is not installed: this machine has no systemd"
    if not Path("/etc/machine-id").exists() or not Path("/var/lib/systemd").exists():
        return "this machine was never set up by systemd: no /etc/machine-id, or /var/lib/systemd"
    tried = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "t", "/run"],
        check=False,
        capture_output=True,
    )
    return "" if tried.returncode == 0 else "no mount namespace: that takes root"


class Journald:
    """Runs from ``with`` to its end; programs run inside see it as the journal of the machine."""

    def __init__(self, catalog: Path) -> None:
        self._catalog = catalog

    def __enter__(self) -> Self:
        inside = ["bash", "-c", _SCRIPT, "journald", str(self._catalog), str(DAEMON)]
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", *inside],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", "the journal did not start"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()

    def popen(self, command: list[str]) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["nsenter", f"--target={self._process.pid}", "--mount", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "SYSTEMD_COLORS": "0"},
        )

    def run(self, command: list[str]) -> str:
        """Run a program inside, which has to end well, and return what it said."""
        with self.popen(command) as process:
            said, _ = process.communicate(timeout=30)
        assert process.returncode == 0, said
        return said
