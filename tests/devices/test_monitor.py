"""What a sound server gives instead of a microphone is called what it is."""

import os
from pathlib import Path

import pytest

from fakes.portaudio import Card, FakeSoundDevice
from jarvis_ear.devices.diagnose import is_monitor, marked, source_of_server
from jarvis_ear.devices.selection import describe
from jarvis_ear.devices.sound_library import Device

MONITOR = "alsa_output.pci-0000_00_1f.3.analog-stereo.monitor"


@pytest.mark.parametrize("name", [MONITOR, "Monitor of Built-in Audio Analog Stereo"])
def test_what_is_a_monitor(name):
    assert is_monitor(name)


@pytest.mark.parametrize("name", ["", "HP Monitor Webcam", "USB Monitor", "alsa_input.usb-monitor"])
def test_what_is_none(name):
    assert not is_monitor(name)


def device(name: str, inputs: int = 32) -> Device:
    return Device(0, name, "ALSA", inputs, 2, 44_100)


def monitors(*devices: Device, source: str) -> list[str]:
    return [one.name for one in marked(devices, lambda: source) if one.monitor]


def test_the_default_of_a_server_is_marked_wherever_it_is_reached():
    room = (device("USB (hw:1,0)", 1), device("pulse"), device("default"))
    assert monitors(*room, source=MONITOR) == ["pulse", "default"]
    assert monitors(*room, source="alsa_input.usb") == []


def test_a_default_of_the_card_itself_is_not_blamed():
    room = (device("pipewire", 64), device("default", 2))
    assert monitors(*room, source=MONITOR) == ["pipewire"]


def test_a_name_is_enough_and_an_output_is_none():
    room = (device("Monitor of Speaker", 2), device("Monitor of Nothing", 0))
    assert monitors(*room, source="") == ["Monitor of Speaker"]


def test_without_a_server_nobody_is_asked():
    def ask() -> str:
        raise AssertionError

    assert not marked([device("default")], ask)[0].monitor


@pytest.fixture
def pactl(tmp_path: Path):
    """A program of that name, which does what a script says."""

    def make(script: str) -> dict[str, str]:
        program = tmp_path / "pactl"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    return make


def test_the_server_is_asked(pactl, monkeypatch):
    say = "echo 'Server Name: x'; echo \"Default Source: $LC_ALL$PULSE_CLIENTCONFIG.monitor\""
    environ = {**pactl(say), "PULSE_CLIENTCONFIG": "/proc/self/fd/9", "LC_ALL": "de_DE.UTF-8"}
    monkeypatch.setenv("PATH", environ["PATH"])
    assert source_of_server(environ) == "C.monitor"


@pytest.mark.parametrize("script", ["exit 1", "sleep 30", "echo Default Source:"])
def test_who_does_not_say_it_is_not_waited_for(pactl, monkeypatch, script):
    environ = pactl(script)
    monkeypatch.setenv("PATH", environ["PATH"])
    monkeypatch.setattr("jarvis_ear.devices.diagnose.ANSWER_S", 0.2)
    assert source_of_server(environ) == ""


def test_where_nobody_can_be_asked_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert source_of_server({"PATH": str(tmp_path)}) == ""
    assert source_of_server({"PULSE_SOURCE": MONITOR}) == MONITOR


def test_the_list_of_devices_says_so(tmp_path):
    room = FakeSoundDevice(Card("pulse", inputs=32), Card("Monitor of Box", inputs=2))
    said = describe(room.library(source=MONITOR), snd=tmp_path).splitlines()
    assert said[1].endswith(
        "(ALSA, 16000 Hz, 32 channels): the monitor of a loudspeaker, no microphone"
    )
    assert said[2].endswith(": the monitor of a loudspeaker, no microphone")
    assert not any("monitor of a" in line for line in said[3:])


def test_an_opened_microphone_knows_it():
    room = FakeSoundDevice(Card("pulse", inputs=32))
    assert room.library(source=MONITOR).open_input("", rate=16_000, latency_s=0.2).device.monitor
