"""Build the Debian package in build/, and check it with lintian: `make deb`.

debhelper runs in a copy of the files that git lists: no other files get into the package, and
debhelper writes into the parent of its working directory.
"""

import os
import shutil
import subprocess
import sys

from checkout import ROOT, copy_checkout

WORK = ROOT / "build" / "deb"
NEEDED = {"dpkg-buildpackage": "dpkg-dev", "dh": "debhelper", "lintian": "lintian"}


def main() -> int:
    """Build the package, check it, and print its name, size and Python version."""
    missing = [package for tool, package in NEEDED.items() if shutil.which(tool) is None]
    if missing:
        sys.stderr.write(f"make_deb: apt install {' '.join(missing)}\n")
        return 69
    shutil.rmtree(WORK, ignore_errors=True)
    source = WORK / "jarvis-ear"
    copy_checkout(source, without=("tests/",))
    build = ["dpkg-buildpackage", "--build=binary", "--no-sign", "--no-check-builddeps"]
    environment = os.environ | {"JARVIS_PYTHON": sys.executable}
    subprocess.run(build, cwd=source, env=environment, check=True)  # noqa: S603 - ours
    package, *_ = WORK.glob("jarvis-ear_*.deb")
    check = ["lintian", "--fail-on=error,warning", "--allow-root", str(package)]
    status = subprocess.run(check, check=False).returncode  # noqa: S603 - ours
    made = package.rename(ROOT / "build" / package.name)
    asked = ["dpkg-deb", "--field", str(made), "Depends"]
    needs = subprocess.check_output(asked, text=True)  # noqa: S603 - ours
    python = ", ".join(one for one in needs.strip().split(", ") if one.startswith("python3"))
    size_mb = made.stat().st_size / 1e6
    sys.stdout.write(f"{made.relative_to(ROOT)}: {size_mb:.0f} MB, for {python}\n")
    return status


sys.exit(main())
