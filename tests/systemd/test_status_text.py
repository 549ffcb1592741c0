"""The status of the service: its text, when it is sent to the manager, and an outage."""

from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace

import pytest

from fakes.clock import FakeClock
from jarvis_ear.hearing.events import State
from jarvis_ear.systemd.status_text import BackendOutage, Condition, Service, status

IDLE = Condition(State.IDLE)
DEAF = replace(IDLE, state=State.DEAF, hearing=False)
MUTED = replace(DEAF, state=State.MUTED)
START = replace(IDLE, hearing=False, proofs=0)
NO_MIC = "deaf: no microphone"


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (IDLE, "listening"),
        (START, "starting: the wake model is not warm yet"),
        (replace(START, proofs=1), "waiting for the microphone"),
        (replace(START, proofs=1, stuck=("sound",)), "waiting for the microphone"),
        (replace(IDLE, state=State.LISTENING), "heard the wake word"),
        (replace(IDLE, state=State.CAPTURING), "capturing an utterance"),
        (replace(IDLE, state=State.THINKING), "thinking"),
        (replace(IDLE, state=State.SPEAKING), "speaking"),
        (replace(IDLE, state=State.FOLLOW_UP), "listening for a follow-up"),
        (DEAF, NO_MIC),
        (replace(DEAF, retry_s=4), f"{NO_MIC}, retry in 4 s"),
        (replace(DEAF, lost="gone; there are: 0", retry_s=0.5), f"{NO_MIC} (gone), retry in 1 s"),
        (replace(DEAF, silence="usb gives only zeros"), "deaf: usb gives only zeros"),
        (replace(DEAF, silence="zeros", lost="gone"), f"{NO_MIC} (gone)"),
        (replace(DEAF, silence="x" * 300), f"deaf: {'x' * 117}..."),
        (MUTED, "muted"),
        (replace(IDLE, muted_by=("owner",)), "muted by the owner"),
        (replace(MUTED, muted_by=("clock", "owner")), "muted by the clock and the owner"),
        (replace(MUTED, muted_by=("clock",), muted_until="7:00"), "muted by the clock until 7:00"),
        (replace(IDLE, backend="backend away since 12:03"), "listening, backend away since 12:03"),
        (replace(IDLE, speaker="gone; there are: 0 'box'"), "listening, no loudspeaker (gone)"),
        (replace(IDLE, stuck=("ear thread", "sound")), "listening, stuck: ear thread, sound"),
        (replace(IDLE, reload="2 mistakes"), "listening; 2 mistakes"),
    ],
)
def test_status_text(condition, words):
    assert status(condition) == words


def test_a_long_reason_is_truncated():
    words = status(replace(DEAF, lost="x" * 1000 + "\nmore"))
    assert len(words) < 150
    assert words.endswith("xxx...)")


def test_every_state_has_a_text():
    assert all(status(replace(IDLE, state=state)) for state in State)


@pytest.mark.parametrize(
    ("condition", "ready"),
    [
        (START, False),
        (replace(START, proofs=1), False),
        (replace(START, hearing=True), False),
        (IDLE, True),
        (DEAF, True),
        (MUTED, True),
        (replace(MUTED, proofs=0), False),
    ],
)
def test_when_the_service_is_ready(condition, ready):
    assert condition.is_ready is ready


NOT_DUE, DUE = (SimpleNamespace(is_due=lambda is_due=is_due: is_due) for is_due in (False, True))


@pytest.fixture
def sent():
    """The messages that the manager gets."""
    return []


@pytest.fixture
def service(sent):
    manager = SimpleNamespace(tell=lambda *assignments: sent.append(assignments))
    return Service(manager, monotonic=lambda: 12.5)


def test_a_start_reports_each_status_once(service, sent):
    service.starting()
    for condition in (START, START, IDLE, IDLE):
        service.look(condition, NOT_DUE)
    assert sent == [
        ("STATUS=starting: loading the models",),
        ("STATUS=starting: the wake model is not warm yet",),
        ("STATUS=listening",),
        ("READY=1", "STATUS=listening"),
    ]


def test_a_status_is_sent_only_when_it_changes(service, sent):
    for state in (State.IDLE, State.IDLE, State.THINKING, State.THINKING, State.IDLE):
        service.look(replace(IDLE, state=state), NOT_DUE)
    statuses = [said[-1] for said in sent if "READY=1" not in said]
    assert statuses == ["STATUS=listening", "STATUS=thinking", "STATUS=listening"]


def test_the_watchdog_is_fed_when_it_is_due(service, sent):
    service.look(IDLE, NOT_DUE)
    service.look(IDLE, DUE)
    assert sent[-1] == ("WATCHDOG=1",)
    assert sent.count(("WATCHDOG=1",)) == 1


def test_a_reload_is_reported_and_ends_with_ready(service, sent):
    service.look(IDLE, NOT_DUE)
    service.reloading()
    service.look(IDLE, NOT_DUE)
    assert sent[-2:] == [
        ("RELOADING=1", "MONOTONIC_USEC=12500000"),
        ("READY=1", "STATUS=listening"),
    ]


def test_after_stopping_nothing_is_sent(service, sent):
    service.stopping()
    service.stopping()
    service.look(IDLE, NOT_DUE)
    assert sent == [("STOPPING=1", "STATUS=stopping")]


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def away(clock):
    return BackendOutage(monotonic=clock.monotonic, wall=lambda: datetime(2026, 5, 1, 12, 3))  # noqa: DTZ001 - the wall's


def test_an_outage_is_reported_with_its_beginning(away, clock):
    said = []
    for connected in (True, False, False, False, True, False):
        said.append(away.look(connected=connected, refused=False))
        clock.now += 1.5
    assert said == ["", "", "", "backend away since 12:03", "", ""]


def test_a_refused_password_is_reported_at_once(away):
    assert away.look(connected=False, refused=True) == "the backend does not accept the password"
