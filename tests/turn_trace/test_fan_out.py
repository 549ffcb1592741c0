from jarvis_ear.turn_trace.trace import FanOut


class Scribe:
    def __init__(self, told: list) -> None:
        self._told = told

    def __getattr__(self, name: str):
        return lambda *what: self._told.append((name, *what))


def test_everybody_is_told_everything_in_order():
    first, second = [], []
    all_of_them = FanOut(Scribe(first), Scribe(second))
    all_of_them.effect("an effect")
    all_of_them.delivery("an event")
    all_of_them.reply_started("ab")
    all_of_them.reply_heard("ab", "a playback")
    all_of_them.reply_ended("ab")
    assert first == second
    assert first == [
        ("effect", "an effect"),
        ("delivery", "an event"),
        ("reply_started", "ab"),
        ("reply_heard", "ab", "a playback"),
        ("reply_ended", "ab"),
    ]
