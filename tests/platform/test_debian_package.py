"""The Debian package is built, installed, used and purged. Takes minutes and a package index."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.installed_ear import wait_for

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TOOLS = ("dpkg-buildpackage", "dh", "lintian")
FIND = "find /etc /lib /opt /run /usr /var -xdev -name '*jarvis*'"
NOT_OURS = ("/opt/jarvis-test", "/etc/systemd/system/jarvis-", "/var/lib/dpkg/info/jarvis-test")


@pytest.fixture(scope="module")
def package() -> Path:
    """What `make deb` makes; it fails if lintian finds anything."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: apt install dpkg-dev debhelper lintian")
    subprocess.run([sys.executable, ROOT / "tools" / "make_deb.py"], check=True)
    [made] = (ROOT / "build").glob("jarvis-ear_*.deb")
    return made


def traces(ear) -> list[str]:
    found = ear.box.run("bash", "-c", f"{FIND}; getent passwd jarvis-ear || true").stdout
    return [line for line in found.splitlines() if not line.startswith(NOT_OURS)]


def test_it_is_installed_runs_and_is_purged(package, prepared):
    before = traces(prepared)
    prepared.box.at("/usr/sbin/policy-rc.d").unlink(missing_ok=True)  # containers forbid to start
    shutil.copy(package, prepared.box.at("/run/ear.deb"))
    prepared.box.run("dpkg", "--install", "/run/ear.deb")
    prepared.wait_until_it_hears()
    program = f"/proc/{prepared.show('MainPID')['MainPID']}/cmdline"
    assert "/usr/lib/jarvis-ear/" in prepared.box.at(program).read_text()
    assert prepared.box.at("/usr/share/doc/jarvis-ear/journal.md").is_file()
    assert prepared.box.at("/usr/share/man/man1/jarvis-backend.1.gz").is_file()
    assert prepared.box.run("jarvis-backend", "version").stdout.startswith("jarvis-backend ")
    refused = prepared.service("install", check=False)
    assert "the Debian package jarvis-ear is installed" in refused
    prepared.box.run("bash", "-c", "umask 077; echo jarvis > /run/password")
    prepared.box.run("jarvis-ear", "service", "password", "--password-file", "/run/password")
    prepared.box.run("systemctl", "start", "jarvis-backend")
    wait_for(lambda: prepared.status().get("connected"), "they talk", 60.0)
    prepared.box.run("systemctl", "stop", "jarvis-backend")
    prepared.box.at("/etc/credstore/jarvis-bus-key").write_text("x")
    prepared.box.run("dpkg", "--purge", "jarvis-ear")
    assert traces(prepared) == before
