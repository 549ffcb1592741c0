"""The plan for each kind of machine and option, without a machine."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from jarvis_ear.service import plan
from jarvis_ear.service import steps as kinds
from jarvis_ear.service.command import PACKAGE
from jarvis_ear.service.credentials import Credential
from jarvis_ear.service.probe import (
    ALL_CREDENTIALS,
    Layout,
    Machine,
    StoredCredentials,
    user_layout,
)
from jarvis_ear.service.release import Release, running_release
from jarvis_ear.service.steps import Build, Enable, File, Folder, Remove, Run, StartUnit

LOCKS = ("requirements.txt", "requirements-backend.txt", "requirements-systemd.txt")
KINDS = ("service", "sysusers", "tmpfiles")
OF_USERS = ("jarvis-ear-user.service", "jarvis-backend-user.service")
UNITS = ("config.toml", "jarvis-backend.service", *(f"jarvis-ear.{kind}" for kind in KINDS))
UNIT = b"/opt/jarvis-ear/current"
MANUALS = {"man/jarvis-ear.1": b"the ear", "man/jarvis-backend.1": b"the backend"}
FILES = dict.fromkeys(LOCKS, b"") | {f"systemd/{name}": UNIT for name in UNITS} | MANUALS
FILES |= {f"systemd/{name}": UNIT + b" /etc/credstore" for name in OF_USERS}
RELEASE = Release(b"wheel", FILES)
FRESH = Machine(python="/usr/bin/python3", python_tag="cpython-311", is_managed=True)
HERE = Layout()
MINE = user_layout({"HOME": "/ann", "XDG_CONFIG_HOME": "/cfg", "XDG_RUNTIME_DIR": "/run/7"})
SECRET = Credential(b"geheim", is_encrypted=False)
ENCRYPTED = Credential(b"...", is_encrypted=True)


def install(*, layout=HERE, machine=FRESH, credentials=None, with_backend=False):
    return plan.install(layout, machine, RELEASE, credentials or {}, with_backend=with_backend)


def files(steps):
    return {str(step.path): step for step in steps if isinstance(step, File)}


def commands(steps):
    return [" ".join(step.argv) for step in steps if isinstance(step, Run)]


def only(steps, kind):
    return [step for step in steps if isinstance(step, kind)]


def removed(steps):
    return {str(step.path) for step in only(steps, Remove)}


def test_a_fresh_machine_gets_everything_in_order():
    steps = install()
    [build] = only(steps, Build)
    assert build.folder.parent == Path("/opt/jarvis-ear/releases")
    assert list(files(steps)) == [
        "/etc/jarvis-ear/config.toml",
        "/usr/local/lib/systemd/system/jarvis-ear.service",
        "/usr/local/share/man/man1/jarvis-ear.1",
        "/usr/local/lib/sysusers.d/jarvis-ear.conf",
        "/usr/local/lib/tmpfiles.d/jarvis-ear.conf",
    ]
    assert commands(steps) == [
        "systemd-sysusers /usr/local/lib/sysusers.d/jarvis-ear.conf",
        "systemd-tmpfiles --create /usr/local/lib/tmpfiles.d/jarvis-ear.conf",
        "systemctl daemon-reload",
        "journalctl --update-catalog",
    ]
    assert only(steps, Enable) == [Enable(("jarvis-ear",))]
    current = Path("/opt/jarvis-ear/current"), Path("releases", build.folder.name)
    assert only(steps, kinds.SymbolicLink)[0] == kinds.SymbolicLink(*current)
    assert only(steps, StartUnit) == [StartUnit("jarvis-ear", is_active=False, can_roll_back=False)]
    owners = [path for path, file in files(steps).items() if file.is_owners]
    assert owners == ["/etc/jarvis-ear/config.toml"]
    assert not any("credstore" in str(step) for step in steps)  # stored credentials stay


def test_the_environment_holds_our_wheel_and_exactly_what_is_locked():
    [build] = only(install(with_backend=True), Build)
    venv, wheel, *locks = (step.argv for step in only(build.steps, Run))
    assert venv[:4] == ("/usr/bin/python3", "-I", "-m", "venv")
    assert "--no-index" in wheel
    assert all(argv[1] == "-I" for argv in (venv, wheel, *locks))  # PYTHONPATH is of others
    assert [Path(argv[-1]).name for argv in locks] == list(LOCKS[:2])
    assert all({"--no-deps", "--require-hashes"} <= set(argv) for argv in locks)
    [build] = only(install(machine=replace(FRESH, builds_journal=True)), Build)
    assert only(build.steps, Run)[-1].argv[-1].endswith("requirements-systemd.txt")


@pytest.mark.parametrize(
    ("machine", "with_backend"), [(replace(FRESH, python_tag="cpython-312"), False), (FRESH, True)]
)
def test_another_python_or_other_packages_are_another_release(machine, with_backend):
    [one] = only(install(), Build)
    [other] = only(install(machine=machine, with_backend=with_backend), Build)
    assert one.folder != other.folder


@pytest.mark.parametrize(
    ("machine", "with_backend"), [(FRESH, True), (replace(FRESH, has_backend=True), False)]
)
def test_a_new_or_installed_backend_is_started_first(machine, with_backend):
    steps = install(machine=machine, with_backend=with_backend)
    assert [step.service for step in only(steps, StartUnit)] == ["jarvis-backend", "jarvis-ear"]
    assert "/usr/local/lib/systemd/system/jarvis-backend.service" in files(steps)


def test_old_releases_are_removed_after_the_start():
    [build] = only(install(), Build)
    old = build.folder.with_name("0.0.9-aaaaaaaa")
    machine = replace(FRESH, releases=(old, build.folder), has_release=True)
    steps = install(machine=machine)
    assert steps[-1] == Remove(old)
    assert [path for path in removed(steps) if path.startswith("/opt")] == [str(old)]
    [start] = only(steps, StartUnit)
    assert start.can_roll_back
    assert steps.index(start) < steps.index(Remove(old))


EAR = frozenset({"jarvis-ear"})


def test_a_running_service_that_starts_at_boot_is_left_alone():
    steps = install(machine=replace(FRESH, active=EAR, enabled=EAR, has_user=True))
    assert [step for step in only(steps, Run) if step.always] == []
    assert only(steps, StartUnit)[0].is_active


def test_an_upgrade_knows_starting_and_enabled_services():
    steps = install(machine=replace(FRESH, starting=EAR, enabled=EAR, has_release=True))
    assert only(steps, Enable) == []
    start = StartUnit("jarvis-ear", is_active=False, can_roll_back=True, is_starting=True)
    assert only(steps, StartUnit) == [start]


def test_without_a_service_manager_nothing_is_started():
    steps = install(machine=replace(FRESH, is_managed=False))
    assert only(steps, StartUnit) == []
    programs = [line.split()[0] for line in commands(steps)]
    assert programs == ["systemd-sysusers", "systemd-tmpfiles"]


def dropin(service):
    return f"/etc/systemd/system/{service}.service.d/50-credentials.conf"


def loaded(steps, service):
    """The credentials that the drop-in of a service names."""
    if (file := files(steps).get(dropin(service))) is None:
        return None
    section, *lines = file.content.decode().splitlines()
    assert section == "[Service]"
    return [line.partition("=")[2].partition(":")[0] for line in lines]


def test_a_password_is_private_and_stored_only_once():
    steps = install(credentials={"jarvis-password": SECRET})
    secret = files(steps)["/etc/credstore/jarvis-password"]
    assert (secret.mode, secret.content) == (0o600, b"geheim")
    assert Folder(Path("/etc/credstore"), mode=0o700) in steps
    assert Remove(Path("/etc/credstore.encrypted/jarvis-password")) in steps
    assert Remove(Path(dropin("jarvis-ear"))) in steps


def test_an_encrypted_password_is_named_in_a_drop_in():
    both = {"jarvis-password": ENCRYPTED, "jarvis-jwt-secret": ENCRYPTED}
    steps = install(credentials=both)
    assert files(steps)[dropin("jarvis-ear")].content == (
        b"[Service]\n"
        b"LoadCredentialEncrypted=jarvis-password:/etc/credstore.encrypted/jarvis-password\n"
    )
    assert Remove(Path("/etc/credstore/jarvis-password")) in steps
    steps = install(with_backend=True, credentials=both)
    assert "jarvis-jwt-secret" in loaded(steps, "jarvis-backend")
    assert "jarvis-jwt-secret" not in loaded(steps, "jarvis-ear")


def machine_with(*names):
    """Make a machine with a backend and encrypted credentials."""
    stored = StoredCredentials(frozenset(names), frozenset(names))
    return replace(FRESH, credentials=stored, has_backend=True)


def test_a_backend_that_is_installed_later_gets_the_stored_credentials():
    """README's two lines, one after the other."""
    machine = replace(machine_with("jarvis-password"), has_backend=False)
    secret = {"jarvis-jwt-secret": ENCRYPTED}
    steps = install(machine=machine, with_backend=True, credentials=secret)
    assert loaded(steps, "jarvis-backend") == ["jarvis-password", "jarvis-jwt-secret"]
    assert loaded(steps, "jarvis-ear") == ["jarvis-password"]


