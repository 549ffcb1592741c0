"""The brain answers the text of an utterance. The built-in one needs no model and no key."""

import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from jarvis_backend.engines.engine import StatelessEngine
from jarvis_backend.household.calculation import calculated, converted
from jarvis_backend.household.spoken_numbers import normalised, spoken_time
from jarvis_backend.household.timer_commands import TimerCommands
from jarvis_backend.household.timers import Announcer, TimerFile, TimerRunner
from jarvis_backend.household.volume_commands import volume_command
from jarvis_ear.wires.messages import VolumeRequest


@dataclass(frozen=True, slots=True)
class Question:
    """What a person said, and where. Immutable."""

    text: str
    """The transcript, without the wake phrase."""
    room: str = ""
    """Name of the satellite; on wires that name none, an id of the connection."""
    set_volume: Callable[[VolumeRequest], None] = field(
        default=lambda _request: None, compare=False, repr=False
    )
    """Asks the satellite for another volume when the reply is complete; the last request counts."""


class Brain(Protocol):
    """Answers utterances. Lives on the loop."""

    provider: str
    """Name that satellites receive while it works."""

    def answer(self, question: Question) -> AsyncGenerator[str, None]:
        """Yield the answer in pieces as they are known, nothing for no answer.

        Sentences are spoken while later pieces are still to come. Raises EngineError.
        """
        ...

    def start(self, announcer: Announcer) -> None:
        """Begin to speak unasked by ``announcer``, if there is something to tell."""

    async def aclose(self) -> None:
        """Release all resources."""


ABILITIES: Final = (
    "I can tell the time and the date, set timers, alarms and reminders, calculate, convert "
    "units, and speak louder or quieter."
)

UNKNOWN: Final = f"Sorry, I do not know that. {ABILITIES}"

MAX_ROOMS: Final = 256
"""Rooms whose last words are remembered; the one that spoke least recently is forgotten."""

_STOP: Final = re.compile(
    r"(?:please )?(?:stop|never ?mind|cancel|be quiet|quiet|shut up|(?:that.?s )?enough|forget it)"
    r"(?: please| that| it| talking)?"
)
_AGAIN: Final = re.compile(
    r"(?:repeat(?: (?:that|it))?|say (?:that|it) again|what did you say|pardon(?: me)?)(?: please)?"
)
_SAID: Final = re.compile(
    r"what (?:did i|have i) (?:just )?sa(?:y|id)|what was my (?:last )?question"
)
_ABLE: Final = re.compile(r"what can (?:you|i) (?:do|say|ask)(?: for me)?|help(?: me)?")
_ELSEWHERE: Final = frozenset("in at zone long will did was for until between difference".split())  # noqa: SIM905 - shorter
"""Words of questions about another time than now, or about another place."""


@dataclass(slots=True)
class _Memory:
    """The last exchange in a room."""

    said: str = ""
    answer: str = ""


class HouseholdBrain(StatelessEngine):
    """Knows clock, timers, volume, arithmetic and units, and the last exchange. Lives on the loop.

    Bound: ``MAX_ROOMS``. Policy: the room that spoke least recently is forgotten.
    """

    provider = "builtin"

    def __init__(self, now: Callable[[], datetime], folder: Path) -> None:
        """Use ``now``, the local wall clock, and keep the timers in ``folder``."""
        self._now = now
        self._memories: OrderedDict[str, _Memory] = OrderedDict()
        file = TimerFile(folder)
        self._runner = TimerRunner(file, lambda: now().timestamp())
        self._timers = TimerCommands(file, self._runner, now)

    def start(self, announcer: Announcer) -> None:
        """Announce timers by ``announcer``."""
        self._runner.start(announcer)

    async def answer(self, question: Question) -> AsyncGenerator[str, None]:
        """Yield the answer at once."""
        known = self.known_answer(question)
        yield UNKNOWN if known is None else known

    def known_answer(self, question: Question) -> str | None:
        """Return the answer, empty for none; or None if this brain does not know one."""
        memory = self._memories.pop(question.room, None) or _Memory()
        found = self._answer(question, normalised(question.text), memory)
        if found is not None and _SAID.fullmatch(normalised(question.text)) is None:
            memory = _Memory(question.text, found or memory.answer)
        elif found is None:
            memory = _Memory(question.text)
        self._memories[question.room] = memory
        while len(self._memories) > MAX_ROOMS:
            self._memories.popitem(last=False)
        return found

    async def aclose(self) -> None:
        """Stop announcing; the timers stay."""
        await self._runner.aclose()

    def _answer(self, question: Question, words: str, memory: _Memory) -> str | None:  # noqa: PLR0911 - one return for each subject
        if _STOP.fullmatch(words):
            return ""
        if _SAID.fullmatch(words):
            return f"You said: {memory.said}" if memory.said else "You have not said anything yet."
        if _AGAIN.fullmatch(words):
            return memory.answer or "I have not said anything yet."
        if words.startswith("repeat "):
            return question.text.strip().split(maxsplit=1)[1]
        if re.match(r"thanks?\b", words):
            return "You are welcome."
        if _ABLE.fullmatch(words):
            return ABILITIES
        known = self._timers.answer(words, question.room, memory.answer) or self._clock(words)
        if known is not None:
            return known
        if (command := volume_command(words, memory.answer)) is not None:
            question.set_volume(command[1])
            return command[0]
        return converted(words) or calculated(words)

    def _clock(self, words: str) -> str | None:
        now = self._now()
        asked = set(words.split())
        if asked.isdisjoint({"what", "whats", "which", "tell"}) or asked & _ELSEWHERE:
            return None
        if "time" in asked:
            return f"It is {spoken_time(now)}."
        if not asked.isdisjoint({"date", "day"}):
            return f"Today is {now:%A}, {now:%B} {now.day}, {now.year}."
        return None


class LocalFirstBrain:
    """Answers what the built-in brain knows, and asks another one the rest. Lives on the loop."""

    def __init__(self, household: HouseholdBrain, other: Brain) -> None:
        self.provider = other.provider
        self._household = household
        self._other = other

    def start(self, announcer: Announcer) -> None:
        """Have both announce what they have to tell."""
        self._household.start(announcer)
        self._other.start(announcer)

    async def answer(self, question: Question) -> AsyncGenerator[str, None]:
        """Yield the answer of the first that has one."""
        known = self._household.known_answer(question)
        if known is not None:
            yield known
            return
        async with aclosing(self._other.answer(question)) as pieces:
            async for piece in pieces:
                yield piece

    async def aclose(self) -> None:
        """Close both."""
        await self._household.aclose()
        await self._other.aclose()
