"""The brain answers the text of an utterance. The built-in one needs no model and no key."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from jarvis_backend.engines.engine import StatelessEngine


class Brain(Protocol):
    """Answers utterances. Lives on the loop."""

    provider: str
    """Name that satellites receive while it works."""

    async def answer(self, text: str) -> str:
        """Return the answer to ``text``, empty for no answer. Raises EngineError."""
        ...

    async def aclose(self) -> None:
        """Release all resources."""


class HouseholdBrain(StatelessEngine):
    """Knows the time and the date, and repeats everything else. Lives on the loop."""

    provider = "builtin"

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Use ``now``, the local wall clock."""
        self._now = now

    async def answer(self, text: str) -> str:
        """Return the answer at once."""
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


def _is_question(words: list[str], about: set[str]) -> bool:
    asks = {"what", "what's", "whats", "which", "tell"}
    return not asks.isdisjoint(words) and not about.isdisjoint(words)


def _clock(now: datetime) -> str:
    return f"{now.hour % 12 or 12}:{now.minute:02} {'AM' if now.hour < 12 else 'PM'}"  # noqa: PLR2004 - noon


def _date(now: datetime) -> str:
    return f"{now:%A}, {now:%B} {now.day}, {now.year}"
