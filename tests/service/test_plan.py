"""The plan for each kind of machine and option, without a machine."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from jarvis_ear.service import plan
from jarvis_ear.service.command import PACKAGE
from jarvis_ear.service.credentials import Credential
from jarvis_ear.service.probe import ALL_CREDENTIALS, Layout, Machine, StoredCredentials
from jarvis_ear.service.release import Release, running_release
from jarvis_ear.service.steps import (
    Build,
    Enable,
    File,
    Folder,
    Relocate,
    Remove,
    Run,
    StartUnit,
    SymbolicLink,
)

LOCKS = ("requirements.txt", "requirements-backend.txt", "requirements-systemd.txt")
UNITS = (
    "config.toml",
    "jarvis-ear.service",
    "jarvis-backend.service",
    "jarvis-ear.sysusers",
    "jarvis-ear.tmpfiles",
)
UNIT = b"/opt/jarvis-ear/current"
RELEASE = Release(b"wheel", dict.fromkeys(LOCKS, b"") | {f"systemd/{name}": UNIT for name in UNITS})
FRESH = Machine(python="/usr/bin/python3", python_tag="cpython-311", is_managed=True)
HERE = Layout()
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


def test_a_fresh_machine_gets_everything_in_order():
    steps = install()
    [build] = only(steps, Build)
    assert build.folder.parent == Path("/opt/jarvis-ear/releases")
    assert list(files(steps)) == [
        "/etc/jarvis-ear/config.toml",
        "/usr/local/lib/systemd/system/jarvis-ear.service",
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
    assert only(steps, SymbolicLink)[0] == SymbolicLink(
        Path("/opt/jarvis-ear/current"), Path("releases", build.folder.name)
    )
    assert only(steps, StartUnit) == [StartUnit("jarvis-ear", is_active=False, can_roll_back=False)]


def test_existing_options_belong_to_the_owner():
    assert files(install())["/etc/jarvis-ear/config.toml"].is_owners
    assert [path for path, file in files(install()).items() if file.is_owners] == [
        "/etc/jarvis-ear/config.toml"
    ]


def test_the_environment_holds_our_wheel_and_exactly_what_is_locked():
    [build] = only(install(with_backend=True), Build)
    venv, wheel, *locks = (step.argv for step in only(build.steps, Run))
    assert venv[:4] == ("/usr/bin/python3", "-I", "-m", "venv")
    assert "--no-index" in wheel
    assert all(argv[1] == "-I" for argv in (venv, wheel, *locks))  # PYTHONPATH is somebody else's
    assert [Path(argv[-1]).name for argv in locks] == list(LOCKS[:2])
    assert all({"--no-deps", "--require-hashes"} <= set(argv) for argv in locks)


def test_the_journals_library_is_built_where_it_can_be():
    [build] = only(install(machine=replace(FRESH, builds_journal=True)), Build)
    assert only(build.steps, Run)[-1].argv[-1].endswith("requirements-systemd.txt")


def test_the_backend_is_installed_and_started_first():
    steps = install(with_backend=True)
    assert [step.service for step in only(steps, StartUnit)] == ["jarvis-backend", "jarvis-ear"]
    assert "/usr/local/lib/systemd/system/jarvis-backend.service" in files(steps)


def test_an_installed_backend_stays():
    steps = install(machine=replace(FRESH, has_backend=True))
    assert [step.service for step in only(steps, StartUnit)] == ["jarvis-backend", "jarvis-ear"]


@pytest.mark.parametrize(
    ("machine", "with_backend"), [(replace(FRESH, python_tag="cpython-312"), False), (FRESH, True)]
)
def test_another_python_or_other_packages_are_another_release(machine, with_backend):
    [one], [other] = (
        only(install(), Build),
        only(install(machine=machine, with_backend=with_backend), Build),
    )
    assert one.folder != other.folder


def test_old_releases_are_removed_after_the_start():
    [build] = only(install(), Build)
    old = build.folder.with_name("0.0.9-aaaaaaaa")
    machine = replace(FRESH, releases=(old, build.folder), has_release=True)
    steps = install(machine=machine)
    assert steps[-1] == Remove(old)
    assert [step for step in only(steps, Remove) if step.path.is_relative_to("/opt")] == [
        Remove(old)
    ]
    [start] = only(steps, StartUnit)
    assert start.can_roll_back
    assert steps.index(start) < steps.index(Remove(old))


def test_a_running_service_that_starts_at_boot_is_left_alone():
    ear = frozenset({"jarvis-ear"})
    steps = install(machine=replace(FRESH, active=ear, enabled=ear, has_user=True))
    assert [step for step in steps if isinstance(step, Run) and step.always] == []
    assert only(steps, StartUnit)[0].is_active


def test_without_a_service_manager_nothing_is_started():
    steps = install(machine=replace(FRESH, is_managed=False))
    assert only(steps, StartUnit) == []
    assert [line.split()[0] for line in commands(steps)] == ["systemd-sysusers", "systemd-tmpfiles"]


def test_a_password_is_private_and_stored_only_once():
    steps = install(credentials={"jarvis-password": SECRET})
    secret = files(steps)["/etc/credstore/jarvis-password"]
    assert (secret.mode, secret.content) == (0o600, b"geheim")
    assert Folder(Path("/etc/credstore"), mode=0o700) in steps
    assert Remove(Path("/etc/credstore.encrypted/jarvis-password")) in steps
    assert Remove(Path("/etc/systemd/system/jarvis-ear.service.d/50-credentials.conf")) in steps


def test_an_encrypted_password_is_named_in_a_drop_in():
    steps = install(credentials={"jarvis-password": ENCRYPTED, "jarvis-jwt-secret": ENCRYPTED})
    place = "/etc/systemd/system/{}.service.d/50-credentials.conf"
    ear = files(steps)[place.format("jarvis-ear")].content.decode()
    assert ear == (
        "[Service]\n"
        "LoadCredentialEncrypted=jarvis-password:/etc/credstore.encrypted/jarvis-password\n"
    )
    assert Remove(Path("/etc/credstore/jarvis-password")) in steps
    steps = install(
        with_backend=True,
        credentials={"jarvis-password": ENCRYPTED, "jarvis-jwt-secret": ENCRYPTED},
    )
    backend = files(steps)[place.format("jarvis-backend")].content.decode()
    assert "jarvis-jwt-secret" in backend
    assert "jarvis-jwt-secret" not in files(steps)[place.format("jarvis-ear")].content.decode()


def dropin(steps, service):
    file = files(steps).get(f"/etc/systemd/system/{service}.service.d/50-credentials.conf")
    return file and [line.partition("=")[2].partition(":")[0] for line in lines_of(file)]


def lines_of(file):
    section, *lines = file.content.decode().splitlines()
    assert section == "[Service]"
    return lines


def test_a_backend_that_is_installed_later_gets_the_stored_credentials():
    """README's two lines, one after the other."""
    stored = frozenset({"jarvis-password"})
    machine = replace(FRESH, credentials=StoredCredentials(stored, stored))
    steps = install(
        machine=machine, with_backend=True, credentials={"jarvis-jwt-secret": ENCRYPTED}
    )
    assert dropin(steps, "jarvis-backend") == ["jarvis-password", "jarvis-jwt-secret"]
    assert dropin(steps, "jarvis-ear") == ["jarvis-password"]


