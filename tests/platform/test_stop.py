"""The whole ear stops within two seconds, whatever it is doing and whatever becomes of others."""

import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from fakes.recordings import COMMAND_STARTS_MS, QUESTION, in_room, recording
from fakes.running_ear import EarService
from fakes.side_by_side import SideBySide
from fakes.vmic import NEEDS_CARD
from fakes.voice_server import Switches, VoiceServer
from jarvis_ear.units import samples

pytestmark = NEEDS_CARD

STOPPED_S = 2.0
WAKE_WORD = recording(QUESTION)[: samples(COMMAND_STARTS_MS[QUESTION] - 200)]
WHOLE = in_room(500, recording(QUESTION), 20_000)
NOTHING_MORE = in_room(500, WAKE_WORD, 20_000)


SAID = {
    "listening": "heard the wake word",
    "loading": "starting: loading the models",
    "stopped_peer": "thinking",
    "stopped_peer_in_mid_sentence": "capturing",
    **{state: state for state in ("capturing", "thinking", "speaking")},
}
"""What an ear says of itself in a state that it comes into by what it hears."""


def come_into(house: EarService, state: str) -> None:
    if state in SAID:
        house.until(SAID[state])
    else:
        house.manager.wait_for("READY")
    match state:
        case "deaf":
            house.card.unplug()
            house.until("deaf: no microphone")
        case "muted":
            house.ear.ask("mute")
            house.until("muted by the owner")
        case "reconnecting":
            house.server.kill()
            house.until("backend away since")
        case "stopped_peer" | "stopped_peer_in_mid_sentence":
            house.server.pause()
        case "reloading":
            house.ear.signal(signal.SIGHUP)


STATES = ("idle", "deaf", "muted", "reconnecting", "reloading", *SAID)
STREAMED = ("voice-ws", "session", "realtime")
CASES = [
    *((state, "socketio") for state in STATES),
    *(("stopped_peer_in_mid_sentence", wire) for wire in STREAMED),
]


@dataclass(frozen=True, slots=True)
class End:
    told_s: float
    """From the signal until the service manager was told."""
    took_s: float
    """From the signal until the process was gone."""
    status: int
    log: str


@contextmanager
def house_in(folder: Path, state: str, wire: str):
    """Have an ear of its own come into a state."""
    reply = "speech" if state == "speaking" else "silent"
    silent = () if state == "speaking" else ("--speaker.device", "none")
    sound = NOTHING_MORE if state == "listening" else WHOLE
    options = ("--backend.protocol", wire, *silent)
    with (
        VoiceServer(folder, Switches(reply=reply), wire=wire) as server,
        EarService(folder, sound, *options, BACKEND_URL=server.url) as house,
    ):
        house.server = server
        come_into(house, state)
        yield house
        server.resume()


def stop(folder: Path, state: str, wire: str) -> End:
    with house_in(folder, state, wire) as house:
        began = time.monotonic()
        house.ear.signal(signal.SIGTERM)
        status = house.ear.wait_ended()
        took_s = time.monotonic() - began
        told_s = house.manager.wait_for("STOPPING").at - began
    return End(told_s, took_s, status, house.ear.told())


@pytest.fixture(scope="module")
def stops(request, tmp_path_factory):
    """All that are asked for, side by side: they mostly wait."""
    asked = [item.callspec.params["case"] for item in request.session.items if has_case(item)]
    scenarios = {case: partial(stop, state=case[0], wire=case[1]) for case in asked}
    with SideBySide(tmp_path_factory.mktemp("stops"), scenarios) as running:
        yield running


def has_case(item) -> bool:
    return item.path == Path(__file__) and hasattr(item, "callspec")


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_it_stops_in_every_state(stops, case):
    end = stops.outcome(case)
    assert end.took_s < STOPPED_S, end.log
    assert end.told_s < STOPPED_S
    assert end.status == 0
    assert "Traceback" not in end.log


def test_a_second_signal_ends_it_at_once(tmp_path):
    with house_in(tmp_path, "idle", "socketio") as house:
        (tmp_path / "ear").touch()  # a thread that hangs would be waited for
        house.until("stuck: ear thread")
        house.ear.signal(signal.SIGTERM)
        house.manager.wait_for("STOPPING")
        began = time.monotonic()
        house.ear.signal(signal.SIGTERM)
        assert house.ear.wait_ended() == 128 + signal.SIGTERM
        assert time.monotonic() - began < STOPPED_S / 4
