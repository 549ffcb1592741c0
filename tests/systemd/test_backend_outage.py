from datetime import datetime

import pytest

from fakes.clock import FakeClock
from jarvis_ear.systemd.status_text import BackendOutage


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def away(clock):
    return BackendOutage(monotonic=clock.monotonic, wall=lambda: datetime(2026, 5, 1, 12, 3))  # noqa: DTZ001 - the wall's


def test_it_reports_since_when(away, clock):
    said = []
    for connected in (True, False, False, False, True, False):
        said.append(away.look(connected=connected, refused=False))
        clock.now += 1.5
    assert said == ["", "", "", "backend away since 12:03", "", ""]


def test_a_refused_password_is_reported_at_once(away):
    assert away.look(connected=False, refused=True) == "the backend does not accept the password"
