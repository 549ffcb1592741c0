import ast
import os
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path
from subprocess import PIPE

import pytest

from fakes.kernel import Kernel
from fakes.portaudio import UNPLUGGED, Card, FakeSoundDevice, PortAudioError
from jarvis_ear.devices.diagnose import SoundCards
from jarvis_ear.devices.portaudio import PortAudio, say
from jarvis_ear.devices.sound_library import Device, StreamFailed
from jarvis_ear.errors import DeviceError, MicrophoneBusy, MicrophoneUnavailable, SpeakerLost


def missing_library() -> bool:
    return find_library("portaudio") is None or not Path("/usr/share/alsa/alsa.conf").exists()


def open_input(library, wanted: str = ""):
    return library.open_input(wanted, rate=16_000, latency_s=0.2)


def test_the_list_of_devices():
    room = FakeSoundDevice(Card("mic", outputs=0), Card("box", inputs=0, rate=48_000))
    library = room.library()
    assert library.devices() == (
        Device(0, "mic", "ALSA", 1, 0, 16_000),
        Device(1, "box", "ALSA", 0, 1, 48_000),
    )
    assert (library.default("input"), library.default("output")) == (0, 1)


def test_a_device_that_is_plugged_in_later_is_found_when_no_stream_is_open():
    room = FakeSoundDevice()
    library = room.library()
    with pytest.raises(MicrophoneUnavailable, match="no sound input device"):
        open_input(library)
    room.cards.append(Card("mic"))
    stream = open_input(library)
    assert stream.device.name == "mic"
    room.cards.append(Card("box"))
    with pytest.raises(SpeakerLost, match="no output device matches 'box'"):
        library.open_output("box", latency_s=0.2)
    stream.close()
    assert library.open_output("box", latency_s=0.2).device.name == "box"


def test_a_card_that_cannot_do_our_rate_is_opened_at_its_own_and_asked_only_once():
    room = FakeSoundDevice(Card("usb", rate=48_000, rates=(48_000,)))
    library = room.library()
    stream = open_input(library, "usb")
    assert stream.rate == 48_000
    stream.close()
    room.cards[0].rates = (16_000, 48_000)
    assert open_input(library, "usb").rate == 48_000


@pytest.mark.parametrize("own", [16_000, 44_100])
def test_a_card_that_cannot_even_do_its_own_rate_is_lost(own):
    room = FakeSoundDevice(Card("odd", rate=own, rates=()))
    with pytest.raises(
        MicrophoneUnavailable, match="odd: Error opening stream: Invalid sample rate"
    ):
        open_input(room.library())


def test_a_stream_that_does_not_start_is_closed_again():
    room = FakeSoundDevice(Card("mic"))
    room.refuse_start = True
    with pytest.raises(MicrophoneUnavailable, match="mic: Error starting stream"):
        open_input(room.library())
    assert room.open_streams == []


def test_the_loss_of_a_busy_card_has_the_error_of_the_host():
    room = FakeSoundDevice(Card("mic"))
    room.refuse = ("Unanticipated host error", -9999, (0, -16, "Device or resource busy"))
    with pytest.raises(MicrophoneUnavailable, match=r"host error \(Device or resource busy\)"):
        open_input(room.library())
    with pytest.raises(SpeakerLost, match=r"host error \(Device or resource busy\)"):
        room.library().open_output("", latency_s=0.2)


def test_without_portaudio_the_error_names_the_package():
    def absent():
        raise OSError("PortAudio library not found")

    with pytest.raises(DeviceError, match="apt install libportaudio2"):
        PortAudio(absent).devices()


def test_the_text_of_an_error():
    assert say(PortAudioError(*UNPLUGGED)) == "Unanticipated host error (No such device)"
    assert say(PortAudioError("Stream is stopped", -9983)) == "Stream is stopped"
    assert say(PortAudioError()) == "PortAudioError"


def run(script: str, **variables: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, check=True, env=environment, stdout=PIPE, text=True).stdout


def test_the_library_is_loaded_only_when_it_is_used():
    run(
        "import sys; sys.modules['sounddevice'] = None\n"
        "from jarvis_ear.devices import capture, selection, sources, speaker, portaudio\n"
    )


def test_a_stream_whose_card_is_gone_fails_with_the_error_of_the_host():
    room = FakeSoundDevice(Card("mic"))
    stream = open_input(room.library())
    room.cards[0].plugged = False
    for call in (
        lambda: stream.take(1, 1),
        lambda: stream.feed(b"", 1),
    ):
        with pytest.raises(StreamFailed, match=r"Unanticipated host error \(No such device\)"):
            call()
    stream.close()
    stream.close()
    assert room.open_streams == []


@pytest.mark.parametrize(
    ("card", "wanted", "error"),
    [
        (Card("box", inputs=0), "device", MicrophoneBusy),
        (Card("USB Mic (hw:1,0)"), "usb", MicrophoneUnavailable),
    ],
)
def test_the_error_of_a_microphone_in_use_names_its_holder(tmp_path, card, wanted, error):
    kernel = Kernel(tmp_path)
    kernel.list_cards({0: "PCH", 1: "Device"})
    kernel.hold(0, pid=4241, program="other")
    kernel.hold(1, pid=4242, program="arecord")
    room = FakeSoundDevice(card)
    room.refuse = ("Device unavailable", -9985)
    with pytest.raises(error, match=r"; hw:CARD=Device is held by arecord \(pid 4242\)$") as caught:
        open_input(room.library(SoundCards(tmp_path)), wanted)
    assert ("Device unavailable" in str(caught.value)) is (wanted == "usb")


def test_a_device_that_cannot_be_described_does_not_hide_the_others():
    room = FakeSoundDevice(Card("odd", unreadable=True), Card("mic\x1b[2J\n"))
    found = [(one.index, one.name) for one in room.library().devices()]
    assert found == [(1, "mic\ufffd[2J\ufffd")]


@pytest.mark.skipif(missing_library(), reason="libportaudio2 or ALSA is missing")
def test_a_name_that_is_not_utf8_is_shown_with_the_others(tmp_path):
    """The name has to be real: what decodes it is sounddevice itself."""
    data = Path(__file__).parents[1] / "data" / "non-utf8-device" / "asound.conf"
    config = tmp_path / "asound.conf"
    config.write_bytes(data.read_bytes() + b"pcm.after { type null }\n")
    output = run(
        "from jarvis_ear.devices.portaudio import PortAudio\n"
        "library = PortAudio()\n"
        "print([one.name for one in library.devices()])\n"
        "stream = library.open_input('/K.che/', rate=16_000, latency_s=0.2)\n"
        "print(stream.device.name)\n",
        ALSA_CONFIG_PATH=str(config),
    )
    listed, opened = output.splitlines()
    assert {"K\ufffdche", "after"} <= set(ast.literal_eval(listed))
    assert opened == "K\ufffdche"
