"""A reply cut into sentences, so that the first can be heard while the others are synthesised."""

import re
from collections.abc import Iterator
from typing import Final

SENTENCE_CHARS: Final = 400
"""Longest piece that is synthesised at once: about half a minute of speech, below 2 MiB of WAV."""

_CODE: Final = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_ABBREVIATIONS: Final = frozenset(
    ("mr.", "mrs.", "ms.", "dr.", "st.", "prof.", "vs.", "no.", "e.g.", "i.e.", "a.m.", "p.m.")
)
_BREAK: Final = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|\n+")


def sentences(reply: str, *, most_chars: int) -> tuple[str, ...]:
    """Cut the first ``most_chars`` letters of ``reply`` into what can be spoken, in order."""
    speakable = _CODE.sub("\n", reply)[:most_chars]
    return tuple(
        piece
        for sentence in _whole(speakable)
        for piece in _pieces(sentence)
        if any(letter.isalnum() for letter in piece)
    )


def _whole(text: str) -> Iterator[str]:
    """Sentences of ``text``; a full stop that belongs to an abbreviation ends none."""
    start = 0
    for found in _BREAK.finditer(text):
        sentence = text[start : found.end()]
        if "\n" not in found.group() and _ends_in_abbreviation(sentence):
            continue
        yield " ".join(sentence.split())
        start = found.end()
    yield " ".join(text[start:].split())


def _ends_in_abbreviation(sentence: str) -> bool:
    words = sentence.lower().split()
    return bool(words) and words[-1] in _ABBREVIATIONS


def _pieces(sentence: str) -> Iterator[str]:
    """Cut a sentence that nobody could say in one breath, at a pause if there is one."""
    while len(sentence) > SENTENCE_CHARS:
        cut = _pause(sentence[:SENTENCE_CHARS])
        yield sentence[:cut].strip()
        sentence = sentence[cut:].strip()
    yield sentence


def _pause(text: str) -> int:
    for mark in (", ", "; ", ": ", " "):
        at = text.rfind(mark)
        if at > 0:
            return at + 1
    return len(text)