def test_another_password_leaves_the_other_credentials_to_the_services():
    names = {"jarvis-password", "jarvis-jwt-secret", "jarvis-bus-key"}
    steps = plan.store(HERE, machine_with(*names), {"jarvis-password": ENCRYPTED})
    assert set(loaded(steps, "jarvis-backend")) == names
    assert loaded(steps, "jarvis-ear") == ["jarvis-password", "jarvis-bus-key"]


def test_a_password_that_can_no_longer_be_encrypted_leaves_the_encrypted_credentials():
    machine = machine_with("jarvis-password", "jarvis-jwt-secret")
    steps = plan.store(HERE, machine, {"jarvis-password": SECRET})
    assert loaded(steps, "jarvis-backend") == ["jarvis-jwt-secret"]
    assert loaded(steps, "jarvis-ear") is None
    assert Remove(Path(dropin("jarvis-ear"))) in steps


@pytest.mark.parametrize(
    ("machine", "start"),
    [
        (
            replace(FRESH, active=EAR, has_backend=True),
            StartUnit("jarvis-ear", is_active=True, can_roll_back=True),
        ),
        (  # the password stays even if the service still fails
            replace(FRESH, starting=EAR),
            StartUnit("jarvis-ear", is_active=False, can_roll_back=False, is_starting=True),
        ),
    ],
    ids=["running", "failing"],
)
def test_a_new_password_restarts_the_services(machine, start):
    steps = plan.store(HERE, machine, {"jarvis-password": SECRET})
    assert list(files(steps)) == ["/etc/credstore/jarvis-password"]
    assert only(steps, StartUnit) == [start]


