from dataclasses import replace

import pytest

from jarvis_ear.hearing.events import State
from jarvis_ear.systemd.status_text import Condition, Service

IDLE = Condition(State.IDLE)
START = Condition(State.IDLE, hearing=False, proofs=0)


class Manager:
    """Records the messages."""

    def __init__(self):
        self.sent = []

    def tell(self, *assignments):
        self.sent.append(assignments)


class FakeWatchdog:
    """A watchdog that is due when the test says so."""

    def __init__(self):
        self.due = False

    def is_due(self):
        return self.due


@pytest.fixture
def manager():
    return Manager()


@pytest.fixture
def service(manager):
    return Service(manager, monotonic=lambda: 12.5)


def test_a_start_reports_each_status_once(service, manager):
    service.starting()
    for condition in (START, START, IDLE, IDLE):
        service.look(condition, FakeWatchdog())
    assert manager.sent == [
        ("STATUS=starting: loading the models",),
        ("STATUS=starting: the wake model is not warm yet",),
        ("STATUS=listening",),
        ("READY=1", "STATUS=listening"),
    ]


def test_a_status_is_sent_only_when_it_changes(service, manager):
    for state in (State.IDLE, State.IDLE, State.THINKING, State.THINKING, State.IDLE):
        service.look(replace(IDLE, state=state), FakeWatchdog())
    statuses = [said[-1] for said in manager.sent if "READY=1" not in said]
    assert statuses == ["STATUS=listening", "STATUS=thinking", "STATUS=listening"]


def test_the_watchdog_is_fed_when_it_is_due(service, manager):
    watchdog = FakeWatchdog()
    service.look(IDLE, watchdog)
    watchdog.due = True
    service.look(IDLE, watchdog)
    assert manager.sent[-1] == ("WATCHDOG=1",)
    assert manager.sent.count(("WATCHDOG=1",)) == 1


def test_a_reload_is_reported_and_ends_with_ready(service, manager):
    service.look(IDLE, FakeWatchdog())
    service.reloading()
    service.look(IDLE, FakeWatchdog())
    assert manager.sent[-2:] == [
        ("RELOADING=1", "MONOTONIC_USEC=12500000"),
        ("READY=1", "STATUS=listening"),
    ]


def test_after_stopping_nothing_is_sent(service, manager):
    service.stopping()
    service.stopping()
    service.look(IDLE, FakeWatchdog())
    assert manager.sent == [("STOPPING=1", "STATUS=stopping")]