def test_another_password_leaves_the_other_credentials_to_the_services():
    names = frozenset({"jarvis-password", "jarvis-jwt-secret", "jarvis-bus-key"})
    machine = replace(FRESH, credentials=StoredCredentials(names, names), has_backend=True)
    steps = plan.store(HERE, machine, {"jarvis-password": ENCRYPTED})
    assert set(dropin(steps, "jarvis-backend")) == names
    assert dropin(steps, "jarvis-ear") == ["jarvis-password", "jarvis-bus-key"]


def test_a_password_that_cannot_be_encrypted_any_more_leaves_the_encrypted_ones():
    names = frozenset({"jarvis-password", "jarvis-jwt-secret"})
    machine = replace(FRESH, credentials=StoredCredentials(names, names), has_backend=True)
    steps = plan.store(HERE, machine, {"jarvis-password": SECRET})
    assert dropin(steps, "jarvis-backend") == ["jarvis-jwt-secret"]
    assert dropin(steps, "jarvis-ear") is None
    assert Remove(Path("/etc/systemd/system/jarvis-ear.service.d/50-credentials.conf")) in steps


def test_stored_credentials_are_not_touched():
    assert not any("credstore" in str(step) for step in install())


def test_only_the_staged_root_is_written_to(tmp_path):
    steps = install(layout=Layout(root=tmp_path), machine=replace(FRESH, is_managed=False))
    written = [step.path for step in steps if isinstance(step, Folder | File | SymbolicLink)]
    assert all(path.is_relative_to(tmp_path) for path in written)
    assert (commands(steps), only(steps, StartUnit)) == ([], [])
    [build] = only(steps, Build)
    [moved] = only(build.steps, Relocate)
    assert moved.old == str(tmp_path) + moved.new
    assert only(steps, SymbolicLink)[1].target == Path("/opt/jarvis-ear/current/bin/jarvis-ear")


