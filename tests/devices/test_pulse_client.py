from pathlib import Path

import pytest

from jarvis_ear.devices.alsa import VARIABLE, avoid_shared_memory


@pytest.fixture
def system(tmp_path):
    return tmp_path / "etc" / "client.conf"


def lines(environ, system) -> list[str]:
    avoid_shared_memory(environ, str(system))
    return Path(environ[VARIABLE]).read_text().splitlines()


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("autospawn = no\n")
    return path


def test_without_any_file_there_is_one_line(system):
    assert lines({}, system) == ["enable-shm = no"]


def test_the_files_of_the_system_are_included(system):
    parts = [write(system.with_name("client.conf.d") / name) for name in ("01-b.conf", "00-a.conf")]
    write(system.with_name("client.conf.d") / "note.txt")
    write(system)
    included = [system, parts[1], parts[0]]
    assert lines({}, system) == [*(f".include {path}" for path in included), "enable-shm = no"]


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"HOME": "h"}, "h/.config/pulse/client.conf"),
        ({"HOME": "h", "XDG_CONFIG_HOME": "x"}, "x/pulse/client.conf"),
        ({"HOME": "h", "XDG_CONFIG_HOME": "x"}, "h/.pulse/client.conf"),
        ({"HOME": "h", VARIABLE: "given.conf"}, "given.conf"),
    ],
)
def test_the_file_of_the_user_replaces_that_of_the_system(tmp_path, system, environ, place):
    write(system)
    own = write(tmp_path / place)
    environ = {name: str(tmp_path / value) for name, value in environ.items()}
    assert lines(environ, system) == [f".include {own}", "enable-shm = no"]
