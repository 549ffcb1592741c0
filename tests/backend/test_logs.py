"""Lines of the log that clients can cause are written a few times a minute."""

import logging

import pytest

from fakes.clock import FakeClock
from jarvis_backend.process import CLIENT_LOG, LINES, PERIOD_S, LogThrottle, log_to_stderr


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def written(clock):
    """Log a line at a place of the code, and return what is written of it."""
    throttle = LogThrottle(clock.monotonic)

    def log(name, text, *arguments, line=1):
        record = logging.LogRecord(name, logging.WARNING, "x.py", line, text, arguments, None)
        return [record.getMessage()] if throttle.filter(record) else []

    return log


@pytest.mark.parametrize("name", [CLIENT_LOG, "uvicorn.error", "asyncio"])
def test_a_line_is_written_a_few_times_a_minute(clock, written, name):
    lines = [line for number in range(100) for line in written(name, "bad %d", number)]
    assert len(lines) == LINES
    assert lines[0] == "bad 0"
    assert lines[-1] == f"bad {LINES - 1} (more like it are left out for a minute)"
    assert written(name, "another", line=2) == ["another"]
    clock.now += PERIOD_S
    assert written(name, "bad %d", 1) == ["bad 1"]


@pytest.mark.parametrize("name", ["jarvis_backend", "jarvis_backend.app", "uvicornish"])
def test_our_own_lines_are_all_written(written, name):
    assert [written(name, "x") for _ in range(100)] == [["x"]] * 100


def test_the_program_throttles_once(monkeypatch):
    handler = logging.StreamHandler()
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    ours = logging.getLogger("jarvis_backend")
    monkeypatch.setattr(ours, "level", ours.level)
    log_to_stderr("info")
    log_to_stderr("info")
    assert [type(one) for one in handler.filters] == [LogThrottle]
