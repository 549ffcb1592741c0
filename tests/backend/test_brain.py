"""The built-in brain: what people say to it, and what it answers."""

import asyncio
import json
import logging
import re
from contextlib import aclosing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from jarvis_backend.brain import ABILITIES, UNKNOWN, HouseholdBrain, Question
from jarvis_backend.household import timers
from jarvis_backend.household.timer_commands import WHEN
from jarvis_backend.household.timers import KEEP_S, MAX_TIMERS, Timer, TimerFile, TooManyTimers
from jarvis_backend.household.volume_commands import HOW_LOUD
from jarvis_ear.wires.messages import VolumeRequest

NOW = datetime(2024, 5, 6, 15, 7).astimezone()


class Home:
    """A brain with a clock of its own, and the rooms where it speaks."""

    def __init__(self, folder, now=NOW):
        self.now = now
        self.folder = folder
        self.rooms = {"kitchen", "study"}
        self.heard = asyncio.Queue()
        self.volumes = []
        self.brain = HouseholdBrain(lambda: self.now, folder)

    def ask(self, text, room="kitchen"):
        return self.brain.known_answer(Question(text, room, self.volumes.append))

    def wait(self, **length):
        self.now += timedelta(**length)
        self.brain._runner.wake()

    def can_speak(self, room):
        return bool(self.rooms) if not room else room in self.rooms

    async def announce(self, room, text):
        self.heard.put_nowait((room, text))

    async def next(self):
        async with asyncio.timeout(10):
            return await self.heard.get()


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "state")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("what time is it", "It is 3:07 PM."),
        ("What's the time?", "It is 3:07 PM."),
        ("what is the date today", "Today is Monday, May 6, 2024."),
        ("what day is it", "Today is Monday, May 6, 2024."),
        ("repeat the house is Blue", "the house is Blue"),
        ("Thanks.", "You are welcome."),
        ("What can you do?", ABILITIES),
        ("Stop.", ""),
        ("never mind", ""),
        ("What is twelve times seven?", "That is 84."),
        ("how much is one hundred divided by eight", "That is 12.5."),
        ("15% of 80", "That is 12."),
        ("square root of two", "That is about 1.4142."),
        ("two to the power of ten minus minus three squared", "That is 1033."),
        ("calculate 12,500 plus two point five", "That is 12502.5."),
        ("ten divided by zero", "Nothing can be divided by zero."),
        ("nine to the power of nine hundred", "I cannot calculate that number."),
        ("How many centimeters are in an inch?", "1 inch is 2.54 centimetres."),
        ("convert ten miles to kilometers", "10 miles are about 16.09 kilometres."),
        ("what is 32 fahrenheit in celsius", "32 degrees Fahrenheit are 0 degrees Celsius."),
        ("how many litres is 5 miles", "Miles cannot be converted to litres."),
        ("how many days are there in a week", "1 week is 7 days."),
        *((text, None) for text in ("what time is it in Tokyo", "what is five", "who was Bach")),
        *((text, None) for text in ("set the time machine", "turn on", "20 percent", "1 +", "((")),
    ],
)  # fmt: skip
def test_the_brain_answers_what_it_knows(home, text, expected):
    assert home.ask(text) == expected


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        *((text, VolumeRequest(change=10)) for text in (
            "Louder.", "louder, please", "volume up", "turn it up", "turn up the volume",
            "turn the volume up", "Can you speak louder?", "raise the volume", "you're too quiet",
        )),
        *((text, VolumeRequest(change=-10)) for text in (
            "quieter", "be quieter", "softer", "volume down", "turn it down", "it's too loud",
            "turning that down", "lower the volume please",
        )),
        *((text, VolumeRequest(change=5)) for text in ("a bit louder", "turn it up a little")),
        *((text, VolumeRequest(change=-20)) for text in ("much quieter", "turn it down a lot")),
        ("increase the volume by twenty five percent", VolumeRequest(change=25)),
        *((text, VolumeRequest(40)) for text in (
            "set the volume to forty percent", "Volume 40", "volume at 40%", "turn it up to forty",
            "change your volume to 40", "turn the volume down to 40 percent",
        )),
        *((text, VolumeRequest(100)) for text in (
            "maximum volume", "full volume", "volume to the maximum", "set the volume to max",
        )),
        *((text, VolumeRequest(50)) for text in ("half volume", "set the volume to half")),
    ],
)  # fmt: skip
def test_a_person_makes_it_louder_or_quieter(home, text, request_):
    answer = home.ask(text)
    assert home.volumes == [request_]
    if request_.percent is None:
        assert answer == ("Louder." if request_.change > 0 else "Quieter.")
    else:
        assert answer == f"Volume {request_.percent} percent."


