"""The kernel's sound cards and who holds them; the monitors that a server gives as microphones."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from fakes.kernel import Kernel
from fakes.portaudio import Card, FakeSoundDevice
from jarvis_ear.devices.diagnose import (
    Holder,
    SoundCard,
    SoundCards,
    is_monitor,
    marked,
    source_of_server,
)
from jarvis_ear.devices.selection import describe
from jarvis_ear.devices.sound_library import Device

DEVICE = SoundCard(3, "Device", "USB-Audio - Device")


@pytest.fixture
def kernel(tmp_path):
    made = Kernel(tmp_path)
    made.list_cards({0: "PCH", 3: "Device"})
    return made


def holders(proc: Path) -> list[str]:
    return [str(holder) for holder in SoundCards(proc).holders()]


def test_the_cards_have_numbers_ids_and_names_and_are_held_by_no_program(kernel, tmp_path):
    cards = SoundCards(tmp_path)
    assert cards.all() == (SoundCard(0, "PCH", "USB-Audio - PCH"), DEVICE)
    assert (cards.numbered("device"), cards.numbered("Rode")) == (3, None)
    assert cards.holders() == ()


def test_a_thread_is_named_by_its_program(kernel, tmp_path):
    kernel.hold(3, pid=500, program="pulseaudio", thread=512)
    assert SoundCards(tmp_path).holders() == (Holder(DEVICE, 500, "pulseaudio"),)
    assert holders(tmp_path) == ["hw:CARD=Device is held by pulseaudio (pid 500)"]


def test_a_program_of_another_user_is_named_by_its_number(kernel, tmp_path):
    kernel.hold(3, pid=500, program="x")
    for name in ("comm", "status"):
        (tmp_path / "500" / name).unlink()
    assert holders(tmp_path) == ["hw:CARD=Device is held by a program of another user (pid 500)"]


def test_our_own_process_is_not_a_holder(kernel, tmp_path):
    kernel.hold(3, pid=os.getpid(), program="jarvis-ear")
    assert SoundCards(tmp_path).holders() == ()


def test_a_kernel_without_sound_has_no_cards():
    cards = SoundCards(Path("/nowhere"))
    assert (cards.all(), cards.holders()) == ((), ())


def test_a_running_program_is_named_as_the_kernel_knows_it(kernel, tmp_path):
    holder = subprocess.Popen(["sleep", "60"])
    try:
        kernel.hold(3, pid=holder.pid, program="made up")
        shutil.rmtree(tmp_path / str(holder.pid))
        (tmp_path / str(holder.pid)).symlink_to(f"/proc/{holder.pid}")
        deadline = time.monotonic() + 10
        while holders(tmp_path) != [f"hw:CARD=Device is held by sleep (pid {holder.pid})"]:
            assert time.monotonic() < deadline, holders(tmp_path)  # until it is no Python any more
    finally:
        holder.kill()
        holder.wait()


MONITOR = "alsa_output.pci-0000_00_1f.3.analog-stereo.monitor"


def test_a_monitor_is_known_by_its_name():
    assert all(map(is_monitor, [MONITOR, "Monitor of Built-in Audio Analog Stereo"]))
    others = ["", "HP Monitor Webcam", "USB Monitor", "alsa_input.usb-monitor"]
    assert not any(map(is_monitor, others))


def devices(inputs: dict[str, int]) -> list[Device]:
    return [Device(0, name, "ALSA", count, 2, 44_100) for name, count in inputs.items()]


@pytest.mark.parametrize(
    ("inputs", "source", "monitors"),
    [
        ({"USB (hw:1,0)": 1, "pulse": 32, "default": 32}, MONITOR, ["pulse", "default"]),
        ({"USB (hw:1,0)": 1, "pulse": 32, "default": 32}, "alsa_input.usb", []),
        ({"pipewire": 64, "default": 2}, MONITOR, ["pipewire"]),  # the default of the card itself
        ({"Monitor of Speaker": 2, "Monitor of Nothing": 0}, "", ["Monitor of Speaker"]),
    ],
)
def test_the_monitors_among_devices(inputs, source, monitors):
    assert [one.name for one in marked(devices(inputs), lambda: source) if one.monitor] == monitors


def test_without_a_device_of_a_server_the_server_is_not_asked():
    def ask() -> str:
        raise AssertionError

    assert not marked(devices({"default": 32}), ask)[0].monitor


@pytest.fixture
def pactl(tmp_path: Path, monkeypatch):
    """Makes a program of that name from a script; an environment in which it is found."""

    def make(script: str) -> dict[str, str]:
        program = tmp_path / "pactl"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return {"PATH": os.environ["PATH"]}

    return make


def test_the_server_is_asked(pactl):
    say = "echo 'Server Name: x'; echo \"Default Source: $LC_ALL$PULSE_CLIENTCONFIG.monitor\""
    environ = {**pactl(say), "PULSE_CLIENTCONFIG": "/proc/self/fd/9", "LC_ALL": "de_DE.UTF-8"}
    assert source_of_server(environ) == "C.monitor"


@pytest.mark.parametrize("script", ["exit 1", "sleep 30", "echo Default Source:"])
def test_a_server_that_does_not_answer_is_not_waited_for(pactl, monkeypatch, script):
    monkeypatch.setattr("jarvis_ear.devices.diagnose.ANSWER_S", 0.2)
    assert source_of_server(pactl(script)) == ""


def test_without_a_program_to_ask_the_source_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert source_of_server({"PATH": str(tmp_path)}) == ""
    assert source_of_server({"PULSE_SOURCE": MONITOR}) == MONITOR


def test_a_monitor_is_marked_in_the_list_and_when_it_is_opened(tmp_path):
    room = FakeSoundDevice(Card("pulse", inputs=32), Card("Monitor of Box", inputs=2))
    lines = describe(room.library(source=MONITOR), snd=tmp_path).splitlines()
    assert lines[1].endswith(
        "(ALSA, 16000 Hz, 32 channels): the monitor of a loudspeaker, no microphone"
    )
    assert lines[2].endswith(": the monitor of a loudspeaker, no microphone")
    assert not any("monitor of a" in line for line in lines[3:])
    assert room.library(source=MONITOR).open_input("", rate=16_000, latency_s=0.2).device.monitor
