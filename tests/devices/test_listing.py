from fakes.kernel import Kernel
from fakes.portaudio import Card, FakeSoundDevice
from jarvis_ear.devices.diagnose import SoundCards
from jarvis_ear.devices.portaudio import PortAudio
from jarvis_ear.devices.selection import describe


def cards(tmp_path, *names):
    for name in names:
        (tmp_path / name).touch()
    return tmp_path


def test_inputs_and_outputs_are_listed_with_their_defaults(tmp_path):
    room = FakeSoundDevice(Card("mic", outputs=0), Card("box", inputs=0, outputs=2, rate=48_000))
    assert describe(room.library(), snd=cards(tmp_path, "pcmC0D0c")) == (
        "Microphones (inputs)\n"
        "*   0  mic  (ALSA, 16000 Hz, 1 channel)\n"
        "\n"
        "Speakers (outputs)\n"
        "*   1  box  (ALSA, 48000 Hz, 2 channels)\n"
        "\n"
    )


def test_others_than_the_default_have_no_mark(tmp_path):
    room = FakeSoundDevice(Card("a"), Card("b"))
    assert "\n    1  b  (ALSA" in describe(room.library(), snd=tmp_path)


def test_without_portaudio(tmp_path):
    def absent():
        raise OSError("PortAudio library not found")

    said = describe(PortAudio(absent), snd=tmp_path)
    assert said == "PortAudio is not installed: apt install libportaudio2\n"


def test_without_a_sound_card(tmp_path):
    library = FakeSoundDevice().library()
    for folder in (tmp_path, tmp_path / "missing"):
        said = describe(library, snd=folder)
        assert said.count("  none\n") == 2
        assert f"The kernel shows no sound card (no pcm devices in {folder})" in said


def test_without_permission(tmp_path):
    folder = cards(tmp_path, "pcmC0D0c", "pcmC0D0p", "timer")
    library = FakeSoundDevice(Card("default", inputs=0)).library()
    said = describe(library, snd=folder, accessible=lambda path: path.name.endswith("p"))
    assert "This user may not use the sound card (pcmC0D0c).\n" in said
    assert "usermod -aG audio" in said


def test_with_cards_that_nobody_can_open(tmp_path):
    said = describe(FakeSoundDevice().library(), snd=cards(tmp_path, "pcmC0D0c"))
    assert "PortAudio cannot open them" in said


def test_what_another_program_holds_is_said(tmp_path):
    kernel = Kernel(tmp_path)
    kernel.list_cards({1: "Device"})
    kernel.hold(1, pid=42, program="arecord")
    folder = cards(tmp_path, "pcmC1D0c")
    said = describe(FakeSoundDevice().library(), snd=folder, cards=SoundCards(tmp_path))
    assert said.endswith("hw:CARD=Device is held by arecord (pid 42).\n")


def test_a_card_is_listed_with_the_name_that_stays(tmp_path):
    Kernel(tmp_path).list_cards({1: "Device"})
    room = FakeSoundDevice(Card("USB (hw:1,0)"))
    said = describe(room.library(), snd=tmp_path, cards=SoundCards(tmp_path))
    assert "0  USB (hw:1,0)  hw:CARD=Device  (ALSA" in said
