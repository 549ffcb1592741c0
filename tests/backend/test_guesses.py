"""Wrong passwords are counted for a minute, and for so many addresses."""

from jarvis_backend import guesses as module
from jarvis_backend.guesses import WINDOW_S, Guesses
from jarvis_backend.message_queue import NoQueue


def test_they_are_forgotten_after_a_minute_and_of_others_first(run, monkeypatch):
    monkeypatch.setattr(module, "ADDRESSES", 2)
    now = [0.0]
    guesses = Guesses(1, NoQueue(), lambda: now[0])

    async def scene():
        await guesses.wrong("a")
        assert guesses.are_too_many("a")
        assert not guesses.are_too_many("b")
        assert not guesses.are_too_many("c")  # and "a" had to make room
        assert not guesses.are_too_many("a")
        await guesses.wrong("a")
        now[0] += WINDOW_S
        assert not guesses.are_too_many("a")

    run(scene())
