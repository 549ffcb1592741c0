"""What a hook may do in the unit of an installed ear, without and with the drop-in of examples/.

One box for all tests; each leaves the ear running and hearing, without hooks.
"""

import json
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from fakes.installed_ear import wait_for
from fakes.light import a_light

pytestmark = pytest.mark.long

DROP_IN = Path(__file__).parents[2] / "examples" / "hooks-gpio.conf"
CONFIG = "/etc/jarvis-ear/config.toml"
PROBE = "/usr/local/bin/hook-probe"
STATE = "/var/lib/jarvis-ear"
NODE = "/dev/hook-line"
LEDS = "/sys/class/mem"
"""A folder of this kernel's, over which the box mounts one with an LED: few machines have LEDs."""

STOP_S = 2.0

PROGRAM = f"""#!/usr/bin/python3
import json, mmap, os, sys

event = json.load(sys.stdin)

def tried(act):
    try:
        act()
    except OSError as error:
        return error.strerror
    return "done"

def write(path):
    return lambda: open(path, "w").write("1")

status = open("/proc/self/status").read()
report = {{
    "state folder": tried(write("{STATE}/written")),
    "own /tmp": tried(write("/tmp/written")),
    "/etc": tried(write("/etc/jarvis-ear/written")),
    "/usr": tried(write("/usr/local/bin/written")),
    "/run": tried(write("/run/written")),
    "home": tried(lambda: os.listdir("/home/owner")),
    "credentials": tried(lambda: open("/run/credentials/jarvis-ear.service/jarvis-password")),
    "code": tried(lambda: mmap.mmap(-1, 4096, prot=7)),
    "ear": tried(lambda: open(f"/proc/{{os.getppid()}}/environ").read()),
    "line": tried(lambda: open("{NODE}", "rb")),
    "led": tried(write("{LEDS}/jarvis/brightness")),
}}
found = {{
    "event": event,
    "report": report,
    "environment": sorted(os.environ),
    "confined": "NoNewPrivs:\\t1" in status and "Seccomp:\\t2" in status,
}}
name = "{STATE}/hook-" + event["event"]
json.dump(found, open(name + ".new", "w"))
os.rename(name + ".new", name)
"""

ALLOWED = {"state folder", "own /tmp", "credentials"}
WITH_DROP_IN = {*ALLOWED, "line", "led"}


@pytest.fixture(scope="module")
def ear(prepared):
    """An ear with a program for its hooks, a device and an LED that the program looks for."""
    box = prepared.box
    probe = box.at(PROBE)
    probe.write_text(PROGRAM)
    probe.chmod(0o755)
    box.run("groupadd", "--system", "gpio")
    box.run("mkdir", "--mode=0755", "/home/owner")
    box.run("mknod", "--mode=0660", NODE, "c", "10", "237")  # loop-control: to open it does nothing
    box.run("chgrp", "gpio", NODE)
    box.run("mount", "-t", "tmpfs", "tmpfs", LEDS)
    led = f"{LEDS}/devices/jarvis"  # the kernel's names below class are links, too
    box.run("bash", "-c", f"mkdir -p {led} && touch {led}/brightness && ln -s {led} {LEDS}")
    password = box.at("/run/password")
    password.touch(mode=0o600)
    password.write_text("what the owner typed\n")
    prepared.build()
    prepared.service("install", "--password-file", "/run/password")
    prepared.wait_until_it_hears()
    box.run("chgrp", "jarvis-ear", f"{led}/brightness")
    box.run("chmod", "g+w", f"{led}/brightness")
    return prepared


@contextmanager
def hooks(ear, *lines: str):
    """Put hooks in force, as an owner does, and take them away."""
    options = ear.box.at(CONFIG)
    good = options.read_text()

    def reload(text: str) -> None:
        known = len(ear.journal("EVENT=Reloaded"))
        options.write_text(text)
        ear.box.run("systemctl", "reload", "jarvis-ear")
        wait_for(lambda: len(ear.journal("EVENT=Reloaded")) > known, "it has read it again")

    reload("\n".join([good, "[hooks]", *lines, ""]))
    try:
        yield
    finally:
        if ear.show("ActiveState")["ActiveState"] == "active":
            reload(good)
        else:
            options.write_text(good)
            ear.box.run("systemctl", "start", "jarvis-ear")
    ear.wait_until_it_hears()


@contextmanager
def muted(ear):
    ear.box.run("jarvis-ear", "mute")
    try:
        yield
    finally:
        ear.box.run("jarvis-ear", "unmute")


def done(found) -> set[str]:
    return {name for name, said in found["report"].items() if said == "done"}


def told(ear, event: str):
    """Wait for what the program found when it was told the event."""
    path = ear.box.at(f"{STATE}/hook-{event}")
    found = json.loads(wait_for(lambda: path.exists() and path.read_text(), f"a hook for {event}"))
    path.unlink()
    return found


