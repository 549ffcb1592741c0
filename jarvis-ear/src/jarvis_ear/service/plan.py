"""Plan: the steps of an installation and of its removal. Pure: it does no I/O."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from jarvis_ear.service.credentials import Credential
from jarvis_ear.service.facts import (
    ALL_CREDENTIALS,
    BACKEND,
    CREDENTIALS,
    EAR,
    HOME,
    USER,
    Facts,
    Layout,
)
from jarvis_ear.service.release import BACKEND_LOCK, DEVICE_LOCK, JOURNAL_LOCK, SHARE, Release
from jarvis_ear.service.steps import (
    Build,
    Enable,
    File,
    Folder,
    Gone,
    GoneIfEmpty,
    Moved,
    Run,
    StartUnit,
    Step,
    SymbolicLink,
)

DOCUMENTATION: Final = "/usr/share/doc/jarvis-ear"
"""Folder of the pages in the catalog; an installation replaces it with its own."""

RUNTIME: Final = Path("/run/jarvis-ear")
"""Runtime folder; the service manager keeps it between two runs of the ear."""

CLOSED: Final = 0o600


@dataclass(frozen=True, slots=True)
class Wishes:
    """Choices of the user. A value."""

    with_backend: bool = False
    credentials: Mapping[str, Credential] = field(default_factory=dict)
    """Credentials to store; stored ones that are not named here stay."""


def install(layout: Layout, facts: Facts, release: Release, wishes: Wishes) -> tuple[Step, ...]:
    """Return the steps that install and run this release."""
    with_backend = wishes.with_backend or facts.has_backend
    services = (BACKEND, EAR) if with_backend else (EAR,)
    name = release_name(facts, release, with_backend=with_backend)
    return (
        *_program(layout, facts, release, layout.releases / name, with_backend=with_backend),
        *_files(layout, release, services),
        *_credentials(layout, facts, services, wishes.credentials),
        SymbolicLink(layout.at(layout.current), Path("releases", name)),
        SymbolicLink(layout.at(layout.command), layout.current / "bin" / EAR),
        *_made_known(layout, facts),
        *(_running(facts, services) if facts.is_managed else ()),
        *(Gone(old) for old in facts.releases if old.name != name),
    )


def password(layout: Layout, facts: Facts, wishes: Wishes) -> tuple[Step, ...]:
    """Return the steps that store these credentials and restart the services that run."""
    services = (BACKEND, EAR) if facts.has_backend else (EAR,)
    return (
        *_credentials(layout, facts, services, wishes.credentials),
        Run(("systemctl", "daemon-reload")),
        *(
            _start(facts, s, can_return=s in facts.active)
            for s in services
            if s in facts.active | facts.starting
        ),
    )


def uninstall(layout: Layout, facts: Facts, *, purge: bool) -> tuple[Step, ...]:
    """Return the steps that remove everything; without ``purge``, the owner's files stay."""
    return (
        *_stopped(facts),
        *(Gone(layout.at(path)) for path in _ours(layout)),
        *(GoneIfEmpty(layout.at(path)) for path in _shared_folders(layout)),
        *((Gone(RUNTIME),) if not layout.is_staged else ()),
        *_forgotten(facts),
        *(_purged(layout, facts) if purge else ()),
    )


def release_name(facts: Facts, release: Release, *, with_backend: bool) -> str:
    """Return the name of this installation's environment."""
    return release.name(facts.python_tag, _locks(facts, release, with_backend=with_backend))


def _locks(facts: Facts, release: Release, *, with_backend: bool) -> tuple[str, ...]:
    wanted = {DEVICE_LOCK: True, BACKEND_LOCK: with_backend, JOURNAL_LOCK: facts.builds_journal}
    return tuple(name for name, is_wanted in wanted.items() if is_wanted and name in release.locks)


def _program(
    layout: Layout, facts: Facts, release: Release, folder: Path, *, with_backend: bool
) -> Iterator[Step]:
    """Yield the steps that build an environment with the locked packages and our own."""
    here = layout.at(folder)
    wheel = here / release.wheel_name
    pip = _pip(here, compiles=not layout.is_staged)
    locks = _locks(facts, release, with_backend=with_backend)
    steps: tuple[Step, ...] = (
        Run((facts.python, "-I", "-m", "venv", str(here)), always=True),
        File(wheel, release.wheel),
        Run((*pip, "--no-index", str(wheel)), always=True),
        *(
            Run((*pip, "--require-hashes", "-r", str(here / SHARE / lock)), always=True)
            for lock in locks
        ),
        Gone(wheel),
    )
    if layout.is_staged:
        steps += (Moved(here, str(here), str(folder)),)
    yield Folder(layout.at(layout.releases))
    yield Build(here, steps)


def _pip(folder: Path, *, compiles: bool) -> tuple[str, ...]:
    """Return the pip command that installs only the given packages and ignores PYTHONPATH."""
    python = str(folder / "bin" / "python")
    quietly = ("--quiet", "--no-input", "--disable-pip-version-check")
    exactly = ("--no-deps",) if compiles else ("--no-deps", "--no-compile")
    return (python, "-I", "-m", "pip", "install", *quietly, *exactly)


