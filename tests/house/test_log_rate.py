"""How much the ear says in an hour: the limits of docs/journal.md, with simulated clocks."""

import logging
from collections import Counter
from pathlib import Path

import pytest

from fakes.clock import FakeClock
from fakes.hearing import Kind, ScriptedEar, hear, written
from fakes.source import FakeSource
from fakes.turns import journal_history
from jarvis_ear.delivery import events as delivery
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
            delivery.Sent(turn_id, 1, 2, 3),
            delivery.ProcessingStarted(turn_id),
            delivery.Transcribed(turn_id, "what time is it"),
            delivery.ThinkingStarted(turn_id, "builtin"),
            PlaybackStarted(turn_id),
            *self.ear.tell(ReplyStarted(turn_id)),
            delivery.Finished(turn_id, delivery.Verdict.DONE, "", 1),
            PlaybackEnded(turn_id),
            *self.ear.tell(ReplyEnded(turn_id)),
        ):
            self.turns.after(event)


def told(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]


@pytest.mark.parametrize(
    ("sound", "ending", "lines", "row"),
    [
        (written(Kind.SILENCE, 9000, Kind.NOISE, 1000), None, (0, 0), ""),
        (TELEVISION, None, (0, 0), ""),
        (
            *(FALSE_WAKE, "no_speech", (90, 90)),
            "| a wake without a command, such as a false one | 3,",
        ),
        (SENTENCE, "done", (0, 300), "| a turn | at most 10 |"),
    ],
    ids=["quiet", "television", "false wakes", "turns"],
)
def test_what_is_heard_thirty_times_is_logged_in_few_lines(caplog, sound, ending, lines, row):
    house = House()
    for _ in range(30):
        house.hear(sound)
    outcomes = Counter(vars(record).get("OUTCOME") for record in caplog.records)
    assert outcomes[ending] == 30 or ending is None
    assert lines[0] <= len(told(caplog)) <= lines[1]
    assert row in PAGE


def capture(clock: FakeClock) -> Capture:
    return Capture(FakeSource(), Inbox(), on_end=lambda _: None, monotonic=clock.monotonic)


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
    """A supervisor and its clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        parts = {"dialer": None, "serve": None, "status": LinkStatus(), "url": "http://a:1"}
        self.supervisor = Supervisor(**parts, clock=self.clock.monotonic)

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
