"""Write the generated part of docs/delivery.md, from the state table of an utterance."""

import sys
from collections.abc import Iterator
from pathlib import Path

from documented import documented
from written_part import MARK, by_hand

from jarvis_ear.delivery.events import Cause, Verdict
from jarvis_ear.delivery.playback import Heard, Unheard
from jarvis_ear.delivery.transitions import (
    AT_LEAST_ONCE,
    AT_MOST_ONCE,
    DeliveryStage,
    DeliveryTransition,
    Signal,
)

BEGIN = MARK.format(source="jarvis_ear/delivery")

_NOT_DRAWN = (
    "Not drawn: something newer ends a turn as `replaced` before it is committed, and as "
    "`abandoned` afterwards; a stop ends it as `failed` (stopping) or `abandoned`."
)


def _where(transition: DeliveryTransition) -> str:
    return str(transition.to if transition.verdict is None else transition.verdict)


def _picture() -> Iterator[str]:
    labels: dict[tuple[str, str], list[str]] = {}
    for stage, row in AT_MOST_ONCE.items():
        for signal, transition in row.items():
            if signal not in (Signal.ABANDONED, Signal.STOPPED) and _where(transition) != stage:
                labels.setdefault((str(stage), _where(transition)), []).append(str(signal))
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {DeliveryStage.WAITING}"
    for (old, new), signals in labels.items():
        yield f"    {old} --> {new}: {', '.join(signals)}"
    for verdict in dict.fromkeys(new for _, new in labels if new in set(Verdict)):
        yield f"    {verdict} --> [*]"
    yield "```"


def _stages() -> Iterator[str]:
    yield "| stage | what it means |"
    yield "|---|---|"
    words = documented(DeliveryStage)
    for stage in DeliveryStage:
        if stage is not DeliveryStage.OVER:
            yield f"| `{stage}` | {words[stage.name].replace('``', '`')} |"


def _table() -> Iterator[str]:
    yield "| stage | what happens | then | and the link |"
    yield "|---|---|---|---|"
    for stage, row in AT_MOST_ONCE.items():
        for signal, transition in row.items():
            link = "is replaced" if transition.replaces_link else ""
            end = (
                ""
                if transition.verdict is None or not transition.cause
                else f" ({transition.cause})"
            )
            again = AT_LEAST_ONCE[stage][signal]
            other = "" if again == transition else f"; at least once: `{_where(again)}`"
            yield f"| `{stage}` | {signal} | `{_where(transition)}`{end}{other} | {link} |"


def _causes() -> Iterator[str]:
    yield "| cause | what it means |"
    yield "|---|---|"
    words = documented(Cause)
    for cause in Cause:
        if cause is not Cause.NONE:
            yield f"| `{cause}` | {words[cause.name]} |"


def _heard() -> Iterator[str]:
    yield "| heard | what it means |"
    yield "|---|---|"
    for heard in Heard:
        yield f"| `{heard}` | {documented(Heard)[heard.name]} |"
    yield ""
    yield "| heard_reason | what it means |"
    yield "|---|---|"
    for why in Unheard:
        if why is not Unheard.NOTHING:
            yield f"| `{why}` | {documented(Unheard)[why.name]} |"


def generated() -> str:
    """Return the generated part."""
    parts = [
        BEGIN,
        "## The stages\n\n" + "\n".join(_stages()),
        "## Picture\n\n" + "\n".join(_picture()),
        _NOT_DRAWN,
        "## Causes\n\n" + "\n".join(_causes()),
        "## What was heard\n\n" + "\n".join(_heard()),
        "## Table\n\n" + "\n".join(_table()),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    page = Path(sys.argv[1]).read_text()
    sys.stdout.write(by_hand(page) + generated())