def _files(layout: Layout, release: Release, services: tuple[str, ...]) -> Iterator[Step]:
    yield Folder(layout.at(layout.settings))
    yield File(layout.at(layout.config), release.units["config.toml"], is_owners=True)
    for service in services:
        unit = release.units[f"{service}.service"]
        unit = unit.replace(HOME.encode(), str(layout.home).encode())
        yield File(layout.at(layout.unit(service)), unit)
        if manual := release.manuals.get(f"{service}.1"):
            yield File(layout.at(layout.manual(service)), manual)
    yield File(layout.at(layout.users), release.units["jarvis-ear.sysusers"])
    yield File(layout.at(layout.folders), release.units["jarvis-ear.tmpfiles"])
    for name, page in release.pages.items():
        yield File(layout.at(layout.pages / name), page)
    if catalog := release.units.get("jarvis-ear.catalog"):
        leads_there = catalog.replace(DOCUMENTATION.encode(), str(layout.pages).encode())
        yield File(layout.at(layout.catalog), leads_there)


def _credentials(
    layout: Layout,
    facts: Facts,
    services: tuple[str, ...],
    credentials: Mapping[str, Credential],
) -> Iterator[Step]:
    for is_sealed in sorted({credential.is_sealed for credential in credentials.values()}):
        yield Folder(layout.at(layout.sealed if is_sealed else layout.secrets), mode=0o700)
    for name, credential in credentials.items():
        open_file, sealed = (layout.at(p / name) for p in (layout.secrets, layout.sealed))
        wanted, unwanted = (sealed, open_file) if credential.is_sealed else (open_file, sealed)
        yield File(wanted, credential.content, mode=CLOSED)
        yield Gone(unwanted)
    encrypted = facts.sealed - credentials.keys()
    encrypted |= {name for name, credential in credentials.items() if credential.is_sealed}
    for service in services:
        yield _dropin(layout, service, encrypted)


def _dropin(layout: Layout, service: str, sealed: AbstractSet[str]) -> Step:
    """Return the step for the drop-in with all encrypted credentials of a service, old and new."""
    path = layout.at(layout.sealed_dropin(service))
    mine = [name for name in CREDENTIALS[service] if name in sealed]
    if not mine:
        return Gone(path)
    lines = [f"LoadCredentialEncrypted={name}:{layout.sealed / name}" for name in mine]
    return File(path, "\n".join(["[Service]", *lines, ""]).encode())


def _made_known(layout: Layout, facts: Facts) -> Iterator[Step]:
    """Yield the steps that make the system read the written files."""
    if layout.is_staged:
        return
    yield Run(("systemd-sysusers", str(layout.users)), always=not facts.has_user)
    yield Run(("systemd-tmpfiles", "--create", str(layout.folders)))
    if facts.is_managed:
        yield Run(("systemctl", "daemon-reload"))
        yield Run(("journalctl", "--update-catalog"), may_fail=True)


def _running(facts: Facts, services: tuple[str, ...]) -> Iterator[Step]:
    if missing := tuple(service for service in services if service not in facts.enabled):
        yield Enable(missing)
    for service in services:
        yield _start(facts, service, can_return=facts.has_release)


def _start(facts: Facts, service: str, *, can_return: bool) -> StartUnit:
    return StartUnit(
        service, service in facts.active, can_return, is_starting=service in facts.starting
    )


def _stopped(facts: Facts) -> Iterator[Step]:
    if not facts.is_managed or not facts.has_release:
        return
    services = (BACKEND, EAR) if facts.has_backend else (EAR,)
    yield Run(("systemctl", "--quiet", "disable", "--now", *services), always=True, may_fail=True)


def _ours(layout: Layout) -> Iterator[Path]:
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


def _forgotten(facts: Facts) -> Iterator[Step]:
    if facts.is_managed:
        yield Run(("systemctl", "daemon-reload"))
        yield Run(("systemctl", "--quiet", "reset-failed", EAR, BACKEND), may_fail=True)
        yield Run(("journalctl", "--update-catalog"), may_fail=True)


def _purged(layout: Layout, facts: Facts) -> Iterator[Step]:
    for service in (EAR, BACKEND):
        yield Gone(layout.at(layout.sealed_dropin(service)))
        yield GoneIfEmpty(layout.at(layout.sealed_dropin(service).parent))
    for name in ALL_CREDENTIALS:
        yield Gone(layout.at(layout.secrets / name))
        yield Gone(layout.at(layout.sealed / name))
    yield GoneIfEmpty(layout.at(layout.secrets))
    yield GoneIfEmpty(layout.at(layout.sealed))
    yield Gone(layout.at(layout.settings))
    yield Gone(layout.at(layout.state))
    if facts.has_user:
        yield Run(("userdel", USER), always=True)
