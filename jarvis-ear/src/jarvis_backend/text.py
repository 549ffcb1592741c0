"""Text: sentences of an answer, the wake phrase in a transcript, log lines, and base64."""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final


def one_line(text: str, max_chars: int = 200) -> str:
    """Return the first ``max_chars`` of ``text`` as printable characters with single spaces."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:max_chars]).split())


CALLS: Final = ("hey", "hi", "hello", "okay", "ok", "hay", "eh", "a", "k", "the", "they", "they'd")
"""Words before the name: those that people say, and those that small decoders hear for "hey"."""

_WAKE_PHRASE: Final = re.compile(
    rf"\W*(?:(?:{'|'.join(CALLS)})\W+)?jarvis(?!['\w])\W*", re.IGNORECASE
)


def without_wake_phrase(transcript: str) -> str:
    """Return ``transcript`` stripped, without a leading "hey Jarvis", "Jarvis" or similar."""
    found = _WAKE_PHRASE.match(transcript)
    return transcript.strip() if found is None else transcript[found.end() :].strip()


SENTENCE_CHARS: Final = 400
"""Maximum length of what is synthesised at once: half a minute of speech, below 2 MiB of WAV."""

_CODE: Final = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_ABBREVIATIONS: Final = frozenset(
    ("mr.", "mrs.", "ms.", "dr.", "st.", "prof.", "vs.", "no.", "e.g.", "i.e.", "a.m.", "p.m.")
)
_BREAK: Final = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|\n+")


def sentences(reply: str, *, max_chars: int) -> tuple[str, ...]:
    """Split the first ``max_chars`` of ``reply`` into sentences, without code and bare symbols."""
    speakable = _CODE.sub("\n", reply)[:max_chars]
    return tuple(
        piece
        for sentence in _whole(speakable)
        for piece in _pieces(sentence)
        if any(letter.isalnum() for letter in piece)
    )


class SentenceSplitter:
    """Splits a reply that arrives in pieces into sentences. For one reply."""

    def __init__(self, max_chars: int) -> None:
        """Drop what follows the first ``max_chars`` letters."""
        self._left = max_chars
        self._rest = ""

    def feed(self, piece: str) -> tuple[str, ...]:
        """Take the text that follows; return the sentences that are complete now."""
        self._rest += piece
        known = 0
        for found in _BREAK.finditer(self._rest):
            text = self._rest[: found.end()]
            if text.count("```") % 2 == 0 and not _ends_in_abbreviation(_CODE.sub("\n", text)):
                known = found.end()
        return self._take(known)

    def flush(self) -> tuple[str, ...]:
        """Return the sentences that are left at the end of the reply."""
        return self._take(len(self._rest))

    def _take(self, length: int) -> tuple[str, ...]:
        text, self._rest = self._rest[:length], self._rest[length:]
        found = sentences(text, max_chars=max(0, self._left))
        self._left -= len(text)
        return found


def _whole(text: str) -> Iterator[str]:
    """Yield the sentences of ``text``; the full stop of an abbreviation does not end one."""
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
    """Split a sentence longer than ``SENTENCE_CHARS`` at its pauses."""
    while len(sentence) > SENTENCE_CHARS:
        cut = _pause(sentence[:SENTENCE_CHARS])
        yield sentence[:cut].strip()
        sentence = sentence[cut:].strip()
    yield sentence


def _pause(text: str) -> int:
    """Return the end of the last separator in ``text``, the strongest kind first."""
    for separator in (", ", "; ", ": ", " "):
        at = text.rfind(separator)
        if at > 0:
            return at + 1
    return len(text)


_FOREIGN: Final = re.compile(rb"[^A-Za-z0-9+/]")

_GROUP: Final = 4
"""Letters that encode three bytes."""


def lenient_base64(text: str) -> bytes:
    """Decode base64 as Node does: other characters are ignored, and `=` ends the input."""
    letters = text.encode("ascii", errors="ignore")
    try:
        return base64.b64decode(letters, validate=True)
    except binascii.Error:
        head = letters.partition(b"=")[0].replace(b"-", b"+").replace(b"_", b"/")
    known = _FOREIGN.sub(b"", head)
    if len(known) % _GROUP == 1:
        known = known[:-1]  # six bits do not make a byte
    return base64.b64decode(known + b"=" * (-len(known) % _GROUP))
