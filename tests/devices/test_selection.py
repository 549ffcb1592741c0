"""Which device is meant by what a person wrote."""

from pathlib import Path

import pytest

from fakes.kernel import Kernel
from jarvis_ear.devices.diagnose import SoundCards
from jarvis_ear.devices.selection import busy, find, names_a_number, stable_name
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


@pytest.mark.parametrize(
    ("wanted", "kind", "index"),
    [
        ("", "input", 4),
        ("1", "input", 1),
        ("respeaker", "input", 1),
        ("hw:2,0", "input", 2),
        ("DEFAULT", "input", 4),
        ("hdmi", "output", 3),
        ("jabra: usb audio (hw:2,0), alsa", "input", 2),
    ],
)
def test_a_device_is_found_by_index_name_or_part_of_it(wanted, kind, index):
    assert find(ROOM, wanted, kind, 4, NO_CARDS).index == index


def test_an_exact_name_wins_over_longer_ones():
    twins = [device(0, "USB"), device(1, "USB 2")]
    assert find(twins, "usb", "input", -1, NO_CARDS).index == 0


def test_without_a_default_the_first_usable_one_is_taken():
    assert find(ROOM, "", "output", -1).index == 0


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("rode", "no input device matches 'rode'; there are: 0 'HDA Intel"),
        ("3", "no input device matches '3'"),
        ("99", "no input device matches '99'"),
        ("usb", "2 input devices match 'usb', expected one: 1 'ReSpeaker"),
    ],
)
def test_what_cannot_be_found_is_said_with_what_there_is(wanted, said):
    with pytest.raises(DeviceError) as caught:
        find(ROOM, wanted, "input", 4)
    assert said in str(caught.value)


def test_nothing_to_hear_with():
    with pytest.raises(DeviceError, match="no sound input device: "):
        find([device(0, "HDMI", inputs=0, outputs=2)], "", "input", -1)


@pytest.fixture
def cards(tmp_path):
    kernel = Kernel(tmp_path)
    kernel.list_cards({0: "PCH", 1: "ArrayUAC10", 2: "Jabra"})
    kernel.hold(1, pid=77, program="arecord")
    return SoundCards(tmp_path)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ("hw:CARD=ArrayUAC10", 1),
        ("plughw:CARD=Jabra,DEV=0", 2),
        ("CARD=pch", 0),
        ("arrayuac10", 1),
        ("/^respeaker.*usb/", 1),
        ("/JABRA|nothing/", 2),
        ("hw:1,0", 1),
        ("plughw:1,0", 1),
        ("hw:1", 1),
        ("PLUGHW:2", 2),
        ("hw:2,0,0", 2),
        ("hw:Jabra", 2),
        ("plughw:arrayuac10,0", 1),
    ],
)
def test_a_device_is_found_by_its_kernel_id_or_an_expression(cards, wanted, index):
    assert find(ROOM, wanted, "input", 4, cards).index == index


@pytest.mark.parametrize(
    "wanted",
    ["hw:CARD=Rode", "hw:CARD=Jabra,DEV=3", "/rode/", "hw:4", "plughw:1,3", "hw:Rode,0", "hw:1,x"],
)
def test_what_is_not_there_is_not_found(cards, wanted):
    with pytest.raises(DeviceError, match="no input device matches"):
        find(ROOM, wanted, "input", 4, cards)


def test_a_number_is_not_the_beginning_of_a_longer_one(cards):
    many = [device(0, "A (hw:10,0)"), device(1, "B (hw:1,0)"), device(2, "B (hw:1,3)")]
    assert [find(many, one, "input", -1, cards).index for one in ("hw:1", "hw:1,3", "hw:10")] == [
        *(1, 2, 0),
    ]


@pytest.mark.parametrize(
    ("wanted", "is_number"),
    [("hw:1,0", True), ("plughw:0", True), ("hw:CARD=1", True)]
    + [(one, False) for one in ("", "1", "hw:CARD=Jabra", "hw:Jabra,0", "USB (hw:1,0)")],
)
def test_what_names_a_card_by_its_number(wanted, is_number):
    assert names_a_number(wanted) is is_number


def test_an_id_is_found_under_its_number_of_today(tmp_path):
    kernel = Kernel(tmp_path)
    for number in (1, 2):
        kernel.list_cards({number: "Jabra"})
        assert find(ROOM, "hw:CARD=Jabra", "input", 4, SoundCards(tmp_path)).index == number


def test_the_name_that_stays(cards):
    assert [stable_name(one, cards) for one in ROOM] == [
        "hw:CARD=PCH",
        "hw:CARD=ArrayUAC10",
        "hw:CARD=Jabra",
        "",
        "",
    ]
    assert stable_name(device(0, "HDMI (hw:0,3)"), cards) == "hw:CARD=PCH,DEV=3"


@pytest.mark.parametrize(
    "wanted",
    ["", "1", "array", "hw:CARD=ArrayUAC10", "/uac/", "X (hw:1,0)", "hw:1", "plughw:1,3"],
)
def test_who_holds_what_is_wanted(cards, wanted):
    assert busy(wanted, cards) == "hw:CARD=ArrayUAC10 is held by arecord (pid 77)"


@pytest.mark.parametrize("wanted", ["jabra", "hw:CARD=PCH", "/rode/", "X (hw:2,0)", "hw:10"])
def test_a_held_card_that_is_not_meant_is_not_blamed(cards, wanted):
    assert busy(wanted, cards) == ""
