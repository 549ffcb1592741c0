"""Commands about the volume of replies, in the words of a transcript. Pure."""

import re
from typing import Final

from jarvis_ear.wires.messages import LOUDEST, VolumeRequest

STEP: Final = 10
"""Points by which "louder" raises the volume; half of it for "a bit", twice for "much"."""

HOW_LOUD: Final = "How loud, from 0 to 100 percent?"
"""The answer to a command without a number: a question."""

_POLITE: Final = re.compile(
    r"^(?:(?:please|now|(?:can|could|would|will) you) )+|(?: (?:please|now|for me))+$"
)
_AMOUNT: Final = re.compile(
    r" ?\b(?:((?:just )?a (?:little )?bit|a little|slightly)|(much|a lot|way)"
    r"|by (\d{1,3})(?: percent| points)?)\b ?"
)
_VOLUME: Final = r"(?:the |your )?(?:volume|sound)"
_TURN: Final = r"turn(?:ing)?"  # whisper hears one for the other
_SIDE: Final = re.compile(
    r"(?:(?:make (?:it|that)|speak|talk|be|get) ?)?(louder|quieter|softer)"
    rf"|(?:{_TURN} (?:it|that|yourself)|(?:{_TURN} )?{_VOLUME}) (up|down)"
    rf"|{_TURN} (up|down) {_VOLUME}|(increase|raise|decrease|lower|reduce) {_VOLUME}"
    r"|(?:its|(?:it|that|this) is|that.?s|you are|you.?re) ?too (loud|quiet)"
)
"""Relative commands without their amount: "louder", "turn it down", "raise the volume"."""

_UP: Final = ("up", "louder", "increase", "raise", "quiet")
"""Words that ask for more: the last one as in "too quiet"."""

_LEVEL: Final = r"(?:the )?(\d{1,9}(?: percent)?|max(?:imum)?|full|half)"
_SET: Final = re.compile(
    rf"(?:(?:set|turn|change|put) )?{_VOLUME}(?: up| down)?(?: to| at)? {_LEVEL}"
    rf"|(?:set|turn) (?:it|that|yourself)(?: up| down)? to {_LEVEL}|{_LEVEL} {_VOLUME}"
)
"""Absolute commands: "set the volume to 40 percent", "maximum volume"."""

_ASKS: Final = re.compile(rf"(?:set|change) {_VOLUME}|volume")


def volume_command(words: str, question: str = "") -> tuple[str, VolumeRequest] | None:
    """Return the answer to normalised words and what it asks of the volume; None: another subject.

    ``question`` is the answer before, which may have asked for the number.
    """
    words = _POLITE.sub("", words)
    if found := _SIDE.fullmatch(_AMOUNT.sub(" ", words).strip()):
        amount = _AMOUNT.search(words)
        little, much, points = amount.groups() if amount else ("", "", "")
        step = min(int(points), LOUDEST) if points else 2 * STEP if much else STEP
        step = STEP // 2 if little else step
        if found[found.lastindex or 0] in _UP:
            return "Louder.", VolumeRequest(change=step)
        return "Quieter.", VolumeRequest(change=-step)
    asked = question == HOW_LOUD and re.fullmatch(rf"(?:to )?{_LEVEL}", words)
    if found := asked or _SET.fullmatch(words):
        level = found[found.lastindex or 0].removesuffix(" percent")
        percent = int(level) if level.isdigit() else LOUDEST // 2 if level == "half" else LOUDEST
        if percent > LOUDEST:
            return f"The volume goes from 0 to {LOUDEST} percent.", VolumeRequest()
        return f"Volume {percent} percent.", VolumeRequest(percent=percent)
    return (HOW_LOUD, VolumeRequest()) if _ASKS.fullmatch(words) else None
