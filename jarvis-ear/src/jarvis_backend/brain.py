"""Brain: what answers. The built-in one needs no model and no key."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol


class Brain(Protocol):
    """Turns what was said into what is answered. Lives on the loop."""

    provider: str
    """Name that satellites are told while it thinks."""

    async def answer(self, text: str) -> str:
        """Answer ``text``, or raise ``EngineError``. Empty: there is nothing to say."""
        ...

    async def aclose(self) -> None:
        """Give back what it holds."""
        ...


class HouseholdBrain:
    """Knows the time and the date, and otherwise says what it understood. Lives on the loop."""

    provider = "builtin"

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Take ``now``, the local wall clock."""
        self._now = now

    async def answer(self, text: str) -> str:
        """Answer at once."""
        words = text.lower().strip(" .!?").split()
        if words[:1] == ["repeat"] and len(words) > 1:
            return text.split(maxsplit=1)[1]
        if words[:2] == ["thank", "you"] or words[:1] == ["thanks"]:
            return "You are welcome."
        if _is_question(words, about={"time"}):
            return f"It is {_clock(self._now())}."
        if _is_question(words, about={"date", "day"}):
            return f"Today is {_date(self._now())}."
        return f"You said: {text}"

    async def aclose(self) -> None:
        """Nothing is held."""


def _is_question(words: list[str], about: set[str]) -> bool:
    asks = {"what", "what's", "whats", "which", "tell"}
    return not asks.isdisjoint(words) and not about.isdisjoint(words)


def _clock(now: datetime) -> str:
    return f"{now.hour % 12 or 12}:{now.minute:02} {'AM' if now.hour < 12 else 'PM'}"  # noqa: PLR2004 - noon


def _date(now: datetime) -> str:
    return f"{now:%A}, {now:%B} {now.day}, {now.year}"
