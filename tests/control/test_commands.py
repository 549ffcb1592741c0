import threading
from datetime import datetime
from types import SimpleNamespace

import pytest

from jarvis_ear.control.commands import ControlCommands
from jarvis_ear.errors import ConfigError, ConnectFailed, InputError
from jarvis_ear.mute import Mute

OPEN = {"muted_by": [], "muted_until": "", "stored": True}
OWNER = {**OPEN, "muted_by": ["owner"]}


@pytest.fixture
def make(tmp_path):
    """Make the commands of an ear that hears."""

    def make(*, hearing=True, **parts):
        mute = Mute(tmp_path, None, wall=datetime.now)
        health = SimpleNamespace(report=lambda: {"hearing": True}, hearing=hearing)
        return ControlCommands(health, mute, **parts)

    return make


def test_a_command_is_carried_out_and_answered(make):
    stopped = []
    commands = make(on_stop=lambda: stopped.append("now"))
    assert commands.answer("status") == {"hearing": True}
    for word, answer in (("mute", OWNER), ("toggle", OPEN), ("toggle", OWNER), ("unmute", OPEN)):
        assert commands.answer(word) == answer
    assert stopped == []
    for word in ("stop", "hush"):  # the older name
        assert commands.answer(word) == OPEN
    assert stopped == ["now", "now"]


def test_a_mute_for_some_seconds(make):
    commands = make()
    answer = commands.answer("mute 60")
    assert answer["muted_by"] == ["owner"]
    assert answer["muted_until"]
    assert commands.answer("mute") == OWNER
    for number in ("0", "-1", "90001", "30m", "1 2", "\N{SUPERSCRIPT TWO}"):
        error = "expected mute, or mute and 1 to 90000 seconds"
        assert commands.answer(f"mute {number}") == {"error": error}
    assert commands.answer("unmute") == OPEN


def test_an_ear_that_hears_nothing_does_not_listen(make):
    asked = []
    for word, why in (("mute", "is muted: jarvis-ear unmute"), ("unmute", "no sound")):
        commands = make(hearing=word == "mute", on_listen=lambda: asked.append("now"))
        commands.answer(word)
        refused = commands.answer("listen")
        assert (why in refused["error"], refused["status"]) == (True, 1)
    assert asked == []
    assert make(on_listen=lambda: asked.append("now")).answer("listen") == OPEN
    assert asked == ["now"]


def test_a_sound_is_said_or_refused(make):
    said = []
    assert make(on_say=said.append).take("say-sound", b"RIFF") == {"said": True}
    assert said == [b"RIFF"]

    def refuse(_audio):
        raise InputError("it is empty")

    answer = make(on_say=refuse).take("say-sound", b"RIFF")
    assert answer == {"error": "it is empty", "status": 66}


def test_a_text_is_said_in_a_thread_of_its_own_one_at_a_time(make):
    said, may_end = [], threading.Event()

    def speak(text):
        assert may_end.wait(10)
        said.append((text, threading.current_thread().name))
        raise ConnectFailed("the backend is away")

    commands = make(on_speak=speak)
    answer = commands.take("say-text", b"Dinner\nis  ready\x1b\xff")
    assert commands.take("say-text", b"again")["status"] == 75
    may_end.set()
    assert answer.result(10) == {"error": "the backend is away", "status": 69}
    assert said == [("Dinner is ready\x1b\N{REPLACEMENT CHARACTER}", "jarvis-ear-say")]


def test_other_commands_do_nothing(make):
    words = "status, mute, unmute, toggle, stop, listen, hush, volume, metrics, tune, watch"
    error = f"expected one of {words}"
    for word in ("reboot", "mute-7", "volume"):  # without a loudspeaker
        assert make().answer(word) == {"error": error}


class Speaker:
    volume = 100
    stored = True

    def set_volume(self, percent: int, _by: str) -> bool:
        self.volume = percent
        return self.stored


def test_the_volume_is_shown_and_set(make):
    speaker = Speaker()
    commands = make(speaker=speaker)
    assert commands.answer("volume") == {"volume": 100, "stored": True}
    for percent in (40, 0, 100):
        assert commands.answer(f"volume {percent}") == {"volume": percent, "stored": True}
    speaker.stored = False
    assert commands.answer("volume 7") == {"volume": 7, "stored": False}


@pytest.mark.parametrize("number", ["101", "-1", "4.5", "loud", "1 2", "\N{SUPERSCRIPT TWO}"])
def test_a_volume_that_is_none_is_refused(make, number):
    speaker = Speaker()
    answer = make(speaker=speaker).answer(f"volume {number}")
    assert answer == {"error": "expected volume and a whole number from 0 to 100"}
    assert speaker.volume == 100


class Tuner:
    """Stores what it is given, and refuses what the test says."""

    def __init__(self, error: Exception | None = None):
        self.values = {}
        self.error = error

    def set(self, given):
        if self.error:
            raise self.error
        self.values |= given
        return self.values

    def forget(self):
        self.values.clear()


def test_options_are_tuned_and_forgotten(make):
    tuner = Tuner()
    commands = make(tuner=tuner)
    answer = commands.answer("tune threshold=0.4 hangover_ms=900")
    assert answer == {"tuned": {"threshold": "0.4", "hangover_ms": "900"}}
    assert commands.answer("tune default") == {"tuned": {}}
    assert tuner.values == {}
    assert "expected tune default" in commands.answer("tune")["error"]
    refused = make(tuner=Tuner(ConfigError("too low"))).answer("tune threshold=7")
    assert refused == {"error": "too low", "status": 78}
    full = make(tuner=Tuner(OSError(28, "No space left"))).answer("tune threshold=0.4")
    assert full == {"error": "it cannot be stored: No space left", "status": 1}
    assert "error" in make().answer("tune threshold=0.4")  # an ear that cannot


class Bus:
    is_member = True

    def __init__(self) -> None:
        self.switched = []

    def switch_module(self, module: str, *, enabled: bool) -> None:
        self.switched.append((module, enabled))


def test_modules_are_switched_if_there_is_a_bus(make):
    assert "error" in make().answer("vision-off")
    bus = Bus()
    commands = make(modules=bus)
    for word in ("vision-off", "action-on"):
        assert "error" not in commands.answer(word)
    assert bus.switched == [("vision", False), ("action", True)]
    assert "error" in commands.answer("audio-off")  # the microphone is muted, not switched
    bus.is_member = False
    assert "error" in commands.answer("vision-off")
    assert len(bus.switched) == 2
