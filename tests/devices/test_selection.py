"""Which device an option names, and the list of devices."""

from pathlib import Path

import pytest

from fakes.kernel import Kernel
from fakes.portaudio import Card, FakeSoundDevice
from jarvis_ear.devices.diagnose import SoundCards
from jarvis_ear.devices.portaudio import PortAudio
from jarvis_ear.devices.selection import busy, describe, find, names_a_number, stable_name
from jarvis_ear.devices.sound_library import Device
from jarvis_ear.errors import DeviceError

NO_CARDS = SoundCards(Path("/nowhere"))


def device(index: int, name: str, inputs: int = 1, outputs: int = 0) -> Device:
    return Device(index, name, "ALSA", inputs, outputs, 48_000)


ROOM = [
    device(0, "HDA Intel: ALC (hw:0,0)", inputs=2, outputs=2),
    device(1, "ReSpeaker: USB Audio (hw:1,0)", inputs=6),
    device(2, "Jabra: USB Audio (hw:2,0)"),
    device(3, "HDMI (hw:3,3)", inputs=0, outputs=8),
    device(4, "default", outputs=2),
]


@pytest.fixture
def cards(tmp_path):
    kernel = Kernel(tmp_path)
    kernel.list_cards({0: "PCH", 1: "ArrayUAC10", 2: "Jabra"})
    kernel.hold(1, pid=77, program="arecord")
    return SoundCards(tmp_path)


NAMES = {
    "": 4,
    "1": 1,
    "respeaker": 1,
    "hw:2,0": 2,
    "DEFAULT": 4,
    "jabra: usb audio (hw:2,0), alsa": 2,
}


@pytest.mark.parametrize("wanted", NAMES)
def test_a_device_is_found_by_index_name_or_part_of_it(wanted):
    assert find(ROOM, wanted, "input", 4, NO_CARDS).index == NAMES[wanted]


KERNEL_NAMES = {
    "CARD=pch": 0,
    "hw:CARD=ArrayUAC10 arrayuac10 /^respeaker.*usb/ hw:1,0 plughw:1,0 hw:1 plughw:arrayuac10,0": 1,
    "plughw:CARD=Jabra,DEV=0 /JABRA|nothing/ PLUGHW:2 hw:2,0,0 hw:Jabra": 2,
}


@pytest.mark.parametrize(
    ("wanted", "index"),
    [(wanted, index) for names, index in KERNEL_NAMES.items() for wanted in names.split()],
)
def test_a_device_is_found_by_its_kernel_id_or_an_expression(cards, wanted, index):
    assert find(ROOM, wanted, "input", 4, cards).index == index


def test_an_output_is_found_by_its_name_or_is_the_first_usable_one():
    assert find(ROOM, "", "output", -1).index == 0
    assert find(ROOM, "hdmi", "output", 4, NO_CARDS).index == 3


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ("rode", "no input device matches 'rode'; there are: 0 'HDA Intel"),
        ("3", "no input device matches '3'"),
        ("99", "no input device matches '99'"),
        ("usb", "2 input devices match 'usb', expected one: 1 'ReSpeaker"),
    ],
)
def test_the_error_names_the_devices_that_there_are(wanted, error):
    with pytest.raises(DeviceError) as caught:
        find(ROOM, wanted, "input", 4)
    assert error in str(caught.value)


def test_without_an_input_none_is_found():
    with pytest.raises(DeviceError, match="no sound input device: "):
        find([device(0, "HDMI", inputs=0, outputs=2)], "", "input", -1)


@pytest.mark.parametrize(
    "wanted",
    ["hw:CARD=Rode", "hw:CARD=Jabra,DEV=3", "/rode/", "hw:4", "plughw:1,3", "hw:Rode,0", "hw:1,x"],
)
def test_a_missing_device_is_not_found(cards, wanted):
    with pytest.raises(DeviceError, match="no input device matches"):
        find(ROOM, wanted, "input", 4, cards)


def test_an_exact_name_or_number_is_not_the_beginning_of_a_longer_one(cards):
    twins = [device(0, "USB"), device(1, "USB 2")]
    assert find(twins, "usb", "input", -1, NO_CARDS).index == 0
    many = [device(0, "A (hw:10,0)"), device(1, "B (hw:1,0)"), device(2, "B (hw:1,3)")]
    found = [find(many, one, "input", -1, cards).index for one in ("hw:1", "hw:1,3", "hw:10")]
    assert found == [1, 2, 0]