def test_another_home_is_written_into_the_units():
    steps = install(layout=Layout(home=Path("/usr/lib/jarvis-ear")))
    unit = files(steps)["/usr/local/lib/systemd/system/jarvis-ear.service"].content
    assert unit == b"/usr/lib/jarvis-ear/current"


@pytest.mark.parametrize("layout", [HERE, PACKAGE, Layout(root=Path("/stage"))])
def test_the_catalog_refers_to_an_installed_page(layout):
    steps = plan.install(layout, FRESH, running_release(), {}, with_backend=False)
    catalog = files(steps)[str(layout.at(layout.catalog))].content.decode()
    leads_to = set(re.findall("^Documentation: file://(.*)$", catalog, re.MULTILINE))
    assert leads_to == {str(layout.pages / "journal.md")}
    assert all(str(layout.at(Path(page))) in files(steps) for page in leads_to)
    gone = only(plan.uninstall(layout, FRESH, purge=False), Remove)
    assert Remove(layout.at(layout.pages)) in gone


def test_a_new_password_restarts_running_services():
    running = replace(FRESH, active=frozenset({"jarvis-ear"}), has_backend=True)
    steps = plan.store(HERE, running, {"jarvis-password": SECRET})
    assert list(files(steps)) == ["/etc/credstore/jarvis-password"]
    assert only(steps, StartUnit) == [StartUnit("jarvis-ear", is_active=True, can_roll_back=True)]


def test_a_new_password_stays_even_if_a_failing_service_still_fails():
    failing = replace(FRESH, starting=frozenset({"jarvis-ear"}))
    steps = plan.store(HERE, failing, {"jarvis-password": SECRET})
    expected = StartUnit("jarvis-ear", is_active=False, can_roll_back=False, is_starting=True)
    assert only(steps, StartUnit) == [expected]


def test_an_upgrade_knows_starting_and_enabled_services():
    ear = frozenset({"jarvis-ear"})
    steps = install(machine=replace(FRESH, starting=ear, enabled=ear, has_release=True))
    assert only(steps, Enable) == []
    assert only(steps, StartUnit) == [
        StartUnit("jarvis-ear", is_active=False, can_roll_back=True, is_starting=True)
    ]


INSTALLED = replace(FRESH, has_release=True, has_user=True, has_backend=True)
OWNERS = ("/etc/jarvis-ear", "/var/lib/jarvis-ear", "/etc/credstore/jarvis-password")


def test_uninstalling_keeps_the_files_of_the_owner():
    steps = plan.uninstall(HERE, INSTALLED, purge=False)
    gone = [str(step.path) for step in only(steps, Remove)]
    assert steps[0].argv == (
        "systemctl",
        "--quiet",
        "disable",
        "--now",
        "jarvis-backend",
        "jarvis-ear",
    )
    assert {"/opt/jarvis-ear", "/usr/local/bin/jarvis-ear", "/run/jarvis-ear"} <= set(gone)
    assert not set(OWNERS) & set(gone)
    assert not any("userdel" in line for line in commands(steps))


def test_purging_leaves_nothing():
    steps = plan.uninstall(HERE, INSTALLED, purge=True)
    assert set(OWNERS) <= {str(step.path) for step in only(steps, Remove)}
    assert commands(steps)[-1] == "userdel jarvis-ear"
    gone = {str(step.path) for step in only(steps, Remove)}
    for folder in ("/etc/credstore", "/etc/credstore.encrypted"):
        assert {f"{folder}/{name}" for name in ALL_CREDENTIALS} <= gone


def test_uninstalling_from_a_staged_root_runs_no_commands(tmp_path):
    machine = replace(INSTALLED, is_managed=False, has_user=False)
    steps = plan.uninstall(Layout(root=tmp_path), machine, purge=True)
    assert commands(steps) == []
    assert all(step.path.is_relative_to(tmp_path) for step in only(steps, Remove))
