import os
import subprocess
import sys
import threading

import pytest

from fakes.kernel import Kernel
from fakes.portaudio import UNPLUGGED, Card, FakeSoundDevice, PortAudioError
from jarvis_ear.devices import library_lock, portaudio
from jarvis_ear.devices.device import Device
from jarvis_ear.devices.portaudio import PortAudio, say
from jarvis_ear.devices.sound_cards import SoundCards
from jarvis_ear.errors import DeviceError, MicrophoneLost, SpeakerLost


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
    monkeypatch.setattr(library_lock, "LOCK_S", 0.01)
    assert not library.close(stream)
    with pytest.raises(DeviceError, match="did not answer within"):
        library.devices()  # nobody else gets in: the stream that hangs is not pulled away
    card.hangs.set()


def test_who_waits_for_somebody_who_hangs_gives_up(monkeypatch):
    monkeypatch.setattr(library_lock, "LOCK_S", 0.01)
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


def test_a_microphone_under_another_number_is_found_while_somebody_plays():
    room = FakeSoundDevice(Card("box", inputs=0))
    library = room.library()
    playing, _, _ = library.open_output("", latency_s=0.2)
    room.cards.insert(0, Card("mic", outputs=0))
    speaker = threading.Thread(target=step_aside, args=(library, playing))
    speaker.start()
    _, found, _ = library.open_input("mic", rate=16_000, latency_s=0.2)
    speaker.join()
    assert found.name == "mic"
    assert not library.wants_quiet


def step_aside(library, playing) -> None:
    while not library.wants_quiet:
        threading.Event().wait(0.001)
    assert library.close(playing)


def test_a_sound_server_that_was_started_anew_is_looked_at_while_somebody_plays():
    room = FakeSoundDevice(Card("box", inputs=0))
    library = room.library()
    playing, _, _ = library.open_output("", latency_s=0.2)
    room.cards.append(Card("pulse"))  # no card of the kernel: its list stays the same
    speaker = threading.Thread(target=step_aside, args=(library, playing))
    speaker.start()
    _, found, _ = library.open_input("pulse", rate=16_000, latency_s=0.2)
    speaker.join()
    assert found.name == "pulse"


def test_who_does_not_step_aside_is_not_waited_for_long(monkeypatch):
    monkeypatch.setattr(portaudio, "ASIDE_S", 0.01)
    library = FakeSoundDevice(Card("box", inputs=0)).library()
    library.open_output("", latency_s=0.2)
    with pytest.raises(MicrophoneLost):
        library.open_input("mic", rate=16_000, latency_s=0.2)
    assert not library.wants_quiet


def test_a_busy_microphone_says_who_holds_it(tmp_path):
    kernel = Kernel(tmp_path)
    kernel.list_cards({1: "Device"})
    kernel.hold(1, pid=4242, program="arecord")
    room = FakeSoundDevice(Card("box", inputs=0))
    with pytest.raises(MicrophoneLost, match=r"; hw:CARD=Device is held by arecord \(pid 4242\)"):
        room.library(SoundCards(tmp_path)).open_input("device", rate=16_000, latency_s=0.2)


def test_a_microphone_that_does_not_open_says_who_holds_it(tmp_path):
    kernel = Kernel(tmp_path)
    kernel.list_cards({0: "PCH", 1: "Device"})
    kernel.hold(0, pid=4241, program="other")
    kernel.hold(1, pid=4242, program="arecord")
    room = FakeSoundDevice(Card("USB Mic (hw:1,0)"))
    room.refuse = ("Device unavailable", -9985)
    with pytest.raises(MicrophoneLost) as caught:
        room.library(SoundCards(tmp_path)).open_input("usb", rate=16_000, latency_s=0.2)
    assert str(caught.value).endswith(
        "Device unavailable; hw:CARD=Device is held by arecord (pid 4242)"
    )
