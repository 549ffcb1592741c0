"""Plan: the steps of an installation and of its removal. Pure: it does no I/O."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

from jarvis_ear.service.credentials import Credential
from jarvis_ear.service.probe import (
    ALL_CREDENTIALS,
    BACKEND,
    CREDENTIALS,
    EAR,
    HOME,
    USER,
    Layout,
    Machine,
)
from jarvis_ear.service.release import BACKEND_LOCK, DEVICE_LOCK, JOURNAL_LOCK, SHARE, Release
from jarvis_ear.service.steps import (
    Build,
    Enable,
    File,
    Folder,
    Relocate,
    Remove,
    Run,
    StartUnit,
    Step,
    SymbolicLink,
)

DOCUMENTATION: Final = "/usr/share/doc/jarvis-ear"
"""Folder of the pages in the catalog; an installation replaces it with its own."""

CREDENTIALS_FOLDER: Final = "/etc/credstore"
"""Folder of the credentials in the units for a user; an installation replaces it with its own."""

SYSTEM_COMMANDS: Final = (b"systemctl", b"service password")
"""Commands in the comments of the options that need `--user` in an installation for a user."""


def install(
    layout: Layout,
    machine: Machine,
    release: Release,
    credentials: Mapping[str, Credential],
    *,
    with_backend: bool,
) -> tuple[Step, ...]:
    """Return the steps that install and run this release, and store these credentials.

    A backend and credentials that are installed already stay.
    """
    with_backend = with_backend or machine.has_backend
    services = (BACKEND, EAR) if with_backend else (EAR,)
    locks = _locks(machine, release, with_backend=with_backend)
    name = release.name(machine.python_tag, locks)
    return (
        *_program(layout, machine, release, layout.releases / name, locks),
        *_files(layout, release, services),
        *_credentials(layout, machine, services, credentials),
        SymbolicLink(layout.at(layout.current), Path("releases", name)),
        SymbolicLink(layout.at(layout.command), layout.current / "bin" / EAR),
        *_registered(layout, machine),
        *(_running(machine, services) if machine.is_managed else ()),
        *(Remove(old) for old in machine.releases if old.name != name),
    )


def store(
    layout: Layout, machine: Machine, credentials: Mapping[str, Credential]
) -> tuple[Step, ...]:
    """Return the steps that store these credentials and restart the services that run."""
    services = (BACKEND, EAR) if machine.has_backend else (EAR,)
    return (
        *_credentials(layout, machine, services, credentials),
        Run((*layout.systemctl, "daemon-reload")),
        *(
            _start(machine, s, can_roll_back=s in machine.active)
            for s in services
            if s in machine.active | machine.starting
        ),
    )


def uninstall(layout: Layout, machine: Machine, *, purge: bool) -> tuple[Step, ...]:
    """Return the steps that remove everything; without ``purge``, the owner's files stay."""
    return (
        *_stopped(layout, machine),
        *(Remove(layout.at(path)) for path in _own_paths(layout)),
        *(Remove(layout.at(path), only_empty=True) for path in _shared_folders(layout)),
        *((Remove(layout.runtime),) if not layout.is_staged else ()),
        *_unregistered(layout, machine),
        *(_purged(layout, machine) if purge else ()),
    )


def _locks(machine: Machine, release: Release, *, with_backend: bool) -> tuple[str, ...]:
    wanted = {DEVICE_LOCK: True, BACKEND_LOCK: with_backend, JOURNAL_LOCK: machine.builds_journal}
    return tuple(name for name, is_wanted in wanted.items() if is_wanted and name in release.files)


def _program(
    layout: Layout, machine: Machine, release: Release, folder: Path, locks: tuple[str, ...]
) -> Iterator[Step]:
    """Yield the steps that build an environment with the locked packages and our own."""
    here = layout.at(folder)
    wheel = here / release.wheel_name
    pip = _pip(here, compiles=not layout.is_staged)
    locked = (*pip, "--require-hashes", "-r")
    steps: tuple[Step, ...] = (
        Run((machine.python, "-I", "-m", "venv", str(here)), always=True),
        File(wheel, release.wheel),
        Run((*pip, "--no-index", str(wheel)), always=True),
        *(Run((*locked, str(here / SHARE / lock)), always=True) for lock in locks),
        Remove(wheel),
    )
    if layout.is_staged:
        steps += (Relocate(here, str(here), str(folder)),)
    yield Folder(layout.at(layout.releases))
    yield Build(here, steps)


def _pip(folder: Path, *, compiles: bool) -> tuple[str, ...]:
    """Return the pip command that installs only the given packages and ignores PYTHONPATH."""
    python = str(folder / "bin" / "python")
    quietly = ("--quiet", "--no-input", "--disable-pip-version-check")
    exactly = ("--no-deps",) if compiles else ("--no-deps", "--no-compile")
    return (python, "-I", "-m", "pip", "install", *quietly, *exactly)


