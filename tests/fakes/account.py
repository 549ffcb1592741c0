"""What a run of faults must add up to: who said what, what ran, and what was recorded of it."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GRACE_S = 8.0
"""Committed while it was fresh, it may lie in the kernel of a server that is stopped for up to
seven seconds, and runs when the server goes on: the ear cannot know or prevent that."""

NOT_RUN = {"expired", "replaced", "superseded (not_committed)"}
"""Verdicts that say that an utterance was not run."""


@dataclass(frozen=True, slots=True)
class Account:
    """The sums. Numbers of utterances everywhere."""

    said: int
    verdicts: Mapping[str, int]
    repeated: list[int]
    torn: list[int]
    """Ran, and not as they were said."""
    unaccounted: list[int]
    """Handed over, and no verdict anywhere."""
    judged_twice: list[int]
    late: list[int]
    """Ran after they were too old, or although they were told not to have run."""
    in_doubt: list[int]
    """Perhaps run: told so."""

    @property
    def clean(self) -> bool:
        """Whether every sum is right; at most one in a hundred may be in doubt (or two in all)."""
        broken = self.repeated or self.torn or self.unaccounted or self.late or self.judged_twice
        return not broken and len(self.in_doubt) <= max(2, self.said // 100)

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {name}" for name, count in sorted(self.verdicts.items()))
        share = 100 * len(self.in_doubt) / max(1, self.said)
        return (
            f"{self.said} utterances: {ends}\n"
            f"repeated {len(self.repeated)}, unaccounted {len(self.unaccounted)}, "
            f"late {len(self.late)}, in doubt {len(self.in_doubt)} ({share:.1f} %)\n"
            f"torn {len(self.torn)}, judged twice {len(self.judged_twice)}"
        )


def turn_of(number: int) -> str:
    return f"{number:08x}"


def ledger(state: Path) -> dict[str, list[str]]:
    """Return the verdicts that the ledger in ``state`` holds of each turn.

    A superseded turn has its cause with it: that says whether it was run.
    """
    found: dict[str, list[str]] = {}
    for name in ("ledger.1.jsonl", "ledger.jsonl"):
        file = state / name
        for line in file.read_text().splitlines() if file.exists() else ():
            told = json.loads(line) if line else {}
            if "verdict" in told:
                why = f" ({told['cause']})" if told["verdict"] == "superseded" else ""
                found.setdefault(told["turn"], []).append(told["verdict"] + why)
    return found


def draw_up(
    said: Mapping[int, float],
    runs: Iterable[Mapping[str, Any]],
    recorded: Mapping[str, list[str]],
    fresh_s: float,
) -> Account:
    """Add up. ``said`` is when each utterance was handed over, ``runs`` what the server wrote."""
    ran = Counter(line["number"] for line in runs)
    ends = {number: recorded.get(turn_of(number), []) for number in said}
    last = {line["number"]: line["at"] for line in runs if line["number"] is not None}
    not_run = {number for number, told in ends.items() if NOT_RUN & set(told)}
    overdue = {
        number
        for number, at in last.items()
        if number in said and at > said[number] + fresh_s + GRACE_S
    }
    return Account(
        said=len(said),
        verdicts=Counter(verdict for verdicts in ends.values() for verdict in verdicts[:1]),
        repeated=[number for number, times in ran.items() if number is not None and times > 1],
        torn=[0] * ran[None],
        unaccounted=[number for number, verdicts in ends.items() if not verdicts],
        judged_twice=[number for number, verdicts in ends.items() if len(verdicts) > 1],
        late=sorted(overdue | (not_run & set(last))),
        in_doubt=[number for number, verdicts in ends.items() if "in_doubt" in verdicts],
    )