def test_another_root_or_home_is_used(tmp_path):
    steps = install(layout=Layout(root=tmp_path), machine=replace(FRESH, is_managed=False))
    written = [step.path for step in steps if isinstance(step, Folder | File | kinds.SymbolicLink)]
    assert all(path.is_relative_to(tmp_path) for path in written)
    assert (commands(steps), only(steps, StartUnit)) == ([], [])
    [build] = only(steps, Build)
    [moved] = only(build.steps, kinds.Relocate)
    assert moved.old == str(tmp_path) + moved.new
    target = only(steps, kinds.SymbolicLink)[1].target
    assert target == Path("/opt/jarvis-ear/current/bin/jarvis-ear")
    unit = "/usr/local/lib/systemd/system/jarvis-ear.service"
    steps = install(layout=Layout(home=Path("/usr/lib/jarvis-ear")))
    assert files(steps)[unit].content == b"/usr/lib/jarvis-ear/current"


@pytest.mark.parametrize("layout", [HERE, PACKAGE, Layout(root=Path("/stage"))])
def test_the_catalog_refers_to_an_installed_page(layout):
    steps = plan.install(layout, FRESH, running_release(), {}, with_backend=False)
    catalog = files(steps)[str(layout.at(layout.catalog))].content.decode()
    leads_to = set(re.findall("^Documentation: file://(.*)$", catalog, re.MULTILINE))
    assert leads_to == {str(layout.pages / "journal.md")}
    assert all(str(layout.at(Path(page))) in files(steps) for page in leads_to)
    gone = only(plan.uninstall(layout, FRESH, purge=False), Remove)
    assert Remove(layout.at(layout.pages)) in gone


@pytest.mark.parametrize("layout", [HERE, PACKAGE])
def test_the_man_pages_come_and_go_with_the_services(layout):
    folder = layout.at(layout.library.parent / "share" / "man" / "man1")
    pages = [folder / "jarvis-ear.1", folder / "jarvis-backend.1"]
    assert {str(pages[0])} == {path for path in files(install(layout=layout)) if "/man/" in path}
    both = files(install(layout=layout, with_backend=True))
    assert {str(page) for page in pages} == {path for path in both if "/man/" in path}
    gone = plan.uninstall(layout, FRESH, purge=False)
    assert all(Remove(page) in gone for page in pages)


