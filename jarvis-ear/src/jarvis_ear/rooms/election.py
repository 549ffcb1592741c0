"""Election: decides which of several ears answers a wake word."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from jarvis_ear.hearing.events import AnsweredElsewhere, AnsweredHere
from jarvis_ear.rooms.claim import MAX_AGE_MS, MAX_HEARD, Claim, Standing

SAME_WORD_S: Final = 0.7
"""Seconds between two detections of the same wake word, at most. Measured: one ear detects it 0 to
0.3 s after its end; the rest is for slow machines and a late network."""

DECIDES_S: Final = 0.5
"""Seconds after the detection at which an ear decides: 0.3 s between two detections, and two
transits of 0.1 s, for which a Wi-Fi may keep a message back."""

REPEAT_S: Final = 0.1
"""Seconds between two messages of an ear that has not decided: one of five has to arrive."""

ANSWERS_S: Final = 1.5
"""Seconds after a detection for which an ear tells others that it answers: longer than
``SAME_WORD_S`` and a decision."""


@dataclass(frozen=True, slots=True)
class SendClaim:
    """Tell the other ears."""

    claim: Claim


Outcome: TypeAlias = SendClaim | AnsweredHere | AnsweredElsewhere


@dataclass(slots=True)
class _Own:
    """The newest wake word of this ear."""

    turn_id: str
    claim: Claim
    heard_at: float
    decides_at: float
    speaks_at: float
    is_lost: bool = False

    @property
    def is_open(self) -> bool:
        return self.claim.standing == Standing.OPEN and not self.is_lost


@dataclass(slots=True)
class _Other:
    """A claim of another ear."""

    claim: Claim
    heard_at: float
    """When its ear heard the word, on our clock. Transit makes it late: the earliest counts."""
    has_named_us: bool = False
    """Whether it names our claim: its ear is there, and knows of us."""


class Election:
    """Claims the wake words of one ear, and weighs the claims of others. For one thread at a time.

    Times are seconds of one clock that never jumps back. An ear gives way to a claim that names its
    own and is better, or whose ear answers already; else it answers. See decision 25.

    Bound: ``MAX_HEARD`` claims of others. Policy: one more is ignored until one is over. Counter:
    ``ignored``.
    """

    def __init__(self) -> None:
        self._own: _Own | None = None
        self._own_ids: deque[str] = deque(maxlen=MAX_HEARD)  # they come back from the network
        self._others: dict[str, _Other] = {}
        self._lost: AnsweredElsewhere | None = None  # the newest turn that another ear answers
        self.won = 0
        """Wake words that this ear answered."""
        self.lost = 0
        """Wake words that another ear answered."""
        self.ignored = 0
        """Claims that were too many, or too old."""
        self.doubled = 0
        """Wake words that this ear and another one answered, because messages were lost."""

    @property
    def deadline(self) -> float | None:
        """When ``tick`` must be called next; None: not before the next claim."""
        own = self._own
        return None if own is None or not own.is_open else min(own.decides_at, own.speaks_at)

    def open(self, turn_id: str, claim: Claim, now: float) -> tuple[Outcome, ...]:
        """Claim the wake word that opened a turn, ``claim.age_ms`` ago."""
        self._own_ids.append(claim.claim_id)
        self._forget(now)
        heard_at = now - claim.age_ms / 1000
        self._own = _Own(turn_id, claim, heard_at, now + DECIDES_S, now + REPEAT_S)
        return (self._say(self._own, now),)

    def hear(self, claim: Claim, now: float) -> tuple[Outcome, ...]:
        """Weigh the claim of another ear, or ignore our own."""
        if claim.claim_id in self._own_ids:
            return ()
        self._forget(now)
        own = self._own
        other, is_news = self._note(claim, now)
        if other is None or own is None or own.is_lost or not self._is_same_word(own, other):
            return ()
        other.has_named_us |= own.claim.claim_id in claim.names
        if not own.is_open:
            return self._insist(own, other, now, is_news=is_news)
        if other.claim.standing == Standing.ANSWERS and other.has_named_us:
            return self._give_way(own, other.claim.ear)
        return (self._say(own, now),) if is_news else ()

    def tick(self, now: float) -> tuple[Outcome, ...]:
        """Decide, or repeat the claim, if it is time."""
        own = self._own
        if own is None or not own.is_open:
            return ()
        if now >= own.decides_at:
            return self._decide(own, now)
        if now >= own.speaks_at:
            own.speaks_at = now + REPEAT_S
            return (self._say(own, now),)
        return ()

    def settle(self, turn_id: str, now: float) -> tuple[Outcome, ...]:
        """Decide about a turn now, because its utterance is complete."""
        own = self._own
        if own is None or not own.is_open or own.turn_id != turn_id:
            return ()
        return self._decide(own, now)

    def is_lost(self, turn_id: str) -> bool:
        """Whether another ear answers this turn."""
        return self._lost is not None and self._lost.turn_id == turn_id

    def go_on(self, turn_id: str, continues: str) -> tuple[Outcome, ...]:
        """Give a turn to the ear that has the beginning of its sentence, if another one has it."""
        if self._lost is None or self._lost.turn_id != continues:
            return ()
        self._lost = AnsweredElsewhere(turn_id, self._lost.ear)
        return (self._lost,)

    def withdraw(self, turn_id: str, now: float) -> tuple[Outcome, ...]:
        """Take the claim of a turn back if it is open: the turn is over."""
        own = self._own
        if own is None or not own.is_open or own.turn_id != turn_id:
            return ()
        own.claim = replace(own.claim, standing=str(Standing.WITHDRAWN))
        self._own = None
        return (self._say(own, now),)

    def counters(self) -> Mapping[str, int]:
        """Return how often messages were lost or too many."""
        return {"rooms_doubled": self.doubled, "rooms_ignored": self.ignored}

    def _note(self, claim: Claim, now: float) -> tuple[_Other | None, bool]:
        """Remember a claim; return it, and whether it is news. None: it is over, or too much."""
        heard_at = now - claim.age_ms / 1000
        other = self._others.get(claim.claim_id)
        if other is not None:
            is_news = other.claim.standing == Standing.OPEN != claim.standing
            other.claim = claim if is_news else other.claim  # an older message may come later
            other.heard_at = min(other.heard_at, heard_at)
            return other, is_news
        if now - heard_at > ANSWERS_S or len(self._others) >= MAX_HEARD:
            self.ignored += 1
            return None, False
        other = self._others[claim.claim_id] = _Other(claim, heard_at)
        return other, True

    def _forget(self, now: float) -> None:
        old = now - ANSWERS_S
        self._others = {key: each for key, each in self._others.items() if each.heard_at >= old}
        if self._own is not None and not self._own.is_open and self._own.heard_at < old:
            self._own = None

    def _is_same_word(self, own: _Own, other: _Other) -> bool:
        is_over = other.claim.standing == Standing.WITHDRAWN
        return not is_over and abs(other.heard_at - own.heard_at) <= SAME_WORD_S

    def _rivals(self, own: _Own) -> Iterator[_Other]:
        return (each for each in self._others.values() if self._is_same_word(own, each))

    def _insist(
        self, own: _Own, other: _Other, now: float, *, is_news: bool
    ) -> tuple[Outcome, ...]:
        """Tell an ear that has not decided that this one answers."""
        if other.claim.standing == Standing.OPEN:
            return (self._say(own, now),)
        self.doubled += is_news
        return ()

    def _decide(self, own: _Own, now: float) -> tuple[Outcome, ...]:
        rivals = list(self._rivals(own))
        if any(each.has_named_us and each.claim.rank > own.claim.rank for each in rivals):
            return self._give_way(own, max(each.claim.rank for each in rivals)[3])
        own.claim = replace(own.claim, standing=str(Standing.ANSWERS))
        self.won += 1
        return (AnsweredHere(own.turn_id), self._say(own, now))

    def _give_way(self, own: _Own, ear: str) -> tuple[Outcome, ...]:
        own.is_lost = True
        self.lost += 1
        self._lost = AnsweredElsewhere(own.turn_id, ear)
        return (self._lost,)

    def _say(self, own: _Own, now: float) -> SendClaim:
        age_ms = min(round((now - own.heard_at) * 1000), MAX_AGE_MS)
        heard = " ".join(each.claim.claim_id for each in self._rivals(own))
        return SendClaim(replace(own.claim, age_ms=age_ms, heard=heard))
