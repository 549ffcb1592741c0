import threading
from multiprocessing import Pipe

import pytest

from fakes.portaudio import Card, FakeSoundDevice
from jarvis_ear.devices.portaudio_process import SoundServer
from jarvis_ear.devices.sound_library import Device, StreamFailed, Taken
from jarvis_ear.errors import MicrophoneUnavailable, SpeakerLost

MICROPHONE = {"wanted": "", "rate": 16_000, "latency_s": 0.2, "channel": "0"}


@pytest.fixture
def room():
    return FakeSoundDevice(Card("box", rates=(16_000,)))


@pytest.fixture
def ask(room):
    ours, theirs = Pipe()
    server = threading.Thread(target=SoundServer(theirs, room.library).serve)
    server.start()

    def ask(verb, **words):
        ours.send((verb, words))
        assert ours.poll(10)
        return ours.recv()

    yield ask
    ours.close()
    server.join(10)
    assert not server.is_alive()


def test_it_lists_and_names_the_default(ask):
    assert ask("devices") == ((Device(0, "box", "ALSA", 1, 1, 16_000),), None)
    assert ask("default", kind="input") == (0, None)


def test_it_reads_and_writes_and_closes(ask, room):
    card = room.cards[0]
    (device, rate, _, _), error = ask("open_input", **MICROPHONE)
    assert (device.name, rate, error) == ("box", 16_000, None)
    card.heard += b"\1\0\2\0"
    assert ask("take", least=1, most=1) == (Taken(b"\1\0", overflowed=False, waiting=1), None)
    assert ask("take", least=1, most=9) == (Taken(b"\2\0"), None)
    assert ask("take", least=1, most=9) == (Taken(), None)
    assert ask("close") == (None, None)
    ask("open_output", wanted="", latency_s=0.2)
    assert ask("write_available") == (card.room, None)
    assert ask("write", data=b"\3\0") == (None, None)
    assert bytes(card.played) == b"\3\0"
    ask("close")
    assert room.open_streams == []


def test_an_error_is_an_answer(ask, room):
    ask("open_input", **MICROPHONE)
    room.cards[0].plugged = False
    _, error = ask("take", least=1, most=1)
    assert isinstance(error, StreamFailed)
    assert str(error) == "Unanticipated host error (No such device)"
    ask("close")
    assert isinstance(ask("open_input", **MICROPHONE)[1], MicrophoneUnavailable)
    assert isinstance(ask("open_output", wanted="", latency_s=0.2)[1], SpeakerLost)
