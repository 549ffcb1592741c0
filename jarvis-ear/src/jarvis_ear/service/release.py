"""Release: the software to install, as one wheel made from the running packages, and its name.

The running packages are what the user has tried. A checkout and an installed package take the same
path, and nothing has to be built or downloaded.
"""

import csv
import hashlib
import io
import sysconfig
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from jarvis_ear import __version__
from jarvis_ear.errors import ServiceError

PACKAGES: Final = ("jarvis_ear", "jarvis_backend")

PROGRAMS: Final = {
    "jarvis-ear": "jarvis_ear.cli:program",
    "jarvis-backend": "jarvis_backend.cli:program",
}
"""Commands of the package, as in pyproject.toml; a test compares the two."""

DEVICE_LOCK: Final = "requirements.txt"
BACKEND_LOCK: Final = "requirements-backend.txt"
JOURNAL_LOCK: Final = "requirements-systemd.txt"

_PAGES: Final = "configuration delivery diagnosis journal mqtt operations"
PAGES: Final = tuple(f"{name}.md" for name in _PAGES.split())
"""Pages of docs/ that an administrator needs and that the catalog refers to."""

SHARE: Final = "share/jarvis-ear"
"""Folder of locks, units and pages in the environment of an installed package."""

MANUALS: Final = "share/man/man1"
"""Folder of man pages in the environment of an installed package."""

FOLDERS: Final = ("systemd", "docs")
"""Folders that are read there, besides the locks."""

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The oldest time stamp of a zip file: equal content gives equal files."""


@dataclass(frozen=True, slots=True)
class Release:
    """Software to install. A value."""

    wheel: bytes = field(repr=False)
    """The packages, with locks, units and pages."""
    files: Mapping[str, bytes] = field(repr=False)
    """Locks, units (below ``systemd/``), pages (``docs/``) and man pages (``man/``), by name."""

    def below(self, folder: str) -> Mapping[str, bytes]:
        """Return the files of ``systemd``, ``docs`` or ``man``, by their names there."""
        return {
            name.removeprefix(f"{folder}/"): content
            for name, content in self.files.items()
            if name.startswith(f"{folder}/")
        }

    @property
    def wheel_name(self) -> str:
        """The file name that pip expects."""
        return f"jarvis_ear-{__version__}-py3-none-any.whl"

    def name(self, python: str, parts: tuple[str, ...]) -> str:
        """Return the name of an environment of this release, an interpreter and some locks."""
        digest = hashlib.sha256(self.wheel)
        for part in (python, *parts):
            digest.update(part.encode() + b"\0")
        return f"{__version__}-{digest.hexdigest()[:8]}"


def running_release() -> Release:
    """Make a release from the running packages."""
    shared = _shared()
    locks = (n for n in (DEVICE_LOCK, BACKEND_LOCK, JOURNAL_LOCK) if (shared / n).is_file())
    manuals = shared / "man"
    if not manuals.is_dir():
        manuals = Path(sysconfig.get_path("data"), MANUALS)
    pages = [manuals / f"{name}.1" for name in PROGRAMS]
    files = {
        **{name: (shared / name).read_bytes() for name in locks},
        **{f"systemd/{f.name}": f.read_bytes() for f in sorted((shared / "systemd").iterdir())},
        **{f"docs/{name}": (shared / "docs" / name).read_bytes() for name in PAGES},
        **{f"man/{page.name}": page.read_bytes() for page in pages if page.is_file()},
    }
    return Release(_wheel(files), files)


def _shared() -> Path:
    """Return the folder of locks, units and pages: a checkout, or the one of a package."""
    places = (Path(__file__).parents[4], Path(sysconfig.get_path("data"), SHARE))
    for place in places:
        if (place / DEVICE_LOCK).is_file() and all((place / n).is_dir() for n in FOLDERS):
            return place
    raise ServiceError(
        f"neither {places[0]} nor {places[1]} contains {DEVICE_LOCK}, systemd/ and docs/: "
        "expected a checkout, or a package installed by pip"
    )


def _wheel(files: Mapping[str, bytes]) -> bytes:
    stem = f"jarvis_ear-{__version__}"
    content = dict(_sources())
    for name, data in files.items():
        is_manual = name.startswith("man/")
        place = f"{MANUALS}/{name.removeprefix('man/')}" if is_manual else f"{SHARE}/{name}"
        content[f"{stem}.data/data/{place}"] = data
    content |= {f"{stem}.dist-info/{name}": data.encode() for name, data in _metadata().items()}
    record = f"{stem}.dist-info/RECORD"
    content[record] = _record(content, record)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        for name, data in content.items():
            wheel.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _sources() -> Iterator[tuple[str, bytes]]:
    for package in PACKAGES:
        found = find_spec(package)
        if found is None or found.origin is None:
            continue
        folder = Path(found.origin).parent
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                yield f"{package}/{file.relative_to(folder)}", file.read_bytes()


def _metadata() -> dict[str, str]:
    scripts = "\n".join(f"{name} = {target}" for name, target in PROGRAMS.items())
    return {
        "METADATA": f"Metadata-Version: 2.1\nName: jarvis-ear\nVersion: {__version__}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: jarvis-ear\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": f"[console_scripts]\n{scripts}\n",
    }


def _record(content: Mapping[str, bytes], record: str) -> bytes:
    lines = io.StringIO()
    rows = csv.writer(lines, lineterminator="\n")
    for name, data in content.items():
        digest = urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.writerow((name, f"sha256={digest}", len(data)))
    rows.writerow((record, "", ""))
    return lines.getvalue().encode()
