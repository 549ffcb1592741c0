"""What a package index gets: built, checked, and installed as a stranger would install it.

Takes minutes and a package index, which supplies the packages of others.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from fakes.program import run

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "tests" / "data" / "hey-jarvis-what-time-is-it.wav"
WRITTEN_BY_SETUPTOOLS = {"PKG-INFO", "setup.cfg", "LICENSE-APACHE.txt"}
TOO_MUCH = {"scipy", "sklearn", "openwakeword", "tflite_runtime", "fastapi", "faster_whisper"}
LARGEST_MB = 280
"""Of an environment with the ear alone: 249 on x86-64, of which 78 are onnxruntime, 73 numpy and 24
what venv puts there."""

PYTHONS = ("3.11", "3.12", "3.13")


@functools.cache
def interpreter(version: str) -> str | None:
    """A Python of that version on this machine: on the path, or beside others of its kind."""
    homes = [Path(home) for home in os.environ.get("PATH", "").split(os.pathsep)]
    homes += sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin"))
    for home in homes:
        python = home / f"python{version}"
        words = [str(python), "-c", "import ensurepip, sys; print(*sys.version_info[:2], sep='.')"]
        if python.is_file() and run(words, check=False).stdout.strip() == version:
            return str(python)
    return None


@pytest.fixture(scope="module")
def dist(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    run([sys.executable, ROOT / "tools" / "make_dist.py", target])
    return target


@pytest.fixture(scope="module")
def source(dist, tmp_path_factory) -> Path:
    """The source distribution of the ear, unpacked."""
    (packed,) = dist.glob("jarvis_ear-*.tar.gz")
    folder = tmp_path_factory.mktemp("source")
    shutil.unpack_archive(packed, folder)
    (unpacked,) = folder.iterdir()
    return unpacked


def test_an_index_accepts_it(dist):
    files = sorted(dist.iterdir())
    assert len(files) == 4
    said = run([sys.executable, "-m", "twine", "check", "--strict", *files], check=False)
    assert said.returncode == 0, said.stdout


def test_the_source_is_what_git_has(source):
    listing = run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT)
    there = {str(one.relative_to(source)) for one in source.rglob("*") if one.is_file()}
    ours = {name for name in listing.stdout.splitlines() if (ROOT / name).is_file()}
    assert ours - there == set()
    assert {name for name in there - ours if ".egg-info/" not in name} <= WRITTEN_BY_SETUPTOOLS
    same = [name for name in ours if (source / name).read_bytes() == (ROOT / name).read_bytes()]
    assert len(same) == len(ours)


def test_the_source_passes_its_own_tests(source):
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/audio", "tests/wires"]
    path = os.pathsep.join(map(str, (source / "jarvis-ear" / "src", source / "tests")))
    done = run(
        [sys.executable, *words], check=False, cwd=source, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d{3} passed", done.stdout)


def test_the_wheels_say_whose_they_are_and_under_which_licence(dist):
    found = {}
    for wheel in dist.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            (place,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
            found[wheel.name.split("-")[0]] = Parser().parsestr(archive.read(place).decode())
    assert [one["Author"] for one in found.values()] == ["The jarvis-ear authors"] * 2
    assert found["jarvis_ear"]["License-Expression"] == "MIT"
    assert "CC-BY-NC-SA-4.0" in found["jarvis_ear_models"]["License-Expression"]
    assert "LICENSES.md" in found["jarvis_ear"].get_all("License-File")
    kinds = found["jarvis_ear"].get_all("Classifier")
    assert [v for v in PYTHONS if f"Programming Language :: Python :: {v}" not in kinds] == []


def test_a_reader_without_the_repository_sees_which_page_is_meant():
    links = re.findall(r"\[([^\]]+)\]\(([^):]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert [place for text, place in links if place.partition("#")[0] not in text] == []


def installed(python: str, what: str, dist: Path, folder: Path) -> Path:
    """A new environment with what pip installs there; skips where no index can be reached."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    add(folder, what, dist)
    return folder / "bin"


