import pytest

from fakes.kernel import Kernel
from fakes.portaudio import Card, FakeSoundDevice
from jarvis_ear import config
from jarvis_ear.devices import portaudio_process
from jarvis_ear.devices.diagnose import SoundCards
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.sources import (
    Stdin,
    WavFile,
    check_source,
    make_source,
    mistake_in,
    why_unavailable,
)
from jarvis_ear.errors import DeviceError


def test_the_default_is_a_microphone():
    source = make_source(config.MicrophoneOptions())
    assert isinstance(source, Microphone)
    assert source.live


def test_a_dash_is_standard_input():
    source = make_source(config.MicrophoneOptions(input="-"))
    assert isinstance(source, Stdin)
    assert not source.live


def test_anything_else_is_a_file():
    source = make_source(config.MicrophoneOptions(input="speech.wav", fast=True))
    assert isinstance(source, WavFile)
    assert not source.live
    assert source.name == "speech.wav"


def test_a_microphone_in_use_is_not_there_and_says_why(tmp_path):
    kernel = Kernel(tmp_path)
    kernel.list_cards({1: "Device"})
    kernel.hold(1, pid=42, program="arecord")
    said = why_unavailable("device", FakeSoundDevice().library(), SoundCards(tmp_path))
    assert said.startswith("no sound input device")
    assert said.endswith("; hw:CARD=Device is held by arecord (pid 42)")


class SlowLibrary:
    """A sound system that has not come up yet."""

    def devices(self):
        raise DeviceError("the sound system did not answer within 5 s")


def test_a_name_that_no_microphone_has_is_a_mistake_unless_one_waits(monkeypatch):
    library = FakeSoundDevice(Card("box")).library()
    monkeypatch.setattr(portaudio_process, "for_input", lambda: library)
    options = config.MicrophoneOptions(device="rode")
    with pytest.raises(DeviceError, match="no input device matches 'rode'"):
        check_source(options, waits=False)
    check_source(options, waits=True)
    check_source(config.MicrophoneOptions(device="box"), waits=False)


@pytest.mark.parametrize("library", [SlowLibrary(), FakeSoundDevice().library()])
def test_while_the_sound_system_is_not_there_a_name_is_no_mistake(monkeypatch, library):
    monkeypatch.setattr(portaudio_process, "for_input", lambda: library)
    check_source(config.MicrophoneOptions(device="rode"), waits=False)


@pytest.mark.parametrize("wanted", ["hw:1,0", "plughw:1", "hw:CARD=Device"])
def test_a_microphone_that_somebody_uses_is_no_mistake(tmp_path, wanted):
    kernel = Kernel(tmp_path)
    kernel.list_cards({0: "PCH", 1: "Device"})
    library = FakeSoundDevice(Card("PCH (hw:0,0)")).library()
    assert mistake_in(wanted, library, SoundCards(tmp_path)).startswith("no input device matches")
    kernel.hold(1, pid=42, program="arecord")
    assert mistake_in(wanted, library, SoundCards(tmp_path)) == ""
