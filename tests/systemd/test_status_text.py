from dataclasses import replace

import pytest

from jarvis_ear.hearing.events import State
from jarvis_ear.systemd.status_text import Condition, Service

IDLE = Condition(State.IDLE)
START = Condition(State.IDLE, hearing=False, proofs=0)


class Manager:
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def tell(self, *assignments):
        self.told.append(assignments)


class Dog:
    """Is hungry when it is told to."""

    def __init__(self):
        self.hungry = False

    def is_due(self):
        return self.hungry


@pytest.fixture
def manager():
    return Manager()


@pytest.fixture
def service(manager):
    return Service(manager, monotonic=lambda: 12.5)


def test_a_start_says_each_thing_once(service, manager):
    service.starting()
    for condition in (START, START, IDLE, IDLE):
        service.look(condition, Dog())
    assert manager.told == [
        ("STATUS=starting: loading the models",),
        ("STATUS=starting: the wake model is not warm yet",),
        ("STATUS=listening",),
        ("READY=1", "STATUS=listening"),
    ]


def test_the_status_changes_when_the_words_do(service, manager):
    for state in (State.IDLE, State.IDLE, State.THINKING, State.THINKING, State.IDLE):
        service.look(replace(IDLE, state=state), Dog())
    statuses = [said[-1] for said in manager.told if "READY=1" not in said]
    assert statuses == ["STATUS=listening", "STATUS=thinking", "STATUS=listening"]


def test_the_watchdog_is_fed_when_it_is_due(service, manager):
    dog = Dog()
    service.look(IDLE, dog)
    dog.hungry = True
    service.look(IDLE, dog)
    assert manager.told[-1] == ("WATCHDOG=1",)
    assert manager.told.count(("WATCHDOG=1",)) == 1


def test_a_reload_is_told_and_ends_with_ready(service, manager):
    service.look(IDLE, Dog())
    service.reloading()
    service.look(IDLE, Dog())
    assert manager.told[-2:] == [
        ("RELOADING=1", "MONOTONIC_USEC=12500000"),
        ("READY=1", "STATUS=listening"),
    ]


def test_after_stopping_nothing_is_said(service, manager):
    service.stopping()
    service.stopping()
    service.look(IDLE, Dog())
    assert manager.told == [("STOPPING=1", "STATUS=stopping")]
