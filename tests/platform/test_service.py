"""The whole ear as a service: what it tells the service manager, and when."""

import signal
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from fakes.notify import NotifySocket
from fakes.running_ear import LEVERED, RunningEar
from fakes.vmic import NEEDS_CARD, VirtualCard, vmic

pytestmark = NEEDS_CARD

NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens there


@pytest.fixture
def card(tmp_path: Path) -> VirtualCard:
    """A card that hears an almost quiet room."""
    noise = np.random.default_rng(7).integers(-20, 20, 160_000)
    return vmic(tmp_path, noise.astype(np.int16))


@pytest.fixture
def manager(tmp_path: Path):
    with NotifySocket(tmp_path) as listening:
        yield listening


@pytest.fixture
def service(tmp_path: Path, card: VirtualCard, manager: NotifySocket):

    @contextmanager
    def running(*options: str, watchdog_s: float = 0.0):
        environment = {**card.environment, **manager.environment, "BACKEND_URL": NOWHERE}
        if watchdog_s:
            environment["WATCHDOG_USEC"] = str(int(watchdog_s * 1e6))
        silent = ("--speaker.device", "none", *options)
        with RunningEar(tmp_path, environment, *silent, program=LEVERED) as ear:
            if not (tmp_path / "model").exists():
                manager.wait_for("READY")
            yield ear

    return running


def test_it_is_ready_when_it_hears_and_says_that_it_stops(service, manager):
    with service() as ear:
        assert ear.status()["hearing"]
        manager.wait_for("STATUS", "listening, backend away since ")
        ear.signal(signal.SIGTERM)
        manager.wait_for("STOPPING")
        assert ear.wait_ended(2.0) == 0
    names = [name for message in manager.messages for name in message.values]
    assert names.count("READY") == names.count("STOPPING") == 1
    assert manager.told("STATUS")[0] == "starting: loading the models"
    assert len(manager.told("STATUS")) < 8


def test_without_a_microphone_it_is_ready_and_says_that_it_is_deaf(service, manager, card):
    card.unplug()
    with service("--microphone.device", "vmic") as ear:
        ready = manager.wait_for("READY")
        assert ready.values["STATUS"].startswith("deaf: no microphone (no sound input device")
        manager.wait_for("STATUS", "retry in 4 s")
        card.plug()
        manager.wait_for("STATUS", "listening")
        assert ear.status()["hearing"]


def test_a_microphone_without_sound_is_told_and_its_return(service, manager, card):
    with service():
        card.mute()
        manager.wait_for("STATUS", "deaf: microphone 'default' gives only zeros")
        before = len(manager.messages)
        card.plug()
        manager.wait_for("STATUS", "listening", after=before)


def test_muted_it_is_ready_and_says_so(service, manager):
    with service() as ear:
        ear.ask("mute")
        manager.wait_for("STATUS", "muted by the owner")
    before = len(manager.messages)
    with service():
        ready = manager.wait_for("READY", after=before)
        assert ready.values["STATUS"].startswith("muted by the owner")


def test_it_is_not_ready_before_the_wake_model_has_answered(service, manager, tmp_path):
    (tmp_path / "model").touch()
    with service() as ear:
        ear.wait_hearing()
        manager.wait_for("STATUS", "starting: the wake model is not warm yet")
        assert manager.told("READY") == []
        (tmp_path / "model").unlink()
        manager.wait_for("READY")


def test_what_it_starts_is_told_nothing_of_the_service_manager(service, manager):
    with service("--with-backend", watchdog_s=10.0) as ear:
        children = Path(f"/proc/{ear.pid}/task/{ear.pid}/children").read_text().split()
        environments = [Path(f"/proc/{child}/environ").read_bytes() for child in children]
    assert environments
    forbidden = (b"NOTIFY_SOCKET", b"WATCHDOG", b"JARVIS_EAR_")
    assert [each for each in environments if any(name in each for name in forbidden)] == []


@pytest.mark.parametrize(
    ("lever", "part"), [("model", "wake model"), ("network", "network"), ("ear", "ear thread")]
)
def test_no_stuck_part_feeds_the_watchdog(service, manager, tmp_path, lever, part):
    (tmp_path / "restless").touch()  # the wake model is tested every five seconds
    with service(watchdog_s=1.0) as ear:
        manager.wait_for("WATCHDOG")
        (tmp_path / lever).touch()
        manager.wait_for("STATUS", f"stuck: {part}")
        fed = len(manager.told("WATCHDOG"))
        ear.rest(3.0)
        assert len(manager.told("WATCHDOG")) == fed
        (tmp_path / lever).unlink()
        ear.wait_until(lambda: len(manager.told("WATCHDOG")) > fed)


def test_an_unplugged_microphone_feeds_the_watchdog_and_fills_no_journal(service, manager, card):
    with service(watchdog_s=1.0) as ear:
        card.unplug()
        manager.wait_for("STATUS", "deaf: no microphone")
        manager.wait_for("STATUS", "retry in 4 s")
        fed, said = len(manager.told("WATCHDOG")), len(manager.told("STATUS"))
        ear.rest(10.0)
        assert 15 <= len(manager.told("WATCHDOG")) - fed <= 21
        assert len(manager.told("STATUS")) == said
