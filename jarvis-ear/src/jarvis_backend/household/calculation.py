"""Arithmetic and conversion of units, from normalised words to the words of an answer. Pure."""

import re
from typing import Final, NamedTuple

from jarvis_backend.household.spoken_numbers import shown

MAX_RESULT: Final = 1e15
"""Magnitude above which a result is not spoken: nobody can follow its digits."""

TOO_MUCH: Final = "I cannot calculate that number."

_MAX_TOKENS: Final = 64

_OPERATORS: Final = (
    (r"divided by|over", "/"),
    (r"multiplied by|times|\xd7|x(?= \d)", "*"),
    (r"÷", "/"),
    (r"to the power of|to the", "^"),
    (r"percent of", "% *"),
    (r"plus|and", "+"),
    (r"minus|less", "-"),
    (r"squared", "^ 2"),
    (r"cubed", "^ 3"),
    (r"percent", "%"),
    (r"(?:the )?square root of", "sqrt"),
    (r"(\d)[a-z]{2} power", r"\1"),
)
_ASKED: Final = re.compile(
    r"^(?:whats|what is|what are|how much is|how many is|calculate|compute) "
)
_TOKEN: Final = re.compile(r"\s*(\d+(?:\.\d+)?|sqrt|[-+*/^%()])")


class _Senseless(Exception):
    """The words are no calculation."""


def calculated(text: str) -> str | None:
    """Return the answer to a calculation in words, or None if ``text`` is none."""
    asked = _ASKED.sub("", text).removesuffix(" equal").removesuffix(" equals")
    for words, sign in _OPERATORS:
        asked = re.sub(rf"(?:^|(?<= )){words}(?= |$)", sign, asked)
    try:
        parser = _Calculator(_tokens(asked))
        value = parser.sum()
        if parser.has_more() or not parser.has_operator:
            return None
    except ZeroDivisionError:
        return "Nothing can be divided by zero."
    except OverflowError:
        return TOO_MUCH
    except _Senseless:
        return None
    if isinstance(value, complex) or abs(value) > MAX_RESULT:
        return TOO_MUCH
    about = "about " if abs(value - round(value, 4)) > abs(value) * 1e-12 else ""
    return f"That is {about}{shown(value)}."


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None or len(tokens) == _MAX_TOKENS:
            raise _Senseless
        tokens.append(found[1])
        at = found.end()
    return tokens


