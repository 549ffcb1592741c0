"""Rows 20 and 25 of the fault matrix: nowhere to write. Sentences are delivered from memory."""

import os
import subprocess

import pytest

from fakes.ear import EarProcess
from fakes.voice_server import VoiceServer, wait_until

SMALL_KIB = 64


@pytest.fixture
def small_disk(tmp_path):
    """A disk that is full after two seconds of sound."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_KIB}k,mode=700", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a separate disk needs root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def read_only_disk(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    return small_disk


def ear_with(server, folder, what, place):
    """An ear that has everything in ``folder``, and one thing where it cannot be."""
    return EarProcess(server.url, folder=str(folder), **{what: str(place / what)})


def deliver(server, ear, times):
    for number in range(1, times + 1):
        ear.tell(do="say", turn=f"{number:08x}", number=number, samples=64_000, lasts_s=0.02)
        assert ear.wait("Finished")["verdict"] == "done"
    ear.tell(do="counters")
    counted = ear.wait("counters")
    assert server.numbers() == list(range(1, times + 1))
    assert ear.alive()
    return counted


def warnings(ear):
    return [line for line in ear.log if "warning" in line or "spool" in line or "ledger" in line]


@pytest.mark.parametrize("what", ["run", "state"])
def test_row_20_and_25_disk_full(what, tmp_path, small_disk):
    filler = small_disk / "filler"
    filler.write_bytes(bytes(SMALL_KIB * 1024))
    with VoiceServer(tmp_path) as server, ear_with(server, tmp_path, what, small_disk) as ear:
        counted = deliver(server, ear, 2)
        assert counted["spool_failures" if what == "run" else "ledger_unwritten"] > 0
        assert len(warnings(ear)) <= 1
        filler.unlink()
        ear.tell(do="say", turn="0000000a", number=10, lasts_s=0.02)
        assert ear.wait("Finished")["verdict"] == "done"
        ear.tell(do="counters")
        assert {**ear.wait("counters"), "at": 0} == {**counted, "at": 0}


@pytest.mark.slow
@pytest.mark.parametrize("what", ["run", "state"])
def test_row_20_and_25_disk_read_only(what, tmp_path, read_only_disk):
    with VoiceServer(tmp_path) as server, ear_with(server, tmp_path, what, read_only_disk) as ear:
        deliver(server, ear, 2)
        assert len(warnings(ear)) <= 1


def chattr(change, *places):
    return subprocess.run(
        ["chattr", change, *map(str, places)], check=False, capture_output=True
    ).returncode


@pytest.fixture
def stuck(tmp_path):
    """Folders that become immutable when told to, as on a disk gone read-only."""
    run, state = tmp_path / "run", tmp_path / "state"
    places = [run / "new", state]
    for place in (run, *places):
        place.mkdir(mode=0o700)
    if os.geteuid() != 0 or chattr("+i", state):
        pytest.skip("an immutable folder needs root and a file system that has them")
    chattr("-i", state)
    yield lambda: [chattr("+i", place) for place in places]
    chattr("-i", *places)


def test_what_can_be_marked_nowhere_is_not_run_and_not_after_a_restart_either(tmp_path, stuck):
    server = VoiceServer(tmp_path)
    with ear_with(server, tmp_path, "run", tmp_path) as ear:
        ear.tell(do="say", turn="00000001", number=1)
        wait_until(lambda: list((tmp_path / "run" / "new").iterdir()))
        stuck()
        with server:
            end = ear.wait("Finished")
            assert (end["verdict"], end["code"]) == ("failed", "storage_failed")
            wait_until(lambda: any("00000001 is not sent" in line for line in ear.log))
            ear.kill()
            ear.start()
            assert ear.wait("Finished")["code"] == "storage_failed"
            ear.tell(do="say", turn="00000002", number=2)
            assert ear.wait("Finished")["verdict"] == "done"  # it is in memory only
            assert server.numbers() == [2]


@pytest.mark.parametrize("what", ["run", "state"])
def test_row_20_and_25_something_else_is_there(what, tmp_path):
    obstacle = tmp_path / "obstacle"
    obstacle.write_text("no folder")
    with VoiceServer(tmp_path) as server, ear_with(server, tmp_path, what, obstacle) as ear:
        deliver(server, ear, 2)
        assert len(warnings(ear)) <= 1
