"""What ears of one home tell each other."""

from dataclasses import replace
from typing import Any

from jarvis_ear.rooms.claim import Claim


def claim(ear: str = "kitchen", number: int = 1, **changes: Any) -> Claim:
    """The claim of an ear that heard the wake word just now."""
    made = Claim(
        group="home",
        claim_id=f"{number:016x}",
        ear=ear,
        standing="open",
        age_ms=0,
        ready=True,
        score_percent=90,
        level=-30,
        floor=-60,
    )
    return replace(made, **changes)
