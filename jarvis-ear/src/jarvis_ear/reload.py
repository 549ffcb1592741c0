"""Reload: put a changed configuration into force in a running ear."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, TypeAlias

from jarvis_ear import config
from jarvis_ear.components import Components
from jarvis_ear.config import Config
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.devices.models import EarFactory, wake_word
from jarvis_ear.errors import ConfigError
from jarvis_ear.journal.life import RELOAD_REFUSED, RELOADED, RESTART_NEEDED
from jarvis_ear.link.registry import WIRES
from jarvis_ear.log import setup
from jarvis_ear.mute import QuietHours
from jarvis_ear.options.option import Change, Taker, changes, names

_LOGGER = logging.getLogger(__name__)

Step: TypeAlias = Callable[[], None]
"""Puts new options in force, in one part of the ear. Never waits, never fails."""

Prepare: TypeAlias = Callable[[Taker, Config], Step]
"""Gets a part ready for new options, without any effect; or raises ConfigError."""

WAITS: Final = "a new configuration waits for the end of the turn"
"""What is said of a reload that came in the middle of a turn."""


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
        _LOGGER.error(words, reason, extra=RELOAD_REFUSED.fields(REASON=reason))

    def _tell(self, plan: _Plan) -> None:
        what = f"changed: {names(plan.taken)}" if plan.taken else "nothing changes"
        fields = RELOADED.fields(CHANGED=names(plan.taken) or "nothing")
        _LOGGER.info("the configuration was read again; %s", what, extra=fields)
        found = changes(self._started_with, plan.config)
        left = names(change for change in found if change.taker is Taker.NOBODY)
        self._verdict = f"a restart is needed for {left}" if left else ""
        if left:
            fields = RESTART_NEEDED.fields(CHANGED=left)
            _LOGGER.warning("changed, and in force only after a restart: %s", left, extra=fields)


class ReloadSteps:
    """Gets parts ready for new options. Owned by the main thread; see ``Reload``."""

    def __init__(self, running: Components, ears: EarFactory) -> None:
        self._running = running
        self._ears = ears
        self._preparing: Mapping[Taker, Callable[[config.Config], Step]] = {
            Taker.EAR: self._hear_with,
            Taker.BACKEND: self._deliver_to,
            Taker.BUS: running.bus.prepare,
            Taker.MICROPHONE: lambda options: partial(self._hear_from, options.microphone),
            Taker.SPEAKER: lambda options: partial(running.speaker.change, options.speaker),
            Taker.MUTE: self._be_quiet_in,
            Taker.CONSOLE: lambda options: partial(running.console.show, options),
            Taker.LOG: lambda options: partial(self._tell_as, options),
        }

    def prepare(self, taker: Taker, options: config.Config) -> Step:
        """Get one part ready; the step puts its options in force. Raises ConfigError."""
        return self._preparing[taker](options)

    def _make_ear(self, options: config.Config) -> Step:
        """Get an ear ready; the step has it used."""
        growth_ms = WIRES[options.backend.protocol].growth_ms
        ear, keep = self._ears.prepare(options.hearing, growth_ms)

        def use() -> None:
            keep()
            self._running.ear.change(ear)

        return use

    def _deliver_to(self, options: config.Config) -> Step:
        """Another wire may want to hear more often of a sentence; a bus may share the login."""
        deliver = self._running.backend.prepare(options.backend)
        hear, join = self._make_ear(options), self._running.bus.prepare(options)

        def go_on() -> None:
            deliver()
            join()
            hear()

        return go_on

    def _hear_from(self, options: config.MicrophoneOptions) -> None:
        """Open the microphone anew; a file has nothing to change."""
        source = self._running.capture.source
        if isinstance(source, Microphone):
            source.change(options)
            self._running.capture.reopen()

    def _hear_with(self, options: config.Config) -> Step:
        hear = self._make_ear(options)

        def go_on() -> None:
            hear()
            self._tell_as(options)

        return go_on

    def _be_quiet_in(self, options: config.Config) -> Step:
        hours = QuietHours.parse(options.microphone.mute_between)
        return partial(self._running.mute.change, hours)

    def _tell_as(self, options: config.Config) -> None:
        setup.set_level(options.log)
        self._running.log.change(
            transcripts=options.log.transcripts, wake_word=wake_word(options.hearing)
        )
