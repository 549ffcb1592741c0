"""Numbers, durations and times of day in the words of a transcript. Pure."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

_UNITS: Final = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven "  # noqa: SIM905 - shorter
        "twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
    )
}
_TENS: Final = {
    word: 10 * value
    for value, word in enumerate(
        "twenty thirty forty fifty sixty seventy eighty ninety".split(),  # noqa: SIM905 - shorter
        start=2,
    )
}
_SCALES: Final = {"thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_TEN: Final = 10
_HUNDRED: Final = 100


def normalised(text: str) -> str:
    """Return the words of ``text`` in lower case, with numbers as digits and no punctuation."""
    plain = (
        text.lower()
        .replace("'", "")
        .replace("\N{RIGHT SINGLE QUOTATION MARK}", "")
        .replace("%", " percent ")
    )
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", plain)
    plain = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", plain)
    plain = re.sub(r"(?<=[a-z])-(?=[a-z])", " ", plain)
    plain = re.sub(r"[^\w\s.:+*/^°\xd7÷-]|[.:](?!\d)", " ", plain)
    return with_digits(" ".join(plain.split()))


def with_digits(text: str) -> str:
    """Return ``text`` with each number in words replaced by digits."""
    words = re.sub(r"\ban? (?=hundred|thousand|million|billion)", "one ", text).split()
    made: list[str] = []
    at = 0
    while at < len(words):
        value, end = _number(words, at)
        if end == at:
            made.append(words[at])
            end = at + 1
        else:
            made.append(shown(value))
        at = end
    return " ".join(made)


def _number(words: list[str], at: int) -> tuple[float, int]:
    """Return the number that begins at a word and where it ends; it is empty if there is none."""
    total: int | None = None
    group: int | None = None
    end = at
    while end < len(words):
        word = words[end]
        if word == "and" and _continues(words, end):
            end += 1
            continue
        if word in _UNITS and (group is None or _fits(group, _UNITS[word])):
            group = (group or 0) + _UNITS[word]
        elif word in _TENS and (group is None or (group and group % _HUNDRED == 0)):
            group = (group or 0) + _TENS[word]
        elif word == "hundred" and group is not None and 0 < group < _HUNDRED:
            group *= _HUNDRED
        elif word in _SCALES and group is not None:
            total, group = (total or 0) + group * _SCALES[word], None
        else:
            break
        end += 1
    if group is None and total is None:
        return 0, at
    value = float((total or 0) + (group or 0))
    if end + 1 < len(words) and words[end] == "point" and words[end + 1] in _UNITS:
        end, digits = end + 1, ""
        while end < len(words) and words[end] in _UNITS and _UNITS[words[end]] < _TEN:
            digits, end = digits + str(_UNITS[words[end]]), end + 1
        value += float(f"0.{digits or '0'}")
    return value, end


def _fits(group: int, unit: int) -> bool:
    """Return whether "twenty" may be followed by "five", and "hundred" by "fifteen"."""
    size = _TEN if unit < _TEN else _HUNDRED
    return unit > 0 and group > 0 and group % size == 0 and not (group == _TEN and unit < _TEN)


def _continues(words: list[str], at: int) -> bool:
    """Return whether "and" stands within a number: "one hundred and five"."""
    follows = words[at + 1] if at + 1 < len(words) else ""
    return (
        at > 0
        and words[at - 1] in {"hundred", *_SCALES}
        and (follows in _UNITS or follows in _TENS)
    )


def shown(value: float) -> str:
    """Return a number as it is written and spoken, with at most four decimals."""
    rounded = round(value, 4)
    if rounded == 0 and value:
        return f"{value:.2e}"
    return str(int(rounded)) if rounded == int(rounded) else f"{rounded:.4f}".rstrip("0")


_SECONDS: Final = {"second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "day": 86_400}
_UNIT: Final = r"(second|sec|minute|min|hour|day)s?"
_PART: Final = re.compile(
    rf"\b(?:(\d+(?:\.\d+)?)( and a half)?|(half) an?|(?:a|1) (quarter) of an|an?) {_UNIT}\b"
    r"( and a half)?"
)


def duration_s(text: str) -> float | None:
    """Return the seconds that normalised words name in sum: "1 hour and 5 minutes"."""
    total, found = 0.0, False
    for number, half, is_half, is_quarter, unit, and_half in _PART.findall(text):
        count = float(number) if number else 0.5 if is_half else 0.25 if is_quarter else 1.0
        count += 0.5 if half or and_half else 0.0
        total, found = total + count * _SECONDS[unit], True
    return total if found else None


def without_duration(text: str) -> str:
    """Return normalised words without those that name a duration."""
    return " ".join(_PART.sub(" ", text).split())


def spoken_duration(seconds: float) -> str:
    """Return a duration in words, in at most two units."""
    left = max(1, round(seconds))
    parts = []
    for name, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}{'' if count == 1 else 's'}")
    return " and ".join(parts[:2])


@dataclass(frozen=True, slots=True)
class ClockTime:
    """A time of day as somebody says it. Immutable."""

    hour: int
    """0 to 23; below 13 and not exact, it is that hour of the morning or of the evening."""
    minute: int
    is_exact: bool
    is_tomorrow: bool

    def in_the_morning(self) -> "ClockTime":
        """Return the same time, meant as one before noon unless it is exact."""
        return self if self.is_exact else replace(self, hour=self.hour % _NOON, is_exact=True)

    def is_at(self, moment: datetime) -> bool:
        """Return whether somebody who says this time can mean ``moment``."""
        hours = _HOURS if self.is_exact else _NOON
        return (moment.hour % hours, moment.minute) == (self.hour % hours, self.minute)

    def after(self, now: datetime) -> datetime:
        """Return when it is that time next."""
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        hours = [self.hour] if self.is_exact else [self.hour % _NOON, self.hour % _NOON + _NOON]
        if self.is_tomorrow and not self.is_exact:
            hours = hours[:1]
        for day in (1, 2) if self.is_tomorrow else (0, 1):
            for hour in hours:
                then = midnight + timedelta(days=day, hours=hour, minutes=self.minute)
                if then > now:
                    return then
        raise AssertionError  # tomorrow is always after now


_HOURS: Final = 24
_MINUTES: Final = 60
_NOON: Final = 12
_CLOCK: Final = re.compile(
    r"\b(?:(half) past|(quarter) (past|to)|(\d{1,2}) (?:minutes )?(past|to))? ?"
    r"\b(\d{1,2})(?:[:. ](\d{2}))?\b(?: oclock)?(?: in the (morning|afternoon|evening))?"
    r"(?: ?([ap]) ?m\b)?"
)


def clock_time(text: str) -> ClockTime | None:
    """Return the time of day in normalised words, or None if there is none."""
    is_tomorrow = "tomorrow" in text.split()
    for word, hour in (("noon", _NOON), ("midday", _NOON), ("midnight", 0)):
        if word in text.split():
            return ClockTime(hour, 0, is_exact=True, is_tomorrow=is_tomorrow)
    found = _CLOCK.search(text)
    if found is None:
        return None
    half, quarter, side, number, side_of_number, hours, minutes, part, letter = found.groups()
    hour, minute = int(hours), int(minutes or 0)
    offset = 30 if half else 15 if quarter else int(number or 0)
    if "to" in {side, side_of_number}:
        hour, minute = hour - 1, _MINUTES - offset
    elif offset:
        minute = offset
    is_exact = bool(letter or part) or hour > _NOON or hour == 0
    if letter == "p" or part in {"afternoon", "evening"}:
        hour = hour % _NOON + _NOON
    elif letter == "a" or part == "morning":
        hour %= _NOON
    if not (0 <= hour < _HOURS and 0 <= minute < _MINUTES):
        return None
    return ClockTime(hour, minute, is_exact=is_exact, is_tomorrow=is_tomorrow)


def spoken_time(moment: datetime) -> str:
    """Return the time of day in words: "3:07 PM"."""
    half = "AM" if moment.hour < _NOON else "PM"
    return f"{moment.hour % _NOON or _NOON}:{moment.minute:02} {half}"