def test_a_hook_runs_confined_and_reaches_only_what_the_ear_does(ear):
    with hooks(ear, f'muted = ["{PROBE}"]'), muted(ear):
        found = told(ear, "muted")
    assert found["event"]["state"] == "muted"
    assert found["event"]["schema"] == 1
    assert done(found) == ALLOWED
    assert found["report"]["/etc"] == "Read-only file system"
    assert found["confined"]
    assert set(found["environment"]) - {"LC_CTYPE"} == {"PATH", "LANG", "HOME"}


def test_the_url_reaches_loopback(ear):
    with a_light() as light, hooks(ear, f'url = "{light.url}/ear"'):
        with muted(ear):
            wait_for(lambda: "muted" in light.events, "the light is told")
        wait_for(lambda: light.events[-1] != "muted", "the light is told again")
    assert set(light.paths) == {"/ear"}


def test_a_program_outside_the_folders_of_programs_is_refused_and_logged(ear):
    program = ear.box.at("/etc/jarvis-ear/led")
    program.write_text("#!/bin/sh\necho $1 > /var/lib/jarvis-ear/led\n")
    program.chmod(0o755)
    written = ear.box.at(f"{STATE}/led")
    try:
        with hooks(ear, 'muted = ["/etc/jarvis-ear/led", "off"]'), muted(ear):
            [record] = wait_for(lambda: ear.journal("EVENT=HookFailed"), "a warning")
        assert not written.exists()
        with hooks(ear, 'muted = ["/bin/sh", "/etc/jarvis-ear/led", "off"]'), muted(ear):
            wait_for(lambda: written.exists() and written.read_text() == "off\n", "sh may read it")
    finally:
        program.unlink()
    assert (record["HOOK"], record["PRIORITY"]) == ("muted", "4")
    assert record["REASON"] == "/etc/jarvis-ear/led is not a program that can be run"


def test_a_hook_that_hangs_does_not_delay_a_stop(ear):
    with hooks(ear, 'muted = ["sleep", "600"]', "timeout_s = 60"), muted(ear):
        pgrep = ("pgrep", "-x", "-u", "jarvis-ear", "sleep")
        wait_for(lambda: ear.box.run(*pgrep, check=False).stdout, "the hook hangs")
        asked_at = time.monotonic()
        ear.box.run("systemctl", "stop", "jarvis-ear")
        took_s = time.monotonic() - asked_at
        assert ear.box.run(*pgrep, check=False).stdout == ""
        assert ear.show("Result")["Result"] == "success"
        ear.box.run("systemctl", "start", "jarvis-ear")
    assert took_s <= STOP_S, ear.log_text()


@contextmanager
def drop_in(ear, text: str):
    path = ear.box.at("/etc/systemd/system/jarvis-ear.service.d/hooks.conf")
    path.write_text(text)
    try:
        ear.box.run("systemctl", "daemon-reload")
        ear.box.run("systemctl", "restart", "jarvis-ear")
        ear.wait_until_it_hears()
        yield
    finally:
        path.unlink()
        ear.box.run("systemctl", "daemon-reload")
        ear.box.run("systemctl", "restart", "jarvis-ear")
    ear.wait_until_it_hears()


def test_with_the_drop_in_a_hook_reaches_the_line_and_the_led_and_no_more(ear):
    """The names of the kernel's GPIO lines and LEDs stand in for those that are in the box."""
    text = DROP_IN.read_text()
    for there, here in {
        "char-gpiochip": "char-misc",
        "/sys/class/leds": LEDS,
        "/usr/local/bin/gpio_led.py off": "/usr/bin/touch /var/lib/jarvis-ear/stopped",
    }.items():
        assert text.count(there) == 1
        text = text.replace(there, here)
    stopped = ear.box.at(f"{STATE}/stopped")
    with drop_in(ear, text):
        stopped.unlink(missing_ok=True)  # the ear without it was stopped under it
        with hooks(ear, f'muted = ["{PROBE}"]'), muted(ear):
            found = told(ear, "muted")
        assert not stopped.exists()
        ear.box.run("systemctl", "stop", "jarvis-ear")
        assert stopped.exists()
        said = ear.box.run("systemd-analyze", "security", "--no-pager", "jarvis-ear").stdout
        _, _, exposure = said.partition("Overall exposure level for jarvis-ear.service: ")
        assert float(exposure.split()[0]) <= 1.3
    assert done(found) == WITH_DROP_IN
    assert ear.box.at(f"{LEDS}/devices/jarvis/brightness").read_text() == "1"
    stopped.unlink()


def test_a_machine_without_gpio_lines_and_leds_starts_with_the_drop_in(ear):
    with drop_in(ear, DROP_IN.read_text()):
        assert ear.show("ActiveState")["ActiveState"] == "active"