class _Calculator:
    """A recursive descent over the tokens of one calculation."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self.has_operator = False

    def has_more(self) -> bool:
        return self._at < len(self._tokens)

    def sum(self) -> float:
        value = self._product()
        while (sign := self._take("+", "-")) is not None:
            other = self._product()
            value = value + other if sign == "+" else value - other
        return value

    def _product(self) -> float:
        value = self._power()
        while (sign := self._take("*", "/")) is not None:
            other = self._power()
            value = value * other if sign == "*" else value / other
        return value

    def _power(self) -> float:
        if self._take("-") is not None:
            return -self._power()
        value = self._value()
        if self._take("^") is not None:
            value = float(value) ** self._power()
        return value

    def _value(self) -> float:
        if self._take("sqrt") is not None:
            value = self._value()
            return value**0.5 if value >= 0 else _fail()
        if not self.has_more() or not self._tokens[self._at][0].isdigit():
            raise _Senseless
        value = float(self._tokens[self._at])
        self._at += 1
        return value / 100 if self._take("%") is not None else value

    def _take(self, *signs: str) -> str | None:
        if self.has_more() and self._tokens[self._at] in signs:
            self._at += 1
            self.has_operator |= signs != ("%",)
            return self._tokens[self._at - 1]
        return None


def _fail() -> float:
    raise _Senseless


class _Unit(NamedTuple):
    """A unit: its dimension, its name in the plural, and how it becomes the base unit."""

    dimension: str
    name: str
    factor: float
    offset: float = 0.0


_TABLE: Final = (
    ("length", "metre", "metres", 1),
    ("length", "kilometre", "kilometres", 1000),
    ("length", "centimetre", "centimetres", 0.01),
    ("length", "millimetre", "millimetres", 0.001),
    ("length", "mile", "miles", 1609.344),
    ("length", "yard", "yards", 0.9144),
    ("length", "foot", "feet", 0.3048),
    ("length", "inch", "inches", 0.0254),
    ("mass", "kilogram", "kilograms", 1),
    ("mass", "kilo", "kilos", 1),
    ("mass", "gram", "grams", 0.001),
    ("mass", "pound", "pounds", 0.453_592_37),
    ("mass", "ounce", "ounces", 0.028_349_523_125),
    ("mass", "stone", "stone", 6.350_293_18),
    ("volume", "litre", "litres", 1),
    ("volume", "millilitre", "millilitres", 0.001),
    ("volume", "gallon", "gallons", 3.785_411_784),
    ("volume", "pint", "pints", 0.473_176_473),
    ("volume", "cup", "cups", 0.236_588_236_5),
    ("volume", "tablespoon", "tablespoons", 0.014_786_764_781_25),
    ("volume", "teaspoon", "teaspoons", 0.004_928_921_593_75),
    ("time", "second", "seconds", 1),
    ("time", "minute", "minutes", 60),
    ("time", "hour", "hours", 3600),
    ("time", "day", "days", 86_400),
    ("time", "week", "weeks", 604_800),
)
"""Dimension, singular, plural, and size in the base unit. Feet, pounds and the like by the
international agreement of 1959; gallons, pints, cups and spoons are those of the United States."""

_WORDS: Final = {
    **{single: _Unit(kind, plural, size) for kind, single, plural, size in _TABLE},
    **{plural: _Unit(kind, plural, size) for kind, _, plural, size in _TABLE},
    "celsius": _Unit("temperature", "degrees Celsius", 1, 273.15),
    "centigrade": _Unit("temperature", "degrees Celsius", 1, 273.15),
    "fahrenheit": _Unit("temperature", "degrees Fahrenheit", 5 / 9, 459.67),
    "kelvin": _Unit("temperature", "kelvin", 1, 0),
}
"""Units by their names. A temperature is (value + offset) x factor in kelvin."""

_AMERICAN: Final = re.compile(r"(met|lit)er(s?)\b")
_AMOUNT: Final = r"(-?\d+(?:\.\d+)?|an?)"
_DEGREES: Final = r"(?:degrees? |° ?)?"
_FORMS: Final = (
    re.compile(rf"{_AMOUNT} {_DEGREES}(\w+) (?:in|into|to|as) {_DEGREES}(\w+)$"),
    re.compile(
        rf"how many {_DEGREES}(\w+) (?:are|is|make|in)(?: there)?(?: in)? "
        rf"{_AMOUNT} {_DEGREES}(\w+)$"
    ),
)


def converted(text: str) -> str | None:
    """Return the answer to a conversion of units, or None if ``text`` is none."""
    plain = _AMERICAN.sub(r"\1re\2", text)
    if found := _FORMS[1].search(plain):
        target, amount, source = found.groups()
    elif found := _FORMS[0].search(plain):
        amount, source, target = found.groups()
    else:
        return None
    given, wanted = _WORDS.get(source), _WORDS.get(target)
    if given is None or wanted is None:
        return None
    if given.dimension != wanted.dimension:
        return f"{given.name[:1].upper()}{given.name[1:]} cannot be converted to {wanted.name}."
    number = 1.0 if amount.startswith("a") else float(amount)
    base = (number + given.offset) * given.factor
    value = round(base / wanted.factor - wanted.offset, 10)
    about = "about " if abs(value - round(value, 2)) > abs(value) * 1e-9 else ""
    small = abs(value) < 1
    return (
        f"{shown(number)} {_agreeing(given, number)} {'is' if number == 1 else 'are'} "
        f"{about}{shown(value if small else round(value, 2))} {_agreeing(wanted, value)}."
    )


def _agreeing(unit: _Unit, number: float) -> str:
    """Return the name of a unit after a number."""
    if number != 1 or unit.dimension == "temperature":
        return unit.name.replace("degrees", "degree") if number == 1 else unit.name
    return next(word for word, each in _WORDS.items() if each == unit)
