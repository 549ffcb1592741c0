"""Build what a package index gets, in dist/: wheel and source of the ear and of its models.

The model files come from the package openwakeword of this environment, and are compared with
jarvis-ear-models/SHA256SUMS. Nothing is fetched.
"""

import hashlib
import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from checkout import ROOT, copy_checkout

MODELS: Final = "jarvis-ear-models"


def main(target: Path) -> int:
    """Build two wheels and two source distributions, and print the size of each."""
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as work:
        ear, models = Path(work) / "jarvis-ear", Path(work) / MODELS
        copy_checkout(ear)
        shutil.copytree(ear / MODELS, models)
        problem = add_models(models)
        if problem:
            sys.stderr.write(f"make_dist: {problem}\n")
            return 69
        for project in (ear, models):
            words = ["build", "--no-isolation", "--outdir", str(target), str(project)]
            done = subprocess.run(  # noqa: S603 - ours
                [sys.executable, "-m", *words],
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            if done.returncode != 0:
                sys.stderr.write(done.stdout)
                return 70
    for made in sorted(target.iterdir()):
        sys.stdout.write(f"{made.name}: {made.stat().st_size / 1e6:.1f} MB\n")
    return 0


def add_models(project: Path) -> str:
    """Copy the models and their licence into a folder; return what is wrong with them, or ""."""
    spec = importlib.util.find_spec("openwakeword")
    if spec is None or not spec.submodule_search_locations:
        return "openwakeword 0.4.0 is not installed here: make setup"
    installed = Path(spec.submodule_search_locations[0]) / "resources" / "models"
    target = project / "src" / "jarvis_ear_models" / "models"
    target.mkdir(parents=True)
    for line in (project / "SHA256SUMS").read_text().splitlines():
        expected, name = line.split()
        content = (installed / name).read_bytes() if (installed / name).is_file() else b""
        if hashlib.sha256(content).hexdigest() != expected:
            return f"{name} of the installed openwakeword is not that of {MODELS}/SHA256SUMS"
        (target / name).write_bytes(content)
    files = importlib.metadata.files("openwakeword") or []
    licence = next((file for file in files if file.name == "LICENSE"), None)
    if licence is None:
        return "the installed openwakeword has no LICENSE"
    (project / "LICENSE-APACHE.txt").write_text(licence.read_text())
    return ""


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist"))
