"""How much the ear says in an hour: the limits of docs/journal.md, with simulated clocks."""

import logging
from collections import Counter
from pathlib import Path

import pytest

from fakes.clock import FakeClock
from fakes.hearing import Kind, ScriptedEar, hear, written
from fakes.source import FakeSource
from fakes.turns import journal_history
from jarvis_ear.delivery.events import (
    Finished,
    ProcessingStarted,
    Sent,
    ThinkingStarted,
    Transcribed,
    Verdict,
)
from jarvis_ear.delivery.playback import PlaybackEnded, PlaybackStarted
from jarvis_ear.devices.capture import Capture, CaptureEvent
from jarvis_ear.errors import ConnectFailed, Disconnected, MicrophoneUnavailable
from jarvis_ear.hearing.events import Effect, ReplyEnded, ReplyStarted, SendUtterance, State
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.link.supervisor import LinkStatus, Supervisor

LOGGER = logging.getLogger("jarvis_ear.test_log_rate")
PAGE = (Path(__file__).parents[2] / "docs" / "journal.md").read_text()
HOUR_S = 3600

FALSE_WAKE = written(Kind.SILENCE, 400, Kind.WORD, 80, Kind.SILENCE, 9520)
TELEVISION = written(Kind.MURMUR, 4000, Kind.SILENCE, 2000, Kind.VOICE, 2000, Kind.NOISE, 2000)
SENTENCE = written(Kind.SILENCE, 400, Kind.WORD, 160, Kind.VOICE, 1600, Kind.SILENCE, 7840)
"""Ten seconds each."""


@pytest.fixture(autouse=True)
def _usual_level(caplog, monkeypatch):
    monkeypatch.setattr("random.random", lambda: 0.5)
    caplog.set_level(logging.INFO, "jarvis_ear")


class House:
    """An ear with its log, and a backend that answers every sentence at once."""

    def __init__(self) -> None:
        self.ear = ScriptedEar().ear
        self.turns = journal_history(LOGGER, transcripts=True)

    def hear(self, sound: bytes) -> None:
        for _, effect in hear(self.ear, sound):
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        self.turns.after(effect)
        if not isinstance(effect, SendUtterance):
            return
        turn_id = effect.turn_id
        for event in (
            Sent(turn_id, 1, 2, 3),
            ProcessingStarted(turn_id),
            Transcribed(turn_id, "what time is it"),
            ThinkingStarted(turn_id, "builtin"),
        ):
            self.turns.after(event)
        self.turns.after(PlaybackStarted(turn_id))
        self._tell(ReplyStarted(turn_id))
        self.turns.after(Finished(turn_id, Verdict.DONE, "", 1))
        self.turns.after(PlaybackEnded(turn_id))
        self._tell(ReplyEnded(turn_id))

    def _tell(self, event) -> None:
        for effect in self.ear.tell(event):
            self.turns.after(effect)


def told(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]


def ends(caplog) -> Counter[str]:
    return Counter(vars(record).get("OUTCOME", "") for record in caplog.records) - Counter(
        {"": 1e9}
    )


def test_a_quiet_house_says_nothing(caplog):
    house = House()
    for _ in range(30):
        house.hear(written(Kind.SILENCE, 9000, Kind.NOISE, 1000))
    assert told(caplog) == []


def test_a_television_alone_says_nothing(caplog):
    house = House()
    for _ in range(12):
        house.hear(TELEVISION)
    assert told(caplog) == []


def test_a_false_wake_is_three_lines(caplog):
    house = House()
    for _ in range(30):
        house.hear(FALSE_WAKE)
    assert ends(caplog)["no_speech"] == 30
    assert len(told(caplog)) == 3 * 30
    assert "| a wake that nobody follows up, such as a false one | 3," in PAGE


def test_a_turn_is_ten_lines_at_most(caplog):
    house = House()
    for _ in range(30):
        house.hear(SENTENCE)
    assert ends(caplog)["done"] == 30
    assert len(told(caplog)) <= 10 * 30
    assert "| a turn | at most 10 |" in PAGE


def capture(clock: FakeClock) -> Capture:
    return Capture(
        FakeSource(),
        Inbox(),
        on_end=lambda _: None,
        monotonic=clock.monotonic,
    )


@pytest.mark.parametrize("reasons", [("gone",), ("gone", "busy"), tuple("abcdefghij")])
def test_a_microphone_that_is_away(caplog, reasons):
    clock = FakeClock()
    reader = capture(clock)
    for attempt in range(HOUR_S // 4):
        reader._fail(MicrophoneUnavailable(reasons[attempt % len(reasons)]))
        clock.now += 4.0
    assert 6 <= len(told(caplog)) <= 24
    assert [record.levelno for record in caplog.records].count(logging.WARNING) == 1


def test_a_loose_cable(caplog):
    clock = FakeClock()
    reader, ear = capture(clock), House().ear
    for _ in range(HOUR_S):
        reader._fail(MicrophoneUnavailable("gone"))
        clock.now += 0.5
        reader._advance(CaptureEvent.SOUND)
        clock.now += 0.5
    assert 20 <= len(told(caplog)) <= 24
    assert "comes and goes every second | at most 24 an hour |" in PAGE
    assert ear.state is State.IDLE


class Backend:
    """A supervisor, its clock, and what happens to it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.supervisor = Supervisor(
            dialer=None,
            serve=None,
            status=LinkStatus(),
            url="http://a:1",
            clock=self.clock.monotonic,
        )

    def fail(self, error) -> None:
        self.clock.now += self.supervisor._failed(error)

    def hold(self, seconds: float) -> None:
        self.supervisor._reached()
        self.clock.now += seconds
        self.supervisor._series.lasted(seconds)
        self.fail(Disconnected("gone"))


def test_a_backend_that_is_away(caplog):
    backend = Backend()
    while backend.clock.now < HOUR_S + 1000:
        backend.fail(ConnectFailed("refused"))
    backend.supervisor._reached()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


@pytest.mark.parametrize(("holds_s", "most"), [(1.0, 3), (29.0, 3), (31.0, 240)])
def test_a_backend_that_comes_and_goes(caplog, holds_s, most):
    backend = Backend()
    began_at = backend.clock.now
    while backend.clock.now < began_at + HOUR_S:
        backend.hold(holds_s)
    assert 2 <= len(told(caplog)) <= most
    assert "at most 4 a minute if it comes and goes all the time" in PAGE
