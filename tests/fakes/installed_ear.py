"""The ear installed as a service in a box, with a virtual sound card; what pip would do is given.

The environment of the release takes its packages from the environment of the tests, mounted below
``PACKAGES``, and our own from a checkout in the box. Everything else is the real thing.
"""

import json
import shutil
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from fakes.systemd_box import SystemdBox
from fakes.vmic import vmic
from jarvis_ear.service.release import PROGRAMS

Found = TypeVar("Found")

ROOT: Final = Path(__file__).parents[2]
TEST: Final = "/opt/jarvis-test"
PACKAGES: Final = f"{TEST}/packages"
CHECKOUT: Final = f"{TEST}/checkout"
CARD: Final = f"{TEST}/card"
RELEASES: Final = "/opt/jarvis-ear/releases"
PLAYED: Final = "/var/lib/jarvis-ear/played.raw"
LOCK: Final = "/var/lib/jarvis-ear/card.lock"
DROPIN: Final = "/etc/systemd/system/{}.service.d/90-test.conf"
SHOWN: Final = {Path(sysconfig.get_path("purelib")): PACKAGES}
"""What the box has to show."""

SOON_S: Final = 30.0
"""A deadline for what takes a second or two on a machine that has nothing else to do."""


def wait_for(found: Callable[[], Found], what: str, deadline_s: float = SOON_S) -> Found:
    """Return what ``found`` returns once that is true of anything."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.05)
    raise AssertionError(f"not within {deadline_s:g} s: {what}")


class InstalledEar:
    """A box in which the installer can be run, and the service looked at."""

    def __init__(self, box: SystemdBox) -> None:
        self.box = box

    def prepare(self, folder: Path, sound: npt.NDArray[np.int16]) -> None:
        """Put a sound card and the packages of the tests where a confined service sees them."""
        card = vmic(folder, sound)
        here = self.box.at(CARD)
        here.mkdir(parents=True)
        config = (card.folder / "asound.conf").read_text()
        written = {str(card.played): PLAYED, f"{card.folder}/lock": LOCK}
        for outside, inside in {**written, str(card.folder): CARD}.items():
            config = config.replace(outside, inside)
        (here / "asound.conf").write_text(config)
        for name in ("in.raw", "libasound_module_pcm_vmic.so"):
            (here / name).write_bytes((card.folder / name).read_bytes())
        checkout = self.box.at(CHECKOUT)
        for part in ("jarvis-ear/src", "systemd", "docs", "man"):
            shutil.copytree(ROOT / part, checkout / part)
        for lock in ROOT.glob("requirements*.txt"):
            shutil.copy(lock, checkout)
        self.with_card()
        self.drop_in("jarvis-backend")

    def with_card(self) -> None:
        self.drop_in("jarvis-ear", f"Environment=ALSA_CONFIG_PATH={CARD}/asound.conf")

    def drop_in(self, service: str, *lines: str) -> None:
        path = self.box.at(DROPIN.format(service))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["[Service]", f"ExecPaths={TEST}", *lines, ""]))
        self.box.run("systemctl", "daemon-reload")

    def service(self, *words: str, check: bool = True) -> str:
        """Run ``jarvis-ear service`` from sources, as root, and return all that it says."""
        path = f"PYTHONPATH={CHECKOUT}/jarvis-ear/src:{PACKAGES}"
        command = f"{path} /usr/bin/python3 -B -m jarvis_ear service {' '.join(words)} 2>&1"
        done = self.box.run("bash", "-c", command, check=False)
        assert done.returncode == 0 or not check, done.stdout
        return done.stdout

    def build(self, *words: str, unless_there: bool = False) -> str:
        """Make the environment that the installer would ask pip for; return its name."""
        said = self.service("install", "--dry-run", *words)
        name = said.partition(f"would build {RELEASES}/")[2].partition("\n")[0]
        if unless_there and not name:
            return ""
        assert name, said
        self.build_in(f"{RELEASES}/{name}")
        return name

    def build_in(self, folder: str) -> None:
        """Make the environment of a release in a folder of the box."""
        self.box.run("/usr/bin/python3", "-m", "venv", "--without-pip", folder)
        here = self.box.at(folder)
        site = next(here.glob("lib/python3*/site-packages"))
        for package in self.box.at(f"{CHECKOUT}/jarvis-ear/src").glob("jarvis_*"):
            shutil.copytree(package, site / package.name)
        (site / "packages.pth").write_text(f"{PACKAGES}\n")
        for program, target in PROGRAMS.items():
            script = here / "bin" / program
            module, _, called = target.partition(":")
            script.write_text(f"#!{folder}/bin/python\nfrom {module} import {called}\n{called}()\n")
            script.chmod(0o755)
        (here / ".complete").touch()

    def show(self, *properties: str, service: str = "jarvis-ear") -> dict[str, str]:
        said = self.box.run("systemctl", "show", service, f"--property={','.join(properties)}")
        return dict(line.split("=", 1) for line in said.stdout.splitlines() if "=" in line)

    def status(self) -> dict[str, Any]:
        """Return what the ear says of itself; nothing while it says nothing."""
        said = self.box.run("jarvis-ear", "status", "--json", check=False).stdout
        report: dict[str, Any] = json.loads(said) if said else {}
        return report

    def journal(self, *matches: str, service: str = "jarvis-ear") -> list[dict[str, str]]:
        """Return the journal of the service, one record after the other."""
        said = self.box.run("journalctl", "-u", service, "-o", "json", "--no-pager", *matches)
        return [json.loads(line) for line in said.stdout.splitlines()]

    def log_text(self, service: str = "jarvis-ear") -> str:
        """Return the journal as text, to find out why a test failed."""
        return self.box.run("journalctl", "-u", service, "--no-pager", "-n", "500").stdout

    def hears(self) -> bool:
        return bool(self.status().get("hearing"))

    def wait_until_it_hears(self, deadline_s: float = SOON_S) -> None:
        try:
            wait_for(self.hears, "the ear hears", deadline_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_text()}") from error
