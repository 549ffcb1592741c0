"""Copy the files of the checkout that git lists, with uncommitted changes, and no others."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]


def files_of_git() -> Iterator[str]:
    """Yield the path of every file that git lists, relative to the root and sorted.

    In an unpacked source distribution, which git does not know, every file.
    """
    if not (ROOT / ".git").exists():
        yield from sorted(str(one.relative_to(ROOT)) for one in ROOT.rglob("*") if one.is_file())
        return
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.check_output(listing, cwd=ROOT, text=True)  # noqa: S603 - ours
    yield from sorted(name for name in names.split("\0") if name and (ROOT / name).is_file())


def copy_checkout(target: Path, without: tuple[str, ...] = ()) -> None:
    """Copy them to a new folder; ``without`` are beginnings of paths to leave out."""
    shutil.rmtree(target, ignore_errors=True)
    for name in files_of_git():
        if not name.startswith(without):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
