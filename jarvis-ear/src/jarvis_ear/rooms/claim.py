"""Claim: what an ear tells the others about a wake word that it heard, and how it is sent."""

import hmac
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from jarvis_ear.audio.level import SILENCE, frame_levels
from jarvis_ear.errors import RemoteProtocolError
from jarvis_ear.units import Dbfs
from jarvis_ear.wires.event_bus import CLAIM, Event
from jarvis_ear.wires.json_fields import read_fields, read_object, write_fields, write_object

MAX_HEARD: Final = 16
"""Claims that one claim names: more ears than hear one person."""

MAX_AGE_MS: Final = 60_000
"""Greatest age of a claim in milliseconds; one of some seconds is already no longer answered."""

MAX_DATAGRAM: Final = 4096
"""Bytes of a datagram that are read. A claim has some 300; names of rare letters make it longer."""

SYLLABLE_FRAMES: Final = 5
"""100 ms: the shortest stretch whose level shows how loud a person speaks."""

FLOOR_SHARE: Final = 10
"""One frame in ten around a wake word is quieter than the noise floor."""

_ID: Final = re.compile("[0-9a-f]{16}")
_DIGEST_BYTES: Final = 32  # HMAC-SHA256
_PURPOSE: Final = b"jarvis-ear claim 1\n"  # the key may serve another purpose elsewhere


class Standing(StrEnum):
    """What the ear does about the wake word. The values are those on the wire."""

    OPEN = "open"
    """It has not decided."""
    ANSWERS = "answers"
    """It answers."""
    WITHDRAWN = "withdrawn"
    """It has dropped the turn: it was muted, for example."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One ear has heard one wake word. All numbers are whole, so that all ears order them alike."""

    group: str
    """``rooms.group``: ears of other groups ignore it."""
    claim_id: str
    """16 random hexadecimal digits, new for each wake word."""
    ear: str
    """Name of the ear, 1 to 64 printable characters."""
    standing: str
    """A ``Standing``."""
    age_ms: int
    """Milliseconds between the detection and the sending, 0 ... ``MAX_AGE_MS``."""
    ready: bool
    """Whether the ear can reach its backend."""
    score_percent: int
    """Score of the wake word, 0 ... 100."""
    level: int
    """Level of the voice without the noise of the room, in dBFS: -200 ... 10."""
    floor: int
    """Noise floor of the room, in dBFS: -200 ... 10."""
    heard: str = ""
    """Ids of the claims for the same wake word that its ear has received, separated by spaces."""

    @property
    def rank(self) -> tuple[bool, int, int, str, str]:
        """Orders claims strictly: the greatest one answers. Scores count to a tenth."""
        tenths = (self.score_percent + 5) // 10
        return self.ready, tenths, self.level, self.ear, self.claim_id

    @property
    def names(self) -> frozenset[str]:
        """The ids in ``heard``."""
        return frozenset(self.heard.split())


def measure(frames: Sequence[bytes], gain_db: float = 0.0) -> tuple[int, int]:
    """Return the level of the voice and the noise floor in whole dBFS, amplified by ``gain_db``.

    ``frames``: the PCM16 frames around a wake word, at least a second. The level is that of the
    loudest syllable without the energy of the noise. Without sound, both are -120.
    """
    levels = frame_levels(b"".join(frames))
    if not levels:
        return round(SILENCE), round(SILENCE)
    floor = sorted(levels)[len(levels) // FLOOR_SHARE]
    powers = [10 ** (level / 10) for level in levels]
    pieces = [powers[at : at + SYLLABLE_FRAMES] for at in range(0, len(powers), SYLLABLE_FRAMES)]
    voice = max(sum(piece) / len(piece) for piece in pieces) - 10 ** (floor / 10)
    level = Dbfs(10 * math.log10(voice)) if voice > 0 else SILENCE
    return _bounded(level + gain_db), _bounded(floor + gain_db)


def _bounded(level: float) -> int:
    return round(min(max(level, SILENCE), 10))


def to_event(claim: Claim) -> Event:
    """Return the event of the bus for ``claim``."""
    return Event(CLAIM, write_fields(claim))


def from_event(data: Mapping[str, Any]) -> Claim:
    """Return the claim of an event's ``data``, or raise ``RemoteProtocolError``."""
    claim = read_fields(Claim, data)
    wrong = [name for name, is_right in _checks(claim).items() if not is_right]
    if wrong:
        raise RemoteProtocolError(f"a claim whose {' and '.join(wrong)} cannot be")
    return claim


def _checks(claim: Claim) -> Mapping[str, bool]:
    """Return whether each part of a claim is in its range."""
    heard = claim.heard.split(" ") if claim.heard else []
    return {
        "claimId": _ID.fullmatch(claim.claim_id) is not None,
        "ear": 0 < len(claim.ear) <= 64 and claim.ear.isprintable(),  # noqa: PLR2004 - agent_id
        "standing": claim.standing in set(Standing),
        "ageMs": 0 <= claim.age_ms <= MAX_AGE_MS,
        "scorePercent": 0 <= claim.score_percent <= 100,  # noqa: PLR2004 - per cent
        "level": -200 <= claim.level <= 10 and -200 <= claim.floor <= 10,  # noqa: PLR2004 - dBFS
        "heard": len(heard) <= MAX_HEARD and all(map(_ID.fullmatch, heard)),
    }


def seal(claim: Claim, key: bytes) -> bytes:
    """Return the datagram for ``claim``: 32 bytes of HMAC-SHA256, then JSON."""
    return sign(write_object(write_fields(claim)).encode(), key)


def unseal(datagram: bytes, key: bytes) -> Claim:
    """Return the claim of a datagram, or raise ``RemoteProtocolError``. Any bytes may come."""
    body = datagram[_DIGEST_BYTES:]
    if not hmac.compare_digest(datagram, sign(body, key)):
        raise RemoteProtocolError("not signed with the same key; expected that of rooms.key")
    return from_event(read_object(body.decode(errors="replace")))


def sign(body: bytes, key: bytes) -> bytes:
    """Return ``body`` after its HMAC-SHA256."""
    return hmac.digest(key, _PURPOSE + body, "sha256") + body
