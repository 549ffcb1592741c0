"""Text: sentences of an answer, the wake phrase in a transcript, and text for a log line."""

import re
from collections.abc import Iterator
from typing import Final


def one_line(text: str, most: int = 200) -> str:
    """Return the first ``most`` letters of ``text``, printable, with single spaces."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:most]).split())


CALLS: Final = ("hey", "hi", "hello", "okay", "ok", "hay", "eh", "a", "k", "the", "they", "they'd")
"""What people say before the name, and what small decoders make of "hey"."""

_WAKE_PHRASE: Final = re.compile(
    rf"\W*(?:(?:{'|'.join(CALLS)})\W+)?jarvis(?!['\w])\W*", re.IGNORECASE
)


def without_wake_phrase(transcript: str) -> str:
    """Return ``transcript`` trimmed, without a leading "hey Jarvis", "Jarvis" or the like."""
    found = _WAKE_PHRASE.match(transcript)
    return transcript.strip() if found is None else transcript[found.end() :].strip()


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
