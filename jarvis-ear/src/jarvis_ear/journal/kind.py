"""Kind: a kind of event that its owner may ask the journal about."""

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to do about it."""

    words: str
    command: str = ""
    """What to type for it, exactly; empty: nothing."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of event: how records of it are marked, and how ``journalctl -x`` explains them."""

    event: str
    """The value of EVENT. The ways in which a turn ends share one."""
    message_id: str
    """128 random bits. Never changed: queries and alarms of other people hold it."""
    subject: str
    """What happened, in a line. Fields of the record stand in it as @NAME@."""
    causes: str
    """What that means, and what leads to it. Fields as in ``subject``."""
    remedies: tuple[Remedy, ...] = ()
    """What to do about it, the likeliest first."""
    outcome: str = ""
    """For a turn: the value of OUTCOME."""

    def told(self, **fields: object) -> dict[str, object]:
        """Return the fields of a record of this kind: what a log call takes as ``extra``."""
        return {**dict(self._marks()), **fields}

    @property
    def advice(self) -> str:
        """What can be done now, in one line, commands in parentheses; what was is left out."""
        return "; ".join(
            f"{remedy.words} ({remedy.command})" if remedy.command else remedy.words
            for remedy in self.remedies
            if not remedy.command.startswith("journalctl ")
        )

    @property
    def references(self) -> frozenset[str]:
        """The fields that every record of this kind has to carry."""
        told = [self.subject, self.causes, *(remedy.command for remedy in self.remedies)]
        return frozenset(re.findall(r"@([A-Z_]+)@", " ".join(told)))

    def _marks(self) -> Iterator[tuple[str, object]]:
        yield "EVENT", self.event
        yield "MESSAGE_ID", self.message_id
        if self.outcome:
            yield "OUTCOME", self.outcome