def _files(layout: Layout, release: Release, services: tuple[str, ...]) -> Iterator[Step]:
    units = release.below("systemd")
    yield Folder(layout.at(layout.settings), mode=0o700 if layout.is_user else 0o755)
    options = units["config.toml"]
    for command in SYSTEM_COMMANDS if layout.is_user else ():
        options = options.replace(command, command + b" --user")
    yield File(layout.at(layout.config), options, is_owners=True)
    for service in services:
        unit = units[f"{service}{'-user' if layout.is_user else ''}.service"]
        for old, new in ((HOME, layout.home), (CREDENTIALS_FOLDER, layout.credentials)):
            unit = unit.replace(old.encode(), str(new).encode())
        yield File(layout.at(layout.unit(service)), unit)
        if manual := release.below("man").get(f"{service}.1"):
            yield File(layout.at(layout.manual(service)), manual)
    if layout.is_user:  # it has the user, and a catalog is of the whole system
        return
    yield File(layout.at(layout.users), units["jarvis-ear.sysusers"])
    yield File(layout.at(layout.folders), units["jarvis-ear.tmpfiles"])
    for name, page in release.below("docs").items():
        yield File(layout.at(layout.pages / name), page)
    if catalog := units.get("jarvis-ear.catalog"):
        catalog = catalog.replace(DOCUMENTATION.encode(), str(layout.pages).encode())
        yield File(layout.at(layout.catalog), catalog)


def _credentials(
    layout: Layout,
    machine: Machine,
    services: tuple[str, ...],
    credentials: Mapping[str, Credential],
) -> Iterator[Step]:
    folders = {False: layout.at(layout.credentials), True: layout.at(layout.encrypted)}
    for is_encrypted in sorted({credential.is_encrypted for credential in credentials.values()}):
        yield Folder(folders[is_encrypted], mode=0o700)
    for name, credential in credentials.items():
        yield File(folders[credential.is_encrypted] / name, credential.content, mode=0o600)
        yield Remove(folders[not credential.is_encrypted] / name)
    encrypted = machine.credentials.encrypted - credentials.keys()
    encrypted |= {name for name, credential in credentials.items() if credential.is_encrypted}
    for service in services:
        yield _dropin(layout, service, encrypted)


def _dropin(layout: Layout, service: str, encrypted: AbstractSet[str]) -> Step:
    """Return the step for the drop-in with all encrypted credentials of a service, old and new."""
    path = layout.at(layout.credentials_dropin(service))
    mine = [name for name in CREDENTIALS[service] if name in encrypted]
    if not mine:
        return Remove(path)
    lines = [f"LoadCredentialEncrypted={name}:{layout.encrypted / name}" for name in mine]
    return File(path, "\n".join(["[Service]", *lines, ""]).encode())


def _registered(layout: Layout, machine: Machine) -> Iterator[Step]:
    """Yield the steps that make the system read the written files."""
    if layout.is_staged:
        return
    if not layout.is_user:
        yield Run(("systemd-sysusers", str(layout.users)), always=not machine.has_user)
        yield Run(("systemd-tmpfiles", "--create", str(layout.folders)))
    if machine.is_managed:
        yield Run((*layout.systemctl, "daemon-reload"))
        yield from _catalog(layout)


def _catalog(layout: Layout) -> Iterator[Step]:
    if not layout.is_user:
        yield Run(("journalctl", "--update-catalog"), may_fail=True)


def _running(machine: Machine, services: tuple[str, ...]) -> Iterator[Step]:
    if missing := tuple(service for service in services if service not in machine.enabled):
        yield Enable(missing)
    for service in services:
        yield _start(machine, service, can_roll_back=machine.has_release)


def _start(machine: Machine, service: str, *, can_roll_back: bool) -> StartUnit:
    return StartUnit(
        service, service in machine.active, can_roll_back, is_starting=service in machine.starting
    )


def _stopped(layout: Layout, machine: Machine) -> Iterator[Step]:
    if not machine.is_managed or not machine.has_release:
        return
    services = (BACKEND, EAR) if machine.has_backend else (EAR,)
    disable = (*layout.systemctl, "--quiet", "disable", "--now")
    yield Run((*disable, *services), always=True, may_fail=True)


def _own_paths(layout: Layout) -> Iterator[Path]:
    for service in (EAR, BACKEND):
        yield layout.unit(service)
        yield layout.manual(service)
    yield from (layout.users, layout.folders, layout.catalog, layout.pages, layout.command)
    yield layout.home


def _shared_folders(layout: Layout) -> Iterator[Path]:
    """Yield folders that we may have made and others may use, inner folders first."""
    yield layout.unit(EAR).parent
    yield layout.catalog.parent
    yield layout.pages.parent
    yield from (layout.manual(EAR).parent, layout.manual(EAR).parents[1])
    yield from (layout.catalog.parents[1], layout.users.parent, layout.folders.parent)


def _unregistered(layout: Layout, machine: Machine) -> Iterator[Step]:
    if machine.is_managed:
        yield Run((*layout.systemctl, "daemon-reload"))
        yield Run((*layout.systemctl, "--quiet", "reset-failed", EAR, BACKEND), may_fail=True)
        yield from _catalog(layout)


def _purged(layout: Layout, machine: Machine) -> Iterator[Step]:
    for service in (EAR, BACKEND):
        yield Remove(layout.at(layout.credentials_dropin(service)))
        yield Remove(layout.at(layout.credentials_dropin(service).parent), only_empty=True)
    for name in ALL_CREDENTIALS:
        yield Remove(layout.at(layout.credentials / name))
        yield Remove(layout.at(layout.encrypted / name))
    yield Remove(layout.at(layout.credentials), only_empty=True)
    yield Remove(layout.at(layout.encrypted), only_empty=True)
    yield Remove(layout.at(layout.settings))
    yield Remove(layout.at(layout.state))
    yield Remove(layout.at(layout.backend_state))
    if not layout.is_user:
        private = layout.backend_state.parent / "private"
        yield Remove(layout.at(private / layout.backend_state.name))
    if machine.has_user:
        yield Run(("userdel", USER), always=True)
