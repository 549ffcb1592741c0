"""The built-in brain."""

from datetime import datetime

import pytest

from jarvis_backend.brain import HouseholdBrain

NOW = datetime(2024, 5, 6, 15, 7)  # noqa: DTZ001 - the local time of the test


async def answer(text, now=NOW):
    return await HouseholdBrain(lambda: now).answer(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("what time is it", "It is 3:07 PM."),
        ("What's the time?", "It is 3:07 PM."),
        ("what is the date today", "Today is Monday, May 6, 2024."),
        ("what day is it", "Today is Monday, May 6, 2024."),
        ("repeat the house is Blue", "the house is Blue"),
        ("thank you", "You are welcome."),
        ("Thanks.", "You are welcome."),
        *((text, f"You said: {text}") for text in ("repeat", "set the time machine", "turn on")),
    ],
)
async def test_the_brain_answers_what_it_knows_and_repeats_the_rest(text, expected):
    assert await answer(text) == expected


@pytest.mark.parametrize(
    ("hour", "clock"), [(0, "12:07 AM"), (11, "11:07 AM"), (12, "12:07 PM"), (23, "11:07 PM")]
)
async def test_the_clock_goes_round_twice_a_day(hour, clock):
    assert await answer("what time is it", NOW.replace(hour=hour)) == f"It is {clock}."