def add(folder: Path, what: str, dist: Path) -> None:
    words = ["-m", "pip", "install", "-q", "--no-compile", "--disable-pip-version-check"]
    done = run(
        [folder / "bin" / "python", *words, "--find-links", dist, what], check=False, timeout=600
    )
    if re.search("connection|resolve host|index.*reached|Retrying", done.stderr, re.IGNORECASE):
        pytest.skip(f"no package index can be reached: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr


def strange_home(folder: Path) -> dict[str, str]:
    """An environment of a user who has nothing of ours."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    places = ("HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "TMPDIR")
    return kept | dict.fromkeys(places, str(folder))


@pytest.mark.parametrize("version", PYTHONS)
def test_pip_installs_an_ear_that_hears_and_a_backend_that_answers(version, dist, tmp_path):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} on this machine")
    folder, home = tmp_path / "venv", strange_home(tmp_path)
    programs = installed(python, "jarvis-ear", dist, folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    assert {one.name for one in packages.iterdir()} & TOO_MUCH == set()
    size = sum(one.lstat().st_size for one in folder.rglob("*") if one.is_file())
    assert size < LARGEST_MB * 1e6
    alone = run([programs / "jarvis-backend"], check=False, env=home, cwd=tmp_path)
    assert (alone.returncode, alone.stdout, alone.stderr.count("\n")) == (69, "", 1)
    assert "pip install 'jarvis-ear[backend]'" in alone.stderr
    assert "the configuration" in run([programs / "jarvis-ear", "check"], env=home).stdout
    add(folder, "jarvis-ear[backend]", dist)
    words = ["run", "--with-backend", "--input", RECORDING, "--fast", "--log-transcripts"]
    heard = run([programs / "jarvis-ear", *words], check=False, env=home, cwd=tmp_path, timeout=90)
    assert heard.returncode == 0, heard.stderr
    assert 'understood "what time is it"' in heard.stderr
    assert run([programs / "jarvis-backend", "check"], env=home).stdout
    shutil.rmtree(folder)


def test_pip_builds_the_source(dist, tmp_path):
    """The models come from their source distribution too: pip is given no wheel of ours."""
    sources = tmp_path / "sources"
    sources.mkdir()
    for packed in dist.glob("*.tar.gz"):
        shutil.copy(packed, sources)
    folder = tmp_path / "venv"
    programs = installed(sys.executable, "jarvis-ear", sources, folder)
    words = ["run", "--input", RECORDING, "--fast", "--backend-url", "http://127.0.0.1:9"]
    words += ["--backend.fresh-s", "5"]
    heard = run([programs / "jarvis-ear", *words], check=False, env=strange_home(tmp_path))
    assert 'heard "Hey Jarvis"' in heard.stderr, heard.stderr
    assert (folder / "share" / "man" / "man1" / "jarvis-ear.1").is_file()


WRONG = """
from jarvis_ear.backend import BackendClient, BackendOptions
BackendOptions(adress="x")
BackendClient(BackendOptions(fresh_s="soon")).send_audio("text")
"""


def test_a_users_type_checkers_accept_the_examples_and_see_mistakes(dist, tmp_path):
    folder = tmp_path / "venv"
    programs = installed(sys.executable, "jarvis-ear", dist, folder)
    add(folder, "mypy", dist)
    add(folder, "pyright", dist)
    user = tmp_path / "user"
    user.mkdir()
    (user / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    examples = [shutil.copy(one, user) for one in (ROOT / "examples").glob("library_*.py")]
    assert len(examples) == 2
    wrong = user / "wrong.py"
    wrong.write_text(WRONG)
    checkers = [[programs / "mypy", "--strict"]]
    if shutil.which("node") is not None:  # it is a program of Node
        checkers.append([programs / "pyright", "--pythonpath", programs / "python"])
    for checker in checkers:
        good = run([*checker, *examples], check=False, cwd=user, env=os.environ)
        assert good.returncode == 0, good.stdout + good.stderr
        bad = run([*checker, wrong], check=False, cwd=user, env=os.environ)
        assert (bad.returncode, len(re.findall(r"(:| -) error: ", bad.stdout))) == (1, 3), (
            bad.stdout
        )
