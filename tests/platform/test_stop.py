"""The whole ear stops within two seconds, whatever it is doing and whatever becomes of others."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fakes.notify import NotifySocket
from fakes.recordings import in_room, recording
from fakes.running_ear import RunningEar
from fakes.vmic import missing_tools, vmic
from fakes.voice_server import Switches, VoiceServer

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(missing_tools() is not None, reason=str(missing_tools())),
]

TESTS = Path(__file__).parents[1]
STOPPED_S = 2.0
QUESTION = in_room(500, recording("hey-jarvis-what-time-is-it"), 20_000)


class House:
    """A card that hears the question, a backend, and an ear that runs as a service."""

    def __init__(self, folder: Path, server: VoiceServer, manager: NotifySocket):
        self.folder, self.server, self.manager = folder, server, manager
        self.card = vmic(folder, np.asarray(QUESTION))
        environment = {
            **self.card.environment,
            "NOTIFY_SOCKET": manager.address,
            "INVOCATION_ID": "0123456789abcdef0123456789abcdef",
            "BACKEND_URL": server.url,
            "JARVIS_PASSWORD": Switches().password,
            "LEVERS": str(folder),
            "PYTHONPATH": os.pathsep.join((str(TESTS), *filter(None, sys.path))),
        }
        silent = ("--speaker.device", "none")
        self.ear = RunningEar(folder, environment, *silent, program="fakes.levered_ear")

    def until(self, status: str) -> None:
        self.manager.wait_for("STATUS", status)


def idle(house: House) -> None:
    house.manager.wait_for("READY")


def listening(house: House) -> None:
    house.until("heard the wake word")


def capturing(house: House) -> None:
    house.until("capturing")


def thinking(house: House) -> None:
    house.until("thinking")


def deaf(house: House) -> None:
    idle(house)
    house.card.unplug()
    house.until("deaf: no microphone")


def muted(house: House) -> None:
    idle(house)
    house.ear.ask("mute")
    house.until("muted by the owner")


def reconnecting(house: House) -> None:
    idle(house)
    house.server.kill()
    house.until("backend away since")


def stopped_peer(house: House) -> None:
    thinking(house)
    house.server.pause()


def reloading(house: House) -> None:
    idle(house)
    house.ear.signal(signal.SIGHUP)


def loading(house: House) -> None:
    house.until("starting: loading the models")


STATES = (
    idle,
    listening,
    capturing,
    thinking,
    deaf,
    muted,
    reconnecting,
    stopped_peer,
    reloading,
    loading,
)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_it_stops_in_every_state(tmp_path, state):
    switches = Switches(reply="silent")
    with NotifySocket(tmp_path) as manager, VoiceServer(tmp_path, switches) as server:
        house = House(tmp_path, server, manager)
        with house.ear as ear:
            state(house)
            began = time.monotonic()
            ear.signal(signal.SIGTERM)
            assert manager.wait_for("STOPPING").at - began < STOPPED_S
            assert ear.wait_ended() == 0
            took_s = time.monotonic() - began
        assert took_s < STOPPED_S, ear.told()
        assert "Traceback" not in ear.told()
        server.resume()
