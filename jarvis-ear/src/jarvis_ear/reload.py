"""Reload: the configuration, read again while the ear runs."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from jarvis_ear.config import Config
from jarvis_ear.errors import ConfigError
from jarvis_ear.journal.life import RELOAD_REFUSED, RELOADED, RESTART_NEEDED
from jarvis_ear.options.change import Change, Taker, changes, names

Step: TypeAlias = Callable[[], None]
"""Puts new options in force, in one part of the ear. Never waits, never fails."""

Prepare: TypeAlias = Callable[[Taker, Config], Step]
"""Gets a part ready for new options, without any effect; or raises ConfigError."""

WAITS: Final = "a new configuration waits for the end of the turn"
"""What is said of a reload that came in the middle of a turn."""

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A configuration that is valid, with everything made ready for it."""

    config: Config
    taken: tuple[Change, ...]
    steps: tuple[Step, ...]


class Reload:
    """Reads the configuration again, and puts it in force between turns. Owned by the main thread.

    First everything is read, checked and made ready; only if all of it can be used does any of it
    count. A mistake leaves the old configuration in force, whole. ``on_done`` is called with
    what is in force from then on.
    """

    def __init__(
        self,
        config: Config,
        *,
        read: Callable[[], Config],
        prepare: Prepare,
        is_calm: Callable[[], bool],
        on_done: Callable[[Config], None],
        wall: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._started_with = config
        self._in_force = config
        self._read = read
        self._prepare = prepare
        self._is_calm = is_calm
        self._on_done = on_done
        self._wall = wall
        self._plan: _Plan | None = None
        self._verdict = ""

    @property
    def waits(self) -> bool:
        """Whether there is a new configuration that is not in force yet."""
        return self._plan is not None

    @property
    def note(self) -> str:
        """What a person should know of the last reload; nothing: it is simply done."""
        return WAITS if self.waits else self._verdict

    def ask(self) -> None:
        """Read it again. A former plan that still waits is forgotten."""
        self._plan = None
        try:
            self._plan = self._make_plan(self._read())
        except ConfigError as error:
            self._refuse(str(error).splitlines())

    def look(self) -> None:
        """Put what waits in force if nobody speaks with us just now, several times a second."""
        plan = self._plan
        if plan is None or not self._is_calm():
            return
        for step in plan.steps:
            step()
        self._plan, self._in_force = None, plan.config
        self._on_done(plan.config)
        self._tell(plan)

    def _make_plan(self, config: Config) -> _Plan:
        found = changes(self._in_force, config)
        taken = tuple(change for change in found if change.taker is not Taker.NOBODY)
        takers = dict.fromkeys(change.taker for change in taken)
        return _Plan(config, taken, tuple(self._prepare(taker, config) for taker in takers))

    def _refuse(self, mistakes: Collection[str]) -> None:
        number = f"{len(mistakes)} mistake{'s' if len(mistakes) != 1 else ''}"
        self._verdict = f"the configuration of {self._wall():%H:%M} has {number}, see the log"
        reason = "; ".join(mistakes)
        words = "the new configuration is refused, the old one stays in force: %s"
        _LOGGER.error(words, reason, extra=RELOAD_REFUSED.told(REASON=reason))

    def _tell(self, plan: _Plan) -> None:
        what = f"changed: {names(plan.taken)}" if plan.taken else "nothing changes"
        told = RELOADED.told(CHANGED=names(plan.taken) or "nothing")
        _LOGGER.info("the configuration was read again; %s", what, extra=told)
        found = changes(self._started_with, plan.config)
        left = names(change for change in found if change.taker is Taker.NOBODY)
        self._verdict = f"a restart is needed for {left}" if left else ""
        if left:
            told = RESTART_NEEDED.told(CHANGED=left)
            _LOGGER.warning("changed, and in force only after a restart: %s", left, extra=told)