INSTALLED = replace(FRESH, has_release=True, has_user=True, has_backend=True)
OWNERS = ("/etc/jarvis-ear", "/var/lib/jarvis-ear", "/etc/credstore/jarvis-password")


def test_uninstalling_keeps_the_files_of_the_owner():
    steps = plan.uninstall(HERE, INSTALLED, purge=False)
    assert commands(steps)[0] == "systemctl --quiet disable --now jarvis-backend jarvis-ear"
    gone = removed(steps)
    assert {"/opt/jarvis-ear", "/usr/local/bin/jarvis-ear", "/run/jarvis-ear"} <= gone
    assert not set(OWNERS) & gone
    assert not any("userdel" in line for line in commands(steps))


def test_purging_leaves_nothing():
    steps = plan.uninstall(HERE, INSTALLED, purge=True)
    assert commands(steps)[-1] == "userdel jarvis-ear"
    folders = ("/etc/credstore", "/etc/credstore.encrypted")
    credentials = {f"{folder}/{name}" for folder in folders for name in ALL_CREDENTIALS}
    assert {*OWNERS, *credentials} <= removed(steps)


def test_uninstalling_from_a_staged_root_runs_no_commands(tmp_path):
    machine = replace(INSTALLED, is_managed=False, has_user=False)
    steps = plan.uninstall(Layout(root=tmp_path), machine, purge=True)
    assert commands(steps) == []
    assert all(step.path.is_relative_to(tmp_path) for step in only(steps, Remove))


def test_the_service_of_a_user_is_in_their_home_and_asks_their_service_manager():
    secret = {"jarvis-password": SECRET}
    steps = install(layout=MINE, credentials=secret, with_backend=True)
    share = "/ann/.local/share"
    assert {name: file.mode for name, file in files(steps).items()} == {
        "/cfg/jarvis-ear/config.toml": 0o644,
        f"{share}/systemd/user/jarvis-backend.service": 0o644,
        f"{share}/systemd/user/jarvis-ear.service": 0o644,
        f"{share}/man/man1/jarvis-backend.1": 0o644,
        f"{share}/man/man1/jarvis-ear.1": 0o644,
        "/cfg/jarvis-ear/credentials/jarvis-password": 0o600,
    }
    unit = files(steps)[f"{share}/systemd/user/jarvis-ear.service"].content.decode()
    assert unit == f"{share}/jarvis-ear/current /cfg/jarvis-ear/credentials"
    assert commands(steps) == ["systemctl --user daemon-reload"]
    assert Folder(Path("/cfg/jarvis-ear"), mode=0o700) in steps
    assert Folder(Path("/cfg/jarvis-ear/credentials"), mode=0o700) in steps
    assert [step.service for step in only(steps, StartUnit)] == ["jarvis-backend", "jarvis-ear"]


def test_the_service_of_a_user_goes_without_a_trace_of_the_system():
    machine = replace(FRESH, has_release=True)
    steps = plan.uninstall(MINE, machine, purge=True)
    assert commands(steps) == [
        "systemctl --user --quiet disable --now jarvis-ear",
        "systemctl --user daemon-reload",
        "systemctl --user --quiet reset-failed jarvis-ear jarvis-backend",
    ]
    gone = removed(steps)
    home = "/ann/.local"
    assert {f"{home}/share/jarvis-ear", f"{home}/bin/jarvis-ear", "/cfg/jarvis-ear"} <= gone
    assert {f"{home}/state/jarvis-ear", f"{home}/state/jarvis-backend"} <= gone
    assert "/run/7/jarvis-ear" in gone
    assert all(path.startswith(("/ann/", "/cfg/", "/run/7/")) for path in gone)


def test_the_comments_of_a_users_options_name_the_commands_of_a_user():
    text = files(plan.install(MINE, FRESH, running_release(), {}, with_backend=False))
    options = text["/cfg/jarvis-ear/config.toml"].content.decode()
    assert "systemctl --user reload jarvis-ear" in options
    assert "service password --user" in options
