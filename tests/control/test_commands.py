from datetime import datetime
from types import SimpleNamespace

import pytest

from jarvis_ear.control.commands import ControlCommands
from jarvis_ear.mute import Mute

OWNER, OPEN = {"muted_by": ["owner"], "stored": True}, {"muted_by": [], "stored": True}


@pytest.fixture
def make(tmp_path):
    """Make the commands of an ear that hears."""

    def make(**parts):
        mute = Mute(tmp_path, None, wall=datetime.now)
        health = SimpleNamespace(report=lambda: {"hearing": True})
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


def test_other_commands_do_nothing(make):
    error = "expected one of status, mute, unmute, toggle, stop, hush, watch"
    assert make().answer("reboot") == {"error": error}


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