def test_a_volume_without_a_number_is_asked_for_and_nothing_else_changes_it(home):
    assert home.ask("set the volume") == HOW_LOUD
    assert home.ask("thirty percent") == "Volume 30 percent."
    assert home.volumes[-1] == VolumeRequest(30)
    del home.volumes[:]
    assert home.ask("thirty percent") is None
    assert home.ask("be quiet") == ""
    others = ("turn up the heating", "what is the volume of a sphere", "mute", "turn it off")
    assert [home.ask(text) for text in (*others, "put it down")] == [None] * 5
    assert home.ask("volume 400") == "The volume goes from 0 to 100 percent."
    assert set(home.volumes) <= {VolumeRequest()}


@pytest.mark.parametrize(
    ("hour", "clock"), [(0, "12:07 AM"), (11, "11:07 AM"), (12, "12:07 PM"), (23, "11:07 PM")]
)
async def test_the_clock_goes_round_twice_a_day(home, hour, clock):
    home.now = NOW.replace(hour=hour)
    async with aclosing(home.brain.answer(Question("what time is it"))) as pieces:
        assert [piece async for piece in pieces] == [f"It is {clock}."]


async def test_what_it_does_not_know_it_says_plainly(home):
    async with aclosing(home.brain.answer(Question("who was Bach"))) as pieces:
        assert [piece async for piece in pieces] == [UNKNOWN]


def test_each_room_has_its_own_last_words(home):
    assert home.ask("what did I say") == "You have not said anything yet."
    assert home.ask("say that again") == "I have not said anything yet."
    home.ask("What time is it?")
    home.ask("who was Bach", "study")
    assert home.ask("what did I say") == "You said: What time is it?"
    assert home.ask("Repeat that, please.") == "It is 3:07 PM."
    assert home.ask("what did I just say", "study") == "You said: who was Bach"


