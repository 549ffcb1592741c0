"""What people say about timers and alarms, and the answers."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from jarvis_backend.household.spoken_numbers import (
    clock_time,
    duration_s,
    spoken_duration,
    spoken_time,
    without_duration,
)
from jarvis_backend.household.timers import (
    NAME_LETTERS,
    Timer,
    TimerFile,
    TimerRunner,
    TooManyTimers,
)

MAX_S: Final = 7 * 86_400.0
"""Longest timer."""

HOW_LONG: Final = "For how long?"
WHAT_TIME: Final = "For what time?"
"""Questions whose answer completes a command."""
WHEN: Final = "Say when, for example: remind me in ten minutes to turn the oven off."

_WHAT: Final = re.compile(
    r"\b(?:timer|alarm|reminder)s?\b|\bwake me\b|\bremind me\b"
    r"|\bhow (?:long|much time)\b.*\b(?:left|remaining)\b"
)
_CANCEL: Final = re.compile(r"\b(cancel|stop|delete|remove|clear|turn off|switch off|end)\b")
_LEFT: Final = re.compile(
    r"\bhow (?:long|much time|many)\b|\b(?:left|remaining|when)\b|\b(?:list|which|what|are there)\b"
)
_NAMED: Final = re.compile(
    r"(?:called|named|for the|for my|for|to)\s+(?:the |my )?([a-z][a-z ]*?)(?= at\b| in\b| on\b|$)"
)
_REMINDER: Final = re.compile(
    r"\bremind me\b.*?\b(?:to|about|that) ([a-z][\w ]*?)(?= (?:in|at|on|tomorrow)\b|$)"
)
_BEFORE: Final = re.compile(
    r"(?:^|\b(?:an?|the|my) )((?:(?!(?:an?|the|my|set)\b)[a-z]+ ){1,3})(?:timer|alarm)"
)
_FILLERS: Final = frozenset(
    "a an the my me set start make create add put new for timer timers alarm "  # noqa: SIM905 - shorter
    "alarms of please at "
    "in on to another can could you wake up remind cancel stop delete remove clear turn off switch "
    "end how long much time many is are left there remaining what when list which does do have "
    "until all every minute minutes second seconds hour hours day days half tomorrow morning "
    "evening afternoon today am pm oclock past quarter p m it ring rings go goes will i and any "
    "some still running now reminder reminders set".split()
)
"""Words of commands that are no part of a name."""


class TimerCommands:
    """Carries out commands about timers of one household. Lives on the loop."""

    def __init__(self, file: TimerFile, runner: TimerRunner, now: Callable[[], datetime]) -> None:
        """Keep timers in ``file`` and tell ``runner``; ``now`` is the local wall clock."""
        self._file = file
        self._runner = runner
        self._now = now

    def answer(  # noqa: PLR0911 - one return for each subject
        self, words: str, room: str, question: str = ""
    ) -> str | None:
        """Return the answer to normalised words, or None if they are not about timers.

        ``question`` is the answer before, which may have asked for what these words say.
        """
        if question == HOW_LONG and duration_s(words) is not None:
            return self._set_timer(words, room)
        if question == WHAT_TIME and clock_time(words) is not None:
            return self._set_alarm(words, room)
        if not _WHAT.search(words):
            return None
        if "remind me" in words:
            return self._set_reminder(words, room)
        if _CANCEL.search(words):
            return self._cancel(words, self._file.all(), room)
        if _LEFT.search(words):
            return self._left(words, self._file.all(), room)
        if re.search(r"\balarms?\b|\bwake me\b", words):
            return self._set_alarm(words, room)
        return self._set_timer(words, room)

    def _set_timer(self, words: str, room: str) -> str:
        length = duration_s(words)
        if length is None:
            return HOW_LONG
        if not 0 < length <= MAX_S:
            return "A timer can last from one second to seven days."
        timer = Timer(room, self._now().timestamp() + length, _name(words), length)
        name = f"{timer.name} timer" if timer.name else "Timer"
        return self._add(timer, f"{name[:1].upper()}{name[1:]}: {spoken_duration(length)}.")

    def _set_alarm(self, words: str, room: str) -> str:
        now, length = self._now(), duration_s(words)
        if length is not None and 0 < length <= MAX_S:
            due = now + timedelta(seconds=length)
        elif (time := clock_time(words)) is not None:
            due = time.in_the_morning().after(now) if "wake" in words else time.after(now)
        else:
            return WHAT_TIME
        day = "" if due.date() == now.date() else f" on {due:%A}"
        timer = Timer(room, due.timestamp(), _name(words))
        return self._add(timer, f"Alarm set for {spoken_time(due)}{day}.")

    def _set_reminder(self, words: str, room: str) -> str:
        now, length = self._now(), duration_s(words)
        found = _REMINDER.search(without_duration(words))
        what = found[1].strip()[:NAME_LETTERS] if found else ""
        if length is not None and 0 < length <= MAX_S:
            due, when = now + timedelta(seconds=length), f"in {spoken_duration(length)}"
        elif (time := clock_time(words)) is not None:
            due = time.after(now)
            when = f"at {spoken_time(due)}" + ("" if due.date() == now.date() else f" on {due:%A}")
        else:
            return WHEN
        timer = Timer(room, due.timestamp(), what, is_reminder=True)
        return self._add(timer, f"I will remind you {when}.")

    def _add(self, timer: Timer, answer: str) -> str:
        try:
            self._file.add(timer)
        except TooManyTimers:
            return "There are too many timers. Cancel one first."
        self._runner.wake()
        return answer

    def _cancel(self, words: str, timers: Sequence[Timer], room: str) -> str:
        kind = _kind(words)
        meant = _meant(words, timers, room)
        if not meant:
            return _none_of(kind, timers)
        if len(meant) > 1 and not re.search(rf"\b(all|every|both|{kind}s)\b", words):
            return f"There are {len(meant)}: {_list([each.spoken() for each in meant])}. Which one?"
        removed = [timer for timer in meant if self._file.remove(timer)]
        self._runner.wake()
        return f"Cancelled: {_list([each.spoken() for each in removed])}."

    def _left(self, words: str, timers: Sequence[Timer], room: str) -> str:
        meant = _meant(words, timers, room)
        if not meant:
            return _none_of(_kind(words), timers)
        now = self._now().timestamp()
        if len(meant) == 1 and meant[0].duration_s:
            return f"{spoken_duration(max(1.0, meant[0].due - now))} left.".capitalize()
        parts = [
            each.spoken()
            if not each.duration_s
            else f"{each.spoken()}, {spoken_duration(max(1.0, each.due - now))} left"
            for each in meant
        ]
        text = _list(parts) if len(parts) == 1 else "; ".join(parts)
        return f"{text[:1].upper()}{text[1:]}."


def _kind(words: str) -> str:
    found = re.search(r"\b(alarm|reminder)s?\b", words)
    return found[1] if found else "timer"


def _none_of(kind: str, timers: Sequence[Timer]) -> str:
    is_some = any(each.kind == kind for each in timers)
    return f"There is no such {kind}." if is_some else f"No {kind} is set."


def _meant(words: str, timers: Sequence[Timer], room: str) -> list[Timer]:
    """Return the timers of a command: by kind, and by name or length; else those of the room."""
    of_kind = [each for each in timers if each.kind == _kind(words)]
    length = duration_s(words)
    time = clock_time(without_duration(words))
    named = [
        each for each in of_kind if each.name and re.search(rf"\b{re.escape(each.name)}\b", words)
    ]
    if named:
        return named
    if length is not None:
        return [each for each in of_kind if each.duration_s == length]
    if time is not None and _kind(words) == "alarm":
        return [each for each in of_kind if time.is_at(_local(each.due))]
    if _name(words):
        return []
    here = [each for each in of_kind if each.room == room]
    return of_kind if re.search(r"\b(all|every)\b", words) or not here else here


def _local(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds).astimezone()


def _name(words: str) -> str:
    """Return what a command calls a timer: "pasta" in "set a pasta timer for 5 minutes"."""
    rest = without_duration(words)
    for found in (_BEFORE.search(rest), _NAMED.search(rest)):
        if found is not None:
            kept = [word for word in found[1].split() if word not in _FILLERS]
            if kept:
                return " ".join(kept)[:NAME_LETTERS]
    return ""


def _list(parts: Sequence[str]) -> str:
    """Return an English list: "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
