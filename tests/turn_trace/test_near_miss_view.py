"""What the log, the console and the status tell about near misses."""

import logging

import pytest

from fakes.clock import FakeClock
from jarvis_ear.config import Config, HearingOptions, WakeOptions
from jarvis_ear.control.feed import Feed
from jarvis_ear.control.report_text import describe
from jarvis_ear.hearing.events import NearMiss, ShadowDiffered, StopSpeaking, WordSound
from jarvis_ear.turn_trace.near_miss_view import MAX_RECENT, NearMissView, advice
from jarvis_ear.units import Dbfs, Samples

GOOD = WordSound(Dbfs(-20.0), Dbfs(-60.0), 0.0)


def miss(score=0.31, sound=GOOD):
    return NearMiss(Samples(0), score, sound)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def view(clock):
    feed = Feed()
    made = NearMissView(
        logging.getLogger("near"), feed, monotonic=clock.monotonic, wall=lambda: 99.0
    )
    made.feed = feed
    made.change(Config(hearing=HearingOptions(wake=WakeOptions(threshold=0.5))))
    return made


@pytest.fixture
def records(caplog):
    caplog.set_level(logging.DEBUG, "near")
    return lambda: caplog.records


@pytest.mark.parametrize(
    ("sound", "score", "reason", "remedy"),
    [
        (WordSound(Dbfs(-1.0), Dbfs(-60.0), 0.01), 0.3, "clipped", "lower the gain"),
        (WordSound(Dbfs(-55.0), Dbfs(-80.0), 0.0), 0.3, "very quiet", "raise the gain"),
        (WordSound(Dbfs(-20.0), Dbfs(-32.0), 0.0), 0.3, "louder than the room", "speak nearer"),
        (GOOD, 0.3, "not sure", "hearing.wake.threshold"),
        (GOOD, 0.6, "too short", "hearing.wake.patience"),
    ],
)
def test_the_advice_fits_what_was_measured(sound, score, reason, remedy):
    found = advice(miss(score, sound), 0.5)
    assert reason in found.reason
    assert remedy in found.remedy


def test_each_is_logged_at_debug_and_shown_in_the_console(view, records):
    view.draw(StopSpeaking("ab"), None)
    view.draw(miss(0.314), None)
    [record] = records()
    assert record.levelno == logging.DEBUG
    assert record.getMessage().startswith('nearly "Hey Jarvis" (score 0.31 of 0.5): the sound was')
    assert (record.EVENT, record.WAKE_SCORE, record.LEVEL) == ("NearMiss", 0.314, -20.0)
    assert (record.NOISE_FLOOR, record.CLIPPED_PERCENT) == (-60.0, 0.0)
    shown = view.feed.snapshot().topics["near_miss"]
    assert (shown["at"], shown["score"]) == (99.0, 0.31)
    assert "wake model" in shown["reason"]


def test_once_an_hour_they_are_counted_with_the_best(view, records, clock):
    view.look()
    for score in (0.3, 0.42, 0.2):
        view.draw(miss(score), None)
        clock.now += 60
    view.look()
    clock.now += 3600 - 180 - 1
    view.look()
    assert [record.levelno for record in records()] == [logging.DEBUG] * 3
    clock.now += 1
    view.look()
    told = records()[-1]
    assert told.levelno == logging.INFO
    assert told.getMessage().startswith(
        "3 near misses of the wake word in an hour, best score 0.42 of 0.5: "
    )
    assert "lower hearing.wake.threshold" in told.getMessage()
    assert (told.EVENT, told.NEAR_MISSES, told.WAKE_SCORE) == ("NearMisses", 3, 0.42)
    clock.now += 7200
    view.look()
    assert len(records()) == 4
    view.draw(miss(), None)
    clock.now += 3600
    view.look()
    assert records()[-1].getMessage().startswith("1 near miss of the wake word")


def test_the_status_tells_those_of_the_last_hour(view, clock):
    assert dict(view.details()) == {"near_misses_in_hour": 0}
    view.draw(miss(0.4), None)
    clock.now += 3000
    view.draw(miss(0.25, WordSound(Dbfs(-52.04), Dbfs(-70.0), 0.0)), None)
    clock.now += 5
    details = view.details()
    assert details["near_misses_in_hour"] == 2
    assert (details["near_miss_best_score"], details["near_miss_s_ago"]) == (0.4, 5)
    assert (details["near_miss_level_dbfs"], details["near_miss_reason"]) == (
        -52.0,
        "it was very quiet",
    )
    clock.now += 700
    assert view.details()["near_misses_in_hour"] == 1
    assert view.counters() == {"near_misses": 2}


def test_only_the_newest_are_kept_and_all_are_counted(view):
    for _ in range(MAX_RECENT + 10):
        view.draw(miss(), None)
    assert view.details()["near_misses_in_hour"] == MAX_RECENT
    assert view.counters() == {"near_misses": MAX_RECENT + 10}


def test_a_person_reads_the_reason_and_what_to_do(view):
    report = {"state": "idle", "hearing": True, "stuck": [], "turns": [], "muted_by": []}
    report |= {"heard_s_ago": 0.0, "deaf_s_today": 0.0}
    assert "near miss" not in describe({**report, **view.details()})
    view.draw(miss(0.414), None)
    text = describe({**report, **view.details()})
    assert "near misses     1 of the wake word in the last hour, best score 0.41\n" in text
    assert "                0 s ago: the sound was good enough" in text
    assert "  to do         if that was you: set hearing.wake.strictness to eager" in text
    assert "near_miss" not in text


def test_what_the_shadow_threshold_would_have_done_is_logged_and_counted(view, records):
    wake = WakeOptions(threshold=0.5, shadow_threshold=0.35)
    view.change(Config(hearing=HearingOptions(wake=wake)))
    view.draw(ShadowDiffered(Samples(0), 0.41, woke=False), None)
    view.draw(ShadowDiffered(Samples(0), 0.6, woke=True), None)
    first, second = records()
    assert first.getMessage() == (
        "a threshold of 0.35 would have woken (score 0.41, threshold 0.5)"
    )
    assert "of 0.35 would not have woken (score 0.60" in second.getMessage()
    assert (first.EVENT, first.WAKE_SCORE) == ("ShadowDiffered", 0.41)
    assert view.counters() == {"near_misses": 0, "shadow_wakes": 1, "shadow_misses": 1}
