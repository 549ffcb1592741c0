"""A light and a program follow the whole ear through a turn, and learn no word of it."""

import json
import os
from pathlib import Path

import pytest

from fakes.light import a_light
from fakes.running_ear import RunningEar

pytestmark = pytest.mark.long  # hears a recording as long as it is

RECORDING = Path(__file__).parents[1] / "data" / "hey-jarvis-what-time-is-it.wav"


def test_a_light_and_a_program_follow_a_turn(real_backend, tmp_path):
    seen = tmp_path / "seen"
    program = json.dumps(["/bin/sh", "-c", f"cat > {seen}"])
    with a_light() as light:
        options = (
            *("--backend-url", real_backend, "--input", str(RECORDING), "--speaker.device", "none"),
            *("--hooks.url", f"{light.url}/ear", "--hooks.wake", program),
        )
        with RunningEar(tmp_path, os.environ, *options) as ear:
            assert ear.wait_ended(60) == 0
        assert "hooks." not in ear.told()
    order = ["idle", "wake", "listening", "capturing", "thinking", "speaking", "idle"]
    told = iter(order)
    assert all(name in told for name in light.events)  # in this order; a newer state may replace
    assert {"wake", "capturing", "thinking"} <= set(light.events)
    woken = json.loads(seen.read_text())
    assert woken == next(body for body in light.bodies if body["event"] == "wake")
    turns = {body["turn_id"] for body in light.bodies}
    assert turns == {"", woken["turn_id"]}
    assert "what time" not in json.dumps(light.bodies)
