from datetime import datetime

import pytest

from jarvis_ear.control.commands import ControlCommands
from jarvis_ear.mute import Mute


class Healthy:
    def report(self) -> dict:
        return {"hearing": True}


@pytest.fixture
def orders(tmp_path):
    mute = Mute(tmp_path, None, wall=datetime.now)
    return ControlCommands(Healthy(), mute)


def test_what_the_commands_do(orders):
    assert orders.answer("status") == {"hearing": True}
    assert orders.answer("mute") == {"muted_by": ["owner"], "stored": True}
    assert orders.answer("toggle") == {"muted_by": [], "stored": True}
    assert orders.answer("toggle") == {"muted_by": ["owner"], "stored": True}
    assert orders.answer("unmute") == {"muted_by": [], "stored": True}


def test_other_commands_do_nothing(orders):
    assert orders.answer("reboot") == {
        "error": "expected one of status, mute, unmute, toggle, hush, watch"
    }


class Bus:
    is_member = True

    def __init__(self) -> None:
        self.switched = []

    def switch_module(self, module: str, *, enabled: bool) -> None:
        self.switched.append((module, enabled))


def test_modules_are_switched_if_there_is_a_bus(orders, tmp_path):
    assert "error" in orders.answer("vision-off")
    bus, mute = Bus(), Mute(tmp_path, None, wall=datetime.now)
    on_a_bus = ControlCommands(Healthy(), mute, modules=bus)
    for word in ("vision-off", "action-on"):
        assert "error" not in on_a_bus.answer(word)
    assert bus.switched == [("vision", False), ("action", True)]
    assert "error" in on_a_bus.answer("audio-off")  # the microphone is muted, not switched
    bus.is_member = False
    assert "error" in on_a_bus.answer("vision-off")
    assert len(bus.switched) == 2


def test_hush_is_passed_on(tmp_path):
    hushed = []
    mute = Mute(tmp_path, None, wall=datetime.now)
    orders = ControlCommands(Healthy(), mute, on_hush=lambda: hushed.append("now"))
    assert orders.answer("hush") == {"muted_by": [], "stored": True}
    assert hushed == ["now"]
