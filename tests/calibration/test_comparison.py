"""`jarvis-ear calibrate` with several microphones: which one it recommends, and when none."""

import json
from pathlib import Path

import numpy as np
import pytest

from fakes.microphones import OneMicrophone
from fakes.recordings import in_room, recording
from jarvis_ear import cli
from jarvis_ear.audio.frames import Block
from jarvis_ear.calibration import command
from jarvis_ear.devices import portaudio_process
from jarvis_ear.devices.diagnose import SoundCard
from jarvis_ear.devices.sound_library import Device
from jarvis_ear.devices.sources import EndOfSound
from jarvis_ear.errors import MicrophoneBusy, MicrophoneUnavailable
from jarvis_ear.units import Samples, samples

WORD = recording("hey-jarvis")
CARDS = tuple(SoundCard(n, name, name) for n, name in enumerate(("Near", "Far", "Dead", "Gone")))
SERVER = Device(9, "pulse", "ALSA", 32, 32, 44_100)
MONITOR = Device(8, "Monitor of X (hw:1,1)", "ALSA", 2, 0, 48_000, monitor=True)


def words(gain: float):
    return np.concatenate([in_room(1200, WORD, 4000, gain=gain)[: samples(4000)]] * 20)


SOUNDS = {"hw:CARD=Near": words(1.0), "hw:CARD=Far": words(0.02)}


class Heard:
    """A microphone that plays what it hears; one without sound cannot be opened."""

    live = True

    def __init__(self, options):
        self.name, self.position = options.device, Samples(0)
        self._sound = SOUNDS.get(options.device)

    def open(self):
        if self._sound is None:
            raise MicrophoneUnavailable(f"{self.name} gave no sound")

    def read(self):
        part = self._sound[self.position : self.position + samples(40)]
        if not len(part):
            raise EndOfSound
        block = Block(self.position, part.astype("<i2").tobytes())
        self.position = block.end
        return block

    def close(self):
        """It stays."""


@pytest.fixture
def microphones(monkeypatch):
    """Return a function that plugs microphones in, by their numbers."""

    def plug(*numbers, make=Heard):
        library = OneMicrophone(np.zeros((1, 1)))
        found = [Device(n, f"USB (hw:{n},0)", "ALSA", 1, 0, 48_000) for n in numbers]
        monkeypatch.setattr(library, "devices", lambda: (*found, MONITOR, SERVER))
        monkeypatch.setattr(portaudio_process, "for_input", lambda: library)
        monkeypatch.setattr(command.SoundCards, "all", lambda _self: CARDS)
        monkeypatch.setattr(command, "make_source", make)

    return plug


def compared(capsys, *more):
    assert cli.main(["calibrate", "--compare", "--json", *map(str, more)]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_microphone_that_hears_best_is_recommended_by_its_stable_name(microphones, capsys):
    microphones(2, 1, 0)
    found = compared(capsys)
    assert set(found) == {"format", "microphones", "changes", "file"}
    dead, far, near = found["microphones"]
    fields = {"device", "name", "words", "heard", "score", "snr_db", "problem"}
    assert set(dead) == set(far) == set(near) == fields
    page = (Path(__file__).parents[2] / "docs" / "replay.md").read_text()
    assert [name for name in fields if f"`{name}`" not in page] == []
    assert (near["device"], near["heard"], near["words"]) == ("hw:CARD=Near", 2, 2)
    assert near["snr_db"] > far["snr_db"] + 10
    assert dead["problem"] == "hw:CARD=Dead gave no sound"
    [change] = found["changes"]
    assert (change["key"], change["old"], change["new"]) == (
        "microphone.device",
        "",
        "hw:CARD=Near",
    )
    assert change["why"].startswith("the best of 3 microphones: 2 of 2 words heard")
    assert compared(capsys, "--device", "hw:CARD=Near")["changes"] == []


def test_people_are_guided_and_the_choice_is_written(microphones, capsys, tmp_path):
    microphones(0, 1)
    options = tmp_path / "config.toml"
    options.write_text("[hearing.wake]\nthreshold = 0.5\n")
    assert cli.main(["calibrate", "--compare", "--yes", "--config", str(options)]) == 0
    said = capsys.readouterr()
    assert said.err.count("now\n") == 4
    assert 'Microphone 2 of 2, USB (hw:1,0): at each "now", say "Hey Jarvis" once' in said.err
    assert "* hw:CARD=Near             2 of 2 words heard" in said.out
    assert 'device = "hw:CARD=Near"' in options.read_text()


def test_a_calibration_goes_on_with_the_best_microphone(microphones, capsys, monkeypatch):
    microphones(1, 0)
    monkeypatch.setattr(command.session, "measure_lag", lambda *_: "there is no loudspeaker")
    assert cli.main(["calibrate", "--words", "2", "--minutes", "0", "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert "Calibration with hw:CARD=Near." in said.err
    assert [each["device"] for each in found["microphones"]] == ["hw:CARD=Far", "hw:CARD=Near"]
    assert found["changes"][0]["new"] == "hw:CARD=Near"


def test_a_single_microphone_is_not_compared(microphones, capsys):
    microphones(0)
    assert compared(capsys)["microphones"] == []
    assert cli.main(["calibrate", "--compare", "--room", "room.wav"]) == 64
    assert "expected microphones, not recordings" in capsys.readouterr().err
    assert cli.main(["calibrate", "--compare"]) == 0
    said = capsys.readouterr()
    assert said.err == "There is one microphone, USB (hw:0,0): nothing to compare.\n"
    assert said.out == ""


def test_a_microphone_in_use_and_none_that_works_are_errors(microphones, capsys):
    class Held(Heard):
        def open(self):
            raise MicrophoneBusy("microphone 'usb' is held by jarvis-ear")

    microphones(0, 1, make=Held)
    assert cli.main(["calibrate", "--compare"]) == 69
    assert "held by jarvis-ear; stop the running ear first" in capsys.readouterr().err
    microphones(2, 3)
    assert cli.main(["calibrate", "--compare"]) == 69
    assert "no microphone can be used: hw:CARD=Dead gave no sound" in capsys.readouterr().err
