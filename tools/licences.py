"""List every package of the lock files with the licence that its installed metadata names.

Writes the given page to standard output, with the part between the two marks replaced. A package
that is not installed here (some are for one version of Python) keeps its row.
"""

import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]

BEGIN: Final = "<!-- packages: begin, written by `make docs` -->"
END: Final = "<!-- packages: end -->"

LOCKS: Final = {
    "requirements.txt": "The ear",
    "requirements-backend.txt": "The reference backend, extra `backend`",
    "requirements-neural.txt": "Neural speech of the backend, extras `whisper` and `piper`",
    "requirements-systemd.txt": "The journal's library, extra `systemd`",
    "requirements-dev.txt": "Tests and tools only, extras `dev` and `plot`",
}

KNOWN: Final = {
    "contourpy": "BSD-3-Clause",
    "espeakng-loader": "not stated; contains espeak-ng: GPL-3.0-or-later",
    "openwakeword": "Apache-2.0 (code, not used); models: see above",
    "soundfile": "BSD-3-Clause; contains libsndfile: LGPL-2.1-or-later",
}
"""What the metadata of a package does not say, says of its code only, or says in other words in
the version for another Python."""

LONGEST: Final = 50
"""Letters of a licence in the metadata; a longer one is the text of the licence."""


def licence(name: str) -> str | None:
    """Return the licence of an installed package in few words; None if it is not installed."""
    if name in KNOWN:
        return KNOWN[name]
    try:
        metadata = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    fields = metadata.json
    text = str(fields.get("license_expression") or fields.get("license") or "")
    if 0 < len(text) <= LONGEST and "\n" not in text:
        return text
    classifiers = metadata.get_all("Classifier") or []
    kinds = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License")]
    return ", ".join(kinds) or "not stated"


def rows(lock: str, earlier: dict[str, str]) -> Iterator[str]:
    """Yield one row of the table for each package of a lock file."""
    pins = re.findall(r"^([A-Za-z0-9][\w.-]*)==", (ROOT / lock).read_text(), re.MULTILINE)
    for name in dict.fromkeys(pins):
        found = licence(name) or earlier.get(name)
        if found is None:
            sys.exit(f"licences: {name} is not installed, and the page does not have it")
        yield f"| {name} | {found} |"


def main(page: Path) -> None:
    """Print the page with the tables."""
    before, _, rest = page.read_text().partition(BEGIN)
    old, _, after = rest.partition(END)
    earlier = dict(re.findall(r"^\| (\S+) \| ([^|]+) \|$", old, re.MULTILINE))
    parts = [f"{before}{BEGIN}\n"]
    for lock, title in LOCKS.items():
        table = "\n".join(rows(lock, earlier))
        parts.append(f"\n### {title}\n\n| package | licence |\n|---|---|\n{table}\n")
    sys.stdout.write("".join([*parts, f"\n{END}{after}"]))


main(Path(sys.argv[1]))
