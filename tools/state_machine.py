"""Write docs/state-machine.md: the turn machine as a diagram and a table, from its state table."""

import sys
from collections.abc import Iterator, Mapping

from documented import documented

from jarvis_ear.hearing.events import Event, State
from jarvis_ear.hearing.turns import TRANSITIONS, Transition

HEAD = """\
# The turn machine

<!-- Written by `make docs` from jarvis_ear/hearing/turns.py; do not edit. -->

The ear is always in one of the states below. Only the events on this page change its state; an
event without a row for the current state has no effect and is logged as ignored.
"""


def _arrows() -> Iterator[tuple[State, type[Event], Transition]]:
    for state, row in TRANSITIONS.items():
        for event, transition in row.items():
            yield state, event, transition


def _everywhere() -> Mapping[type[Event], State]:
    """Find the events that lead from most states to one; drawing them would fill the diagram."""
    states: dict[tuple[type[Event], State], int] = {}
    for _, event, transition in _arrows():
        key = (event, transition.to)
        states[key] = states.get(key, 0) + 1
    return {event: to for (event, to), count in states.items() if 3 * count > 2 * len(State)}


def _picture(everywhere: Mapping[type[Event], State]) -> Iterator[str]:
    labels: dict[tuple[State, State], list[str]] = {}
    for state, event, transition in _arrows():
        if everywhere.get(event) is not transition.to:
            labels.setdefault((state, transition.to), []).append(event.__name__)
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {State.IDLE}"
    for (old, new), events in labels.items():
        yield f"    {old} --> {new}: {', '.join(events)}"
    yield "```"


def _leads(state: State, event: type[Event], to: State) -> bool:
    transition = TRANSITIONS[state].get(event)
    return transition is not None and transition.to is to


def _sentences(everywhere: Mapping[type[Event], State]) -> Iterator[str]:
    yield "Not drawn:\n"
    for event, to in everywhere.items():
        others = [state for state in State if not _leads(state, event, to)]
        but = " and ".join(f"`{state}`" for state in others)
        yield f"- `{event.__name__}` leads to `{to}` from every state except {but}."
    yield (
        "- `follow_up` lasts for `hearing.follow_up_ms` or, if the backend asks for an answer, for "
        "`hearing.asked_follow_up_ms`. `idle` takes its place if that is 0, after an announcement "
        "that does not ask, and after words that end the conversation."
    )


def _states() -> Iterator[str]:
    yield "| state | what it means |"
    yield "|---|---|"
    for name, words in documented(State).items():
        yield f"| `{State[name]}` | {words} |"


def _table() -> Iterator[str]:
    yield "| state | event | next state | actions |"
    yield "|---|---|---|---|"
    for state, event, transition in _arrows():
        orders = ", ".join(transition.orders)
        yield f"| `{state}` | `{event.__name__}` | `{transition.to}` | {orders} |"


def page() -> str:
    """Return the whole page."""
    everywhere = _everywhere()
    parts = [
        HEAD,
        "\n".join(_states()) + "\n",
        "## Picture\n",
        "\n".join(_picture(everywhere)) + "\n",
        "\n".join(_sentences(everywhere)) + "\n",
        "## Table\n",
        "\n".join(_table()) + "\n",
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
