"""Rehearsal: says each step that would be done, and does none (`--dry-run`)."""

from collections.abc import Callable, Iterable

from jarvis_ear.service.executor import is_done
from jarvis_ear.service.steps import Build, Enable, Run, Start, Step


def rehearse(steps: Iterable[Step], say: Callable[[str], object]) -> int:
    """Say what is not done yet, and return how many steps that are."""
    told = news = 0
    for step in steps:
        if _is_left_out(step, news):
            continue
        say(str(step))
        told += 1
        news += not isinstance(step, Enable)  # what runs need not be restarted for that
        if isinstance(step, Build):
            rehearse(step.steps, lambda line: say(f"  {line}"))
    return told


def _is_left_out(step: Step, news: int) -> bool:
    match step:
        case Run(always=always):
            return not (always or news)
        case Start(is_active=is_active):
            return is_active and not news
        case _:
            return _seems_done(step)


def _seems_done(step: Step) -> bool:
    try:
        return is_done(step)
    except PermissionError:  # a rehearsal needs no rights, and then cannot know
        return False