def test_which_name_holds_the_number_of_a_card():
    assert all(map(names_a_number, ["hw:1,0", "plughw:0", "hw:CARD=1"]))
    others = ["", "1", "hw:CARD=Jabra", "hw:Jabra,0", "USB (hw:1,0)"]
    assert not any(map(names_a_number, others))


def test_an_id_is_found_under_its_number_of_today(tmp_path):
    kernel = Kernel(tmp_path)
    for number in (1, 2):
        kernel.list_cards({number: "Jabra"})
        assert find(ROOM, "hw:CARD=Jabra", "input", 4, SoundCards(tmp_path)).index == number


def test_the_stable_name(cards):
    names = ["hw:CARD=PCH", "hw:CARD=ArrayUAC10", "hw:CARD=Jabra", "", ""]
    assert [stable_name(one, cards) for one in ROOM] == names
    assert stable_name(device(0, "HDMI (hw:0,3)"), cards) == "hw:CARD=PCH,DEV=3"


@pytest.mark.parametrize(
    "wanted",
    ["", "1", "array", "hw:CARD=ArrayUAC10", "/uac/", "X (hw:1,0)", "hw:1", "plughw:1,3"],
)
def test_the_holder_of_the_wanted_device_is_named(cards, wanted):
    assert busy(wanted, cards) == "hw:CARD=ArrayUAC10 is held by arecord (pid 77)"


@pytest.mark.parametrize("wanted", ["jabra", "hw:CARD=PCH", "/rode/", "X (hw:2,0)", "hw:10"])
def test_the_holder_of_another_device_is_not_named(cards, wanted):
    assert busy(wanted, cards) == ""


# The list of devices


def snd(tmp_path, *names: str):
    for name in names:
        (tmp_path / name).touch()
    return tmp_path


def test_inputs_and_outputs_are_listed_with_their_defaults(tmp_path):
    room = FakeSoundDevice(
        Card("mic", outputs=0), Card("box", inputs=0, outputs=2, rate=48_000), Card("b", outputs=0)
    )
    assert describe(room.library(), snd=snd(tmp_path, "pcmC0D0c")) == (
        "Microphones (inputs)\n"
        "*   0  mic  (ALSA, 16000 Hz, 1 channel)\n"
        "    2  b  (ALSA, 16000 Hz, 1 channel)\n"
        "\n"
        "Speakers (outputs)\n"
        "*   1  box  (ALSA, 48000 Hz, 2 channels)\n"
        "\n"
    )


def test_the_list_without_portaudio(tmp_path):
    def absent():
        raise OSError("PortAudio library not found")

    text = describe(PortAudio(absent), snd=tmp_path)
    assert text == "PortAudio is not installed: apt install libportaudio2\n"


def test_the_list_without_a_sound_card(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        text = describe(FakeSoundDevice().library(), snd=folder)
        assert text.count("  none\n") == 2
        assert f"The kernel shows no sound card (no pcm devices in {folder})" in text


def test_the_list_without_permission(tmp_path):
    folder = snd(tmp_path, "pcmC0D0c", "pcmC0D0p", "timer")
    library = FakeSoundDevice(Card("default", inputs=0)).library()
    text = describe(library, snd=folder, accessible=lambda path: path.name.endswith("p"))
    assert "This user may not use the sound card (pcmC0D0c).\n" in text
    assert "usermod -aG audio" in text


def test_the_list_of_cards_that_cannot_be_opened_names_their_holders(tmp_path, cards):
    library, folder = FakeSoundDevice().library(), snd(tmp_path, "pcmC1D0c")
    assert "PortAudio cannot open them" in describe(library, snd=folder)
    text = describe(library, snd=folder, cards=cards)
    assert text.endswith("hw:CARD=ArrayUAC10 is held by arecord (pid 77).\n")


def test_a_card_is_listed_with_its_stable_name(tmp_path, cards):
    room = FakeSoundDevice(Card("USB (hw:2,0)"))
    text = describe(room.library(), snd=tmp_path, cards=cards)
    assert "0  USB (hw:2,0)  hw:CARD=Jabra  (ALSA" in text
