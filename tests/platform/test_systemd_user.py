"""The ear as a service of one user, beside PipeWire, under a real service manager of that user."""

import re

import numpy as np
import pytest

from fakes.installed_ear import CHECKOUT, PACKAGES, wait_for
from fakes.recordings import QUESTION, recording
from fakes.sound_server import missing_pipewire, speaking_into

pytestmark = pytest.mark.long

USER, UID = "ann", "4711"
HOME, RUNTIME = f"/home/{USER}", f"/run/user/{UID}"
MICROPHONE = f"{HOME}/microphone.fifo"
PLUG = f"source_name=one file={MICROPHONE} format=s16le rate=16000 channels=1"
ASOUND = 'pcm.!default "pulse"\nctl.!default "pulse"\npcm.pulse { type pulse }\n'
SPEECH = np.concatenate([recording(QUESTION), np.zeros(16_000, np.int16)])


class Session:
    """A user with a service manager and PipeWire, as on a desktop, and nothing of the ear."""

    def __init__(self, ear) -> None:
        self.ear, self.box = ear, ear.box
        self.box.run("useradd", "--create-home", "--uid", UID, "--shell", "/bin/bash", USER)
        self.box.at(f"{HOME}/.asoundrc").write_text(ASOUND)
        self.box.run("systemctl", "start", f"user@{UID}")
        wait_for(self.plug, "PipeWire has a microphone")

    def run(self, *words: str, check: bool = True):
        path = f"PYTHONPATH={CHECKOUT}/jarvis-ear/src:{PACKAGES}"
        bus = f"DBUS_SESSION_BUS_ADDRESS=unix:path={RUNTIME}/bus"
        where = ("env", f"HOME={HOME}", f"XDG_RUNTIME_DIR={RUNTIME}", bus, path)
        return self.box.run(*where, *words, user=USER, check=check)

    def plug(self) -> bool:
        done = self.run("pactl", "load-module", "module-pipe-source", *PLUG.split(), check=False)
        return done.returncode == 0

    def service(self, *words: str, check: bool = True) -> str:
        command = ("/usr/bin/python3", "-B", "-m", "jarvis_ear", "service", *words, "--user")
        done = self.run(*command, check=False)
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done.stdout + done.stderr

    def build(self, *words: str) -> None:
        """Make the environment that the installer would ask pip for."""
        said = self.service("install", "--dry-run", *words)
        [folder] = re.findall(r"^would build (.*)$", said, re.MULTILINE)
        self.ear.build_in(folder)
        self.box.run("chown", "-R", f"{USER}:", f"{HOME}/.local")

    def status(self) -> str:
        return self.service("status", check=False)


@pytest.fixture(scope="module")
def session(alone):
    if missing := missing_pipewire("pulse"):
        pytest.skip(missing)
    return Session(alone)


def test_a_user_installs_is_heard_and_answered_and_removes_it_without_root(session):
    session.build("--with-backend")
    said = session.service("install", "--with-backend")
    assert "It is installed and runs. Its state:  jarvis-ear service status --user" in said
    microphone = session.box.at(MICROPHONE)
    with speaking_into(microphone, SPEECH):
        wait_for(lambda: "done in" in session.status(), "a turn is answered", 60.0)
    shown = session.status()
    assert "state         hearing: " in shown
    assert "jarvis-password (for you only)" in shown
    assert f"{HOME}/.config/jarvis-ear/config.toml" in said
    assert session.service("install").startswith("nothing to do")
    options = session.box.at(f"{HOME}/.config/jarvis-ear/config.toml")
    options.write_text("[backend]\nurl = 1\n")
    session.run("systemctl", "--user", "restart", "jarvis-ear", check=False)
    wait_for(lambda: "the configuration has a mistake" in session.status(), "it is refused")
    assert "journalctl --user -u jarvis-ear" in session.status()
    found = session.box.run("find", "/etc", "/opt", "/usr", "/var", "-xdev", "-user", USER).stdout
    assert not [line for line in found.splitlines() if "/mail/" not in line]
    session.service("uninstall", "--purge")
    left = session.box.run("find", HOME, RUNTIME, "-xdev", "-name", "*jarvis*").stdout
    assert left == ""
