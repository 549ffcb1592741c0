import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from fakes.kernel import Kernel
from jarvis_ear.devices.diagnose import Holder, SoundCard, SoundCards


@pytest.fixture
def kernel(tmp_path):
    made = Kernel(tmp_path)
    made.list_cards({0: "PCH", 3: "Device"})
    return made


def test_the_cards_have_numbers_ids_and_names(kernel, tmp_path):
    assert SoundCards(tmp_path).all() == (
        SoundCard(0, "PCH", "USB-Audio - PCH"),
        SoundCard(3, "Device", "USB-Audio - Device"),
    )


def test_an_id_has_the_number_of_today(kernel, tmp_path):
    cards = SoundCards(tmp_path)
    assert (cards.numbered("device"), cards.numbered("Rode")) == (3, None)


def test_nobody_holds_what_is_closed(kernel, tmp_path):
    assert SoundCards(tmp_path).holders() == ()


def test_a_thread_is_named_by_its_program(kernel, tmp_path):
    kernel.hold(3, pid=500, program="pulseaudio", thread=512)
    (held,) = SoundCards(tmp_path).holders()
    assert held == Holder(SoundCard(3, "Device", "USB-Audio - Device"), 500, "pulseaudio")
    assert str(held) == "hw:CARD=Device is held by pulseaudio (pid 500)"


def test_a_program_that_we_may_not_see_is_told_by_its_number(kernel, tmp_path):
    kernel.hold(3, pid=500, program="x")
    for name in ("comm", "status"):
        (tmp_path / "500" / name).unlink()
    (held,) = SoundCards(tmp_path).holders()
    assert str(held) == "hw:CARD=Device is held by a program of another user (pid 500)"


def test_we_do_not_blame_ourselves(kernel, tmp_path):
    kernel.hold(3, pid=os.getpid(), program="jarvis-ear")
    assert SoundCards(tmp_path).holders() == ()


def test_a_kernel_without_sound_has_no_cards():
    cards = SoundCards(Path("/nowhere"))
    assert (cards.all(), cards.holders()) == ((), ())


def test_a_program_that_runs_is_named_as_the_kernel_knows_it(kernel, tmp_path):
    holder = subprocess.Popen(["sleep", "60"])
    try:
        kernel.hold(3, pid=holder.pid, program="made up")
        shutil.rmtree(tmp_path / str(holder.pid))
        (tmp_path / str(holder.pid)).symlink_to(f"/proc/{holder.pid}")
        deadline = time.monotonic() + 10
        while holds(tmp_path) != f"hw:CARD=Device is held by sleep (pid {holder.pid})":
            assert time.monotonic() < deadline, holds(tmp_path)  # until it is no Python any more
    finally:
        holder.kill()
        holder.wait()


def holds(proc: Path) -> str:
    return "".join(map(str, SoundCards(proc).holders()))
