"""Reload: put a changed configuration in force in a running ear."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, TypeAlias

from jarvis_ear.components import Components
from jarvis_ear.config import NO_BARGE_IN, Config, MicrophoneOptions
from jarvis_ear.devices.microphone import Microphone, quiet_of
from jarvis_ear.devices.models import EarFactory
from jarvis_ear.devices.sound_files import load_sounds
from jarvis_ear.errors import ConfigError
from jarvis_ear.journal.life import RELOAD_REFUSED, RELOADED, RESTART_NEEDED
from jarvis_ear.link.registry import wire_of
from jarvis_ear.log import setup
from jarvis_ear.mute import QuietHours
from jarvis_ear.schema import Change, ReloadTarget, changes, joined

_LOGGER = logging.getLogger(__name__)

Step: TypeAlias = Callable[[], None]
"""Puts new options in force in one component. Does not block or fail."""

Prepare: TypeAlias = Callable[[ReloadTarget, Config], Step]
"""Prepares new options for one component, without any effect; or raises ``ConfigError``."""

WAITS: Final = "a new configuration waits for the end of the turn"
"""The note of a reload during a turn."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """A valid configuration, and the prepared steps that put it in force."""

    config: Config
    changed: tuple[Change, ...]
    steps: tuple[Step, ...]


class Reload:
    """Reads the configuration again and puts it in force between turns. Owned by the main thread.

    Everything is read, checked and prepared first; after any mistake the whole old configuration
    stays in force. ``on_done`` is called with the new configuration.
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
        """Whether a new configuration is not in force yet."""
        return self._plan is not None

    @property
    def note(self) -> str:
        """The state of the last reload for a person; empty: it is done."""
        return WAITS if self.waits else self._verdict

    def ask(self) -> None:
        """Read the configuration again. It replaces one that is not in force yet."""
        self._plan = None
        try:
            self._plan = self._make_plan(self._read())
        except ConfigError as error:
            self._refuse(str(error).splitlines())

    def look(self) -> None:
        """Put a new configuration in force unless a turn is in progress."""
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
        changed = tuple(change for change in found if change.target)
        targets = dict.fromkeys(change.target for change in changed if change.target)
        return _Plan(config, changed, tuple(self._prepare(target, config) for target in targets))

    def _refuse(self, mistakes: Collection[str]) -> None:
        number = f"{len(mistakes)} mistake{'s' if len(mistakes) != 1 else ''}"
        self._verdict = f"the configuration of {self._wall():%H:%M} has {number}, see the log"
        reason = "; ".join(mistakes)
        words = "the new configuration is refused, the old one stays in force: %s"
        _LOGGER.error(words, reason, extra=RELOAD_REFUSED.fields(REASON=reason))

    def _tell(self, plan: _Plan) -> None:
        what = f"changed: {joined(plan.changed)}" if plan.changed else "nothing changes"
        fields = RELOADED.fields(CHANGED=joined(plan.changed) or "nothing")
        _LOGGER.info("the configuration was read again; %s", what, extra=fields)
        found = changes(self._started_with, plan.config)
        left = joined(change for change in found if change.target is None)
        self._verdict = f"a restart is needed for {left}" if left else ""
        if left:
            fields = RESTART_NEEDED.fields(CHANGED=left)
            _LOGGER.warning("changed, and in force only after a restart: %s", left, extra=fields)


class ReloadSteps:
    """Prepares components for new options. Owned by the main thread; see ``Reload``."""

    def __init__(self, running: Components, ears: EarFactory) -> None:
        self._running = running
        self._ears = ears
        self._prepare: Mapping[ReloadTarget, Callable[[Config], Step]] = {
            ReloadTarget.EAR: self._prepare_ear,
            ReloadTarget.BACKEND: self._prepare_backend,
            ReloadTarget.BUS: running.bus.prepare,
            ReloadTarget.MICROPHONE: lambda config: partial(self._reopen, config.microphone),
            ReloadTarget.SPEAKER: self._prepare_speaker,
            ReloadTarget.MUTE: lambda config: partial(
                running.mute.change, QuietHours.parse(config.microphone.mute_between)
            ),
            ReloadTarget.CONSOLE: lambda config: partial(running.turns.change, config),
            ReloadTarget.HOOKS: lambda config: partial(running.hooks.change, config.hooks),
            ReloadTarget.MQTT: running.mqtt.prepare,
            ReloadTarget.METRICS: lambda config: partial(running.metrics.change, config.metrics),
            ReloadTarget.LOG: lambda config: partial(self._change_log, config),
        }

    def prepare(self, target: ReloadTarget, config: Config) -> Step:
        """Prepare one component; the step puts the options in force. Raises ``ConfigError``."""
        return self._prepare[target](config)

    def _prepare_ear(self, config: Config) -> Step:
        growth_ms = wire_of(config.backend.protocol).growth_ms
        may_interrupt = config.speaker.barge_in != NO_BARGE_IN
        lag_ms = config.speaker.lag_ms
        sounds = load_sounds(config.sounds, config.hearing.wake.all_words)
        ear = self._ears.make(config.hearing, growth_ms, may_interrupt=may_interrupt, lag_ms=lag_ms)
        return _together(
            partial(self._running.ear.change, ear),
            partial(self._running.backend.use_words, config.hearing.wake.all_words),
            partial(self._running.speaker.use_sounds, sounds),
            partial(self._running.capture.source.hold_quiet, quiet_of(config.hearing)),
            partial(self._running.wake_ledger.change, config.hearing),
            partial(self._running.rooms.change, config),
            partial(self._change_log, config),
        )

    def _prepare_speaker(self, config: Config) -> Step:
        """Prepare the ear too: an option decides whether it heeds the wake word during a reply."""
        return _together(
            partial(self._running.speaker.change, config.speaker),
            partial(self._running.announcements.change, config.speaker),
            self._prepare_ear(config),
        )

    def _prepare_backend(self, config: Config) -> Step:
        """Prepare ear, bus and MQTT too: the wire sets the growth, and both have its agent id."""
        return _together(
            self._running.backend.prepare(config.backend),
            self._running.bus.prepare(config),
            self._running.mqtt.prepare(config),
            self._prepare_ear(config),
        )

    def _reopen(self, options: MicrophoneOptions) -> None:
        """Open the microphone again; a sound file has no options to change."""
        source = self._running.capture.source
        if isinstance(source, Microphone):
            source.change(options)
            self._running.capture.reopen()

    def _change_log(self, config: Config) -> None:
        setup.set_level(config.log)
        self._running.turns.change(config)


def _together(*steps: Step) -> Step:
    def run() -> None:
        for step in steps:
            step()

    return run
