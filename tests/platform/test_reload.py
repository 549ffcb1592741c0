"""The whole ear reads its configuration again, in a real process, on a real file."""

import signal
from pathlib import Path

import numpy as np
import pytest

from fakes.bus_server import BusServer
from fakes.recordings import QUESTION, recording
from fakes.running_ear import EarService
from fakes.side_by_side import SideBySide
from fakes.vmic import NEEDS_CARD
from fakes.voice_server import VoiceServer

pytestmark = NEEDS_CARD


class Service(EarService):
    """An ear as a service with a file of options, which its manager asks to reload."""

    def __init__(self, folder: Path, sound: np.ndarray, url: str):
        self.file = folder / "config.toml"
        self.backend = f"[backend]\nurl = '{url}'\n"
        self.write()
        super().__init__(folder, sound, "--config", str(self.file))

    def __enter__(self):
        super().__enter__()
        self.manager.wait_for("READY")
        return self

    def write(self, text: str = "") -> None:
        half = self.file.with_suffix(".new")
        half.write_text(f"[speaker]\ndevice = 'none'\n{self.backend}{text}")
        half.replace(self.file)

    def ask_reload(self) -> None:
        self.before = len(self.manager.messages)
        self.ear.signal(signal.SIGHUP)
        self.manager.wait_for("RELOADING", after=self.before)

    def reload(self, text: str = "") -> str:
        self.write(text)
        self.ask_reload()
        return self.manager.wait_for("READY", after=self.before).values["STATUS"]


def quiet() -> np.ndarray:
    return np.random.default_rng(7).integers(-20, 20, 160_000).astype(np.int16)


@pytest.fixture(scope="module")
def turns(tmp_path_factory):
    """The scenarios with speech, which take long, beside the other tests."""
    scenarios = {scenario: scenario for scenario in (in_the_middle_of_a_turn, while_one_waits)}
    with SideBySide(tmp_path_factory.mktemp("turns"), scenarios) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with VoiceServer(tmp_path_factory.mktemp("server")) as backend:
        yield backend


@pytest.fixture(scope="module")
def long_running(tmp_path_factory, server, turns):
    with Service(tmp_path_factory.mktemp("service"), quiet(), server.url) as running:
        yield running


@pytest.fixture
def service(long_running, server):
    """One ear for all tests, with the configuration that it had at its start."""
    long_running.backend = f"[backend]\nurl = '{server.url}'\n"
    status = long_running.reload()
    assert "restart" not in status
    long_running.ear.wait_hearing()
    return long_running


def test_what_can_change_changes_and_what_cannot_is_named(service):
    service.ear.wait_connected()
    changes = "[log]\nlevel = 'debug'\n[hearing.wake]\nthreshold = 0.7\n"
    status = service.reload(f"{changes}[spool]\nenabled = false\n")
    assert status.endswith("; a restart is needed for spool.enabled")
    service.ear.wait_for("read again; changed: hearing.wake.threshold, log.level")
    service.ear.wait_for("only after a restart: spool.enabled")
    assert service.reload() == "listening"


def test_a_bad_file_leaves_the_old_configuration_in_force(service):
    status = service.reload("[hearing.wake]\nthreshold = 7\npatience = 'x'\n[nonsense]\na = 1\n")
    assert "has 3 mistakes, see the log" in status
    line = service.ear.wait_for("the new configuration is refused")
    assert "threshold" in line
    assert "nonsense" in line
    assert service.ear.status()["hearing"]
    assert service.ear.status()["connected"]
    assert service.reload() == "listening"


def test_the_microphone_is_another_one(service):
    service.reload("[microphone]\ndevice = 'elsewhere'\n")
    service.until("deaf: no microphone (no input device matches 'elsewhere'")
    service.reload("[microphone]\ndevice = 'vmic'\n")
    service.ear.wait_hearing()


def test_quiet_hours_begin_and_end_by_reload(service):
    service.reload("[microphone]\nmute_between = '00:00-23:59'\n")
    service.until("muted by the clock until 23:59")
    service.reload()
    service.ear.wait_hearing()


def test_the_ear_is_changed_while_muted_and_stays_so(service):
    service.ear.ask("mute")
    service.until("muted by the owner")
    service.reload("[hearing.wake]\nthreshold = 0.7\n")
    service.ear.wait_for("changed: hearing.wake.threshold")
    assert service.ear.status()["state"] == "muted"
    service.ear.ask("unmute")
    service.ear.wait_hearing()


def test_a_bus_is_joined_under_the_name_in_force_and_left(service):
    with BusServer() as bus:
        for number, name in enumerate(["kitchen", "hall"], start=1):
            service.reload(f"agent_id = '{name}'\n[bus]\nurl = '{bus.url}'\n")
            bus.wait(lambda number=number: len(bus.heard) == number)
        assert [said["data"]["agentId"] for said in bus.heard] == ["kitchen", "hall"]
        service.reload("agent_id = 'hall'\n")
        bus.wait_for_parted(2)
    assert service.ear.status()["bus"] == "off"


def test_another_backend_is_reached(service, tmp_path):
    service.ear.wait_connected()
    with VoiceServer(tmp_path) as other:
        service.backend = f"[backend]\nurl = '{other.url}'\n"
        service.reload()
        service.ear.wait_for(f"backend reached at {other.url}")
        service.ear.wait_connected()


def spoken() -> np.ndarray:
    return np.concatenate([quiet()[:8000], recording(QUESTION), np.tile(quiet(), 6)])


def in_the_middle_of_a_turn(folder: Path) -> tuple[int, int]:
    """Ask for another backend during speech; return how many utterances each has got."""
    with (
        VoiceServer(folder) as server,
        VoiceServer(folder) as other,
        Service(folder, spoken(), server.url) as service,
    ):
        service.ear.wait_for("-> capturing")
        service.backend = f"[backend]\nurl = '{other.url}'\n"
        service.write("[hearing]\nfollow_up_ms = 4000\n")
        service.ask_reload()
        service.until("a new configuration waits for the end of the turn")
        assert len(service.manager.told("READY")) == 1
        service.ear.wait_for(": done in")
        service.ear.wait_for("read again; changed: hearing.follow_up_ms, backend.url")
        service.manager.wait_for("READY", after=service.before)
        service.ear.wait_for(f"backend reached at {other.url}")
        service.card.unplug()
        service.until("deaf: no microphone")
        service.card.plug()  # the question is asked once more
        service.ear.wait_for("-> follow_up")
        return len(server.received("end")), len(other.received("end"))


def while_one_waits(folder: Path) -> int:
    """Ask for other options while the backend hangs; return how many utterances it has got."""
    with VoiceServer(folder) as server:
        server.pause()
        with Service(folder, spoken(), server.url) as service:
            service.ear.wait_for("capturing -> thinking")
            service.write("connect_s = 2\n[log]\nlevel = 'debug'\n")
            service.ask_reload()
            service.until("waits for the end of the turn")
            server.resume()
            service.manager.wait_for("READY", after=service.before)
            service.ear.wait_for("changed: backend.connect_s, log.level")
            service.ear.wait_connected()
            return len(server.received("end"))


def test_nothing_changes_in_the_middle_of_a_turn(turns):
    assert turns.outcome(in_the_middle_of_a_turn) == (1, 1)


def test_a_sentence_that_waits_for_its_backend_is_not_lost_and_not_repeated(turns):
    assert turns.outcome(while_one_waits) == 1
