import os
import subprocess
import sys
import threading

import pytest

from fakes.portaudio import UNPLUGGED, Card, FakeSoundDevice, PortAudioError
from jarvis_ear.devices import portaudio
from jarvis_ear.devices.portaudio import Device, PortAudio, find, say
from jarvis_ear.errors import DeviceError, MicrophoneLost, SpeakerLost


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
    assert find(ROOM, wanted, kind, 4).index == index


def test_an_exact_name_wins_over_longer_ones():
    twins = [device(0, "USB"), device(1, "USB 2")]
    assert find(twins, "usb", "input", -1).index == 0


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
    with pytest.raises(DeviceError, match="no sound input device: see `jarvis-ear devices`"):
        find([device(0, "HDMI", inputs=0, outputs=2)], "", "input", -1)


def test_the_list_of_devices():
    room = FakeSoundDevice(Card("mic", outputs=0), Card("box", inputs=0, rate=48_000))
    library = room.library()
    assert library.devices() == (
        Device(0, "mic", "ALSA", 1, 0, 16_000),
        Device(1, "box", "ALSA", 0, 1, 48_000),
    )
    assert (library.default("input"), library.default("output")) == (0, 1)


def test_a_device_that_was_plugged_in_later_is_found():
    room = FakeSoundDevice()
    library = room.library()
    with pytest.raises(MicrophoneLost, match="no sound input device"):
        library.open_input("", rate=16_000, latency_s=0.2)
    room.cards.append(Card("mic"))
    _, found, _ = library.open_input("", rate=16_000, latency_s=0.2)
    assert found.name == "mic"


def test_while_a_stream_is_open_nothing_is_initialised_anew():
    room = FakeSoundDevice(Card("mic"))
    library = room.library()
    stream, _, _ = library.open_input("", rate=16_000, latency_s=0.2)
    room.cards.append(Card("box"))
    with pytest.raises(SpeakerLost, match="no output device matches 'box'"):
        library.open_output("box", latency_s=0.2)
    assert library.close(stream)
    assert library.open_output("box", latency_s=0.2)[1].name == "box"


def test_a_card_that_cannot_do_our_rate_is_opened_at_its_own_and_asked_only_once():
    room = FakeSoundDevice(Card("usb", rate=48_000, rates=(48_000,)))
    library = room.library()
    stream, _, rate = library.open_input("usb", rate=16_000, latency_s=0.2)
    assert rate == 48_000
    library.close(stream)
    room.cards[0].rates = (16_000, 48_000)
    assert library.open_input("usb", rate=16_000, latency_s=0.2)[2] == 48_000


@pytest.mark.parametrize("own", [16_000, 44_100])
def test_a_card_that_cannot_even_do_its_own_rate_is_lost(own):
    room = FakeSoundDevice(Card("odd", rate=own, rates=()))
    with pytest.raises(MicrophoneLost, match="odd: Error opening stream: Invalid sample rate"):
        room.library().open_input("", rate=16_000, latency_s=0.2)


def test_a_stream_that_does_not_start_is_closed_again():
    room = FakeSoundDevice(Card("mic"))
    room.refuse_start = True
    with pytest.raises(MicrophoneLost, match="mic: Error starting stream"):
        room.library().open_input("", rate=16_000, latency_s=0.2)
    assert room.open_streams == []


def test_a_busy_card_is_lost_in_the_hosts_own_words():
    room = FakeSoundDevice(Card("mic"))
    room.refuse = ("Unanticipated host error", -9999, (0, -16, "Device or resource busy"))
    with pytest.raises(MicrophoneLost, match=r"host error \(Device or resource busy\)"):
        room.library().open_input("", rate=16_000, latency_s=0.2)
    with pytest.raises(SpeakerLost, match=r"host error \(Device or resource busy\)"):
        room.library().open_output("", latency_s=0.2)


def test_without_portaudio_the_error_says_what_to_install():
    def absent():
        raise OSError("PortAudio library not found")

    with pytest.raises(DeviceError, match="apt install libportaudio2"):
        PortAudio(absent).devices()


def test_a_close_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(portaudio, "CLOSE_S", 0.01)
    card = Card("mic", hangs=threading.Event())
    room = FakeSoundDevice(card)
    library = room.library()
    stream, _, _ = library.open_input("", rate=16_000, latency_s=0.2)
    assert not library.close(stream)
    library.devices()  # and the stream that still hangs is not pulled away
    card.hangs.set()


def test_who_waits_for_somebody_who_hangs_gives_up(monkeypatch):
    monkeypatch.setattr(portaudio, "LOCK_S", 0.01)
    library = FakeSoundDevice(Card("mic")).library()
    with library._lock, pytest.raises(DeviceError, match="did not answer within"):
        library.devices()


def test_errors_are_said_in_words():
    assert say(PortAudioError(*UNPLUGGED)) == "Unanticipated host error (No such device)"
    assert say(PortAudioError("Stream is stopped", -9983)) == "Stream is stopped"
    assert say(PortAudioError()) == "PortAudioError"


def test_the_library_is_shared_and_loaded_only_when_it_is_wanted():
    script = (
        "import sys; sys.modules['sounddevice'] = None\n"
        "from jarvis_ear.devices import capture, listing, source, speaker, portaudio\n"
        "assert portaudio.shared() is portaudio.shared()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
