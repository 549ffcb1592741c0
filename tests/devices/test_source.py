from fakes.kernel import Kernel
from fakes.portaudio import FakeSoundDevice
from jarvis_ear import config
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.sound_cards import SoundCards
from jarvis_ear.devices.source import make_source, why_deaf
from jarvis_ear.devices.stdin import Stdin
from jarvis_ear.devices.wav_file import WavFile


def test_the_default_is_a_microphone():
    source = make_source(config.Microphone())
    assert isinstance(source, Microphone)
    assert source.live


def test_a_dash_is_standard_input():
    source = make_source(config.Microphone(input="-"))
    assert isinstance(source, Stdin)
    assert not source.live


def test_anything_else_is_a_file():
    source = make_source(config.Microphone(input="speech.wav", fast=True))
    assert isinstance(source, WavFile)
    assert not source.live
    assert source.name == "speech.wav"


def test_a_microphone_in_use_is_not_there_and_says_why(tmp_path):
    kernel = Kernel(tmp_path)
    kernel.list_cards({1: "Device"})
    kernel.hold(1, pid=42, program="arecord")
    said = why_deaf("device", FakeSoundDevice().library(), SoundCards(tmp_path))
    assert said.startswith("no sound input device")
    assert said.endswith("; hw:CARD=Device is held by arecord (pid 42)")