SET = [
    ("set a timer for five minutes", "Timer: 5 minutes."),
    ("Set a 20 minute timer called laundry.", "Laundry timer: 20 minutes."),
    ("set a pasta timer for an hour and a half", "Pasta timer: 1 hour and 30 minutes."),
    ("timer ninety seconds", "Timer: 1 minute and 30 seconds."),
    ("Set a timer for half an hour for the eggs.", "Eggs timer: 30 minutes."),
    ("wake me at six", "Alarm set for 6:00 AM on Tuesday."),
    ("set an alarm for seven thirty", "Alarm set for 7:30 PM."),
    ("set an alarm for quarter to five p.m.", "Alarm set for 4:45 PM."),
    ("set an alarm for half past three in the afternoon", "Alarm set for 3:30 PM."),
    ("set an alarm for 17:45 tomorrow", "Alarm set for 5:45 PM on Tuesday."),
    ("set an alarm for noon", "Alarm set for 12:00 PM on Tuesday."),
    ("set an alarm in ten minutes", "Alarm set for 3:17 PM."),
    ("remind me to call mom in ten minutes", "I will remind you in 10 minutes."),
    ("remind me at six to feed the cat", "I will remind you at 6:00 PM."),
    ("remind me of the cake", WHEN),
    ("set a timer for ten days", "A timer can last from one second to seven days."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SET)
def test_timers_alarms_and_reminders_are_set(home, text, expected):
    assert home.ask(text) == expected


def test_several_timers_are_told_apart_and_cancelled(home):
    assert home.ask("how long is left on the timer") == "No timer is set."
    for text in ("set a timer for five minutes", "set a pasta timer for ten minutes"):
        home.ask(text)
    home.ask("set a timer for an hour", "study")
    home.now += timedelta(minutes=1)
    assert home.ask("how long is left on the pasta timer?") == "9 minutes left."
    assert home.ask("how much time is left") == (
        "5 minute timer, 4 minutes left; pasta timer, 9 minutes left."
    )
    assert home.ask("cancel the timer") == (
        "There are 2: 5 minute timer and pasta timer. Which one?"
    )
    assert home.ask("stop the cake timer") == "There is no such timer."
    assert home.ask("stop the five minute timer") == "Cancelled: 5 minute timer."
    assert home.ask("cancel the timer") == "Cancelled: pasta timer."
    assert home.ask("how long is left on the timer") == "59 minutes left."  # the one in the study
    home.ask("set an alarm for seven thirty p m")
    home.ask("set an alarm for eight")
    assert home.ask("which alarms are set") == "Alarm for 7:30 PM; alarm for 8:00 PM."
    assert home.ask("cancel the alarm for eight") == "Cancelled: alarm for 8:00 PM."
    assert home.ask("cancel all alarms") == "Cancelled: alarm for 7:30 PM."


def test_a_question_of_the_brain_is_answered_without_the_command(home):
    assert home.ask("set a timer") == "For how long?"
    assert home.ask("ten minutes") == "Timer: 10 minutes."
    assert home.ask("ten minutes") is None
    assert home.ask("set an alarm") == "For what time?"
    assert home.ask("seven in the morning") == "Alarm set for 7:00 AM on Tuesday."
    home.ask("set an alarm")
    assert home.ask("what time is it") == "It is 3:07 PM."


@pytest.mark.parametrize(
    ("text", "late", "expected"),
    [
        (SET[0][0], {"minutes": 5}, "Your 5 minute timer is over."),
        (SET[2][0], {"minutes": 95}, "Your pasta timer ended 5 minutes ago."),
        ("set an alarm for half past three pm", {"minutes": 23}, "It is 3:30 PM: your alarm."),
        (SET[12][0], {"minutes": 10}, "A reminder: call mom."),
    ],
)
async def test_a_timer_is_announced_once_in_its_room(home, text, late, expected):
    home.ask(text)
    home.brain.start(home)
    home.wait(**late)
    assert await home.next() == ("kitchen", expected)
    home.wait(minutes=1)
    home.ask("set a timer for one second", "study")
    home.wait(seconds=1)
    assert (await home.next())[0] == "study"
    await home.brain.aclose()
    assert TimerFile(home.folder).all() == []


async def test_timers_survive_a_restart_and_another_process_cancels_them(home, monkeypatch):
    monkeypatch.setattr(timers, "POLL_S", 0.02)
    home.ask("set a timer for five minutes")
    home.ask("set a tea timer for five minutes")
    later, other = Home(home.folder, home.now), Home(home.folder, home.now)
    later.brain.start(later)
    assert other.ask("cancel the tea timer") == "Cancelled: tea timer."
    later.now += timedelta(minutes=5)
    assert await later.next() == ("kitchen", "Your 5 minute timer is over.")
    await later.brain.aclose()
    assert later.heard.empty()
    (file,) = home.folder.iterdir()
    assert (file.stat().st_mode & 0o777, home.folder.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_an_absent_room_is_waited_for_and_then_another_one_is_told(
    home, monkeypatch, caplog, until
):
    monkeypatch.setattr(timers, "RETRY_S", 0.01)
    home.rooms = set()
    home.ask("set a timer for five minutes")
    home.brain.start(home)
    home.wait(minutes=5)
    await asyncio.sleep(0.05)  # nothing can be waited for: nothing must happen
    assert home.heard.empty()
    home.rooms = {"study"}
    home.wait(minutes=2)
    assert await home.next() == ("", "Your 5 minute timer ended 2 minutes ago.")
    home.rooms = set()
    home.ask("set a timer for one minute")
    home.wait(seconds=KEEP_S + 100)
    await until(lambda: not TimerFile(home.folder).all())
    await home.brain.aclose()
    assert "nobody could be told" in caplog.text


def test_there_is_a_bound(tmp_path, home):
    file = TimerFile(tmp_path / "state")
    for _ in range(MAX_TIMERS):
        file.add(Timer("kitchen", 1e12, duration_s=5))
    with pytest.raises(TooManyTimers):
        file.add(Timer("kitchen", 1e12))
    assert home.ask("set a timer for one hour") == "There are too many timers. Cancel one first."


@pytest.mark.parametrize("content", ["{", '{"a": 1}', '[{"room": 1}, 5]', "\0"])
def test_a_damaged_file_is_told_and_replaced(home, caplog, content):
    home.folder.mkdir()
    (home.folder / timers.FILE).write_text(content)
    assert home.ask("set a timer for five minutes") == "Timer: 5 minutes."
    assert caplog.records
    (row,) = json.loads((home.folder / timers.FILE).read_text())
    assert row["duration_s"] == 300


def test_without_a_folder_timers_are_kept_in_memory_and_it_is_told_once(tmp_path, caplog):
    (tmp_path / "file").touch()
    home = Home(tmp_path / "file" / "state")
    home.ask("set a timer for five minutes")
    assert home.ask("how long is left on the timer") == "5 minutes left."
    assert home.ask("cancel the timer") == "Cancelled: 5 minute timer."
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "timers are lost at a restart" in caplog.text


def test_every_sentence_that_the_page_promises_is_understood(home):
    page = (Path(__file__).parents[2] / "docs" / "backend.md").read_text()
    table = page.partition("## What you can say")[2].partition("\n\nIf a command")[0]
    promised = re.findall(r'"([^"]+)"', table)
    assert len(promised) > 15
    assert [text for text in promised if home.ask(text) is None] == []
