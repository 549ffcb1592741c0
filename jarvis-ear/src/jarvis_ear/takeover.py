"""Takeover: how each part of a running ear goes on with new options."""

from collections.abc import Callable, Mapping
from functools import partial

from jarvis_ear import config
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.ears import Ears, wake_word
from jarvis_ear.options.change import Taker
from jarvis_ear.reload import Step
from jarvis_ear.running import Running
from jarvis_ear.system import log_level
from jarvis_ear.system.quiet_hours import QuietHours
from jarvis_ear.transports.wires import WIRES


class Takeover:
    """Gets parts ready for new options. Owned by the main thread; see ``Reload``."""

    def __init__(self, running: Running, ears: Ears) -> None:
        self._running = running
        self._ears = ears
        self._preparing: Mapping[Taker, Callable[[config.Config], Step]] = {
            Taker.EAR: self._hear_with,
            Taker.BACKEND: self._deliver_to,
            Taker.BUS: running.bus.prepare,
            Taker.MICROPHONE: lambda options: partial(self._hear_from, options.microphone),
            Taker.SPEAKER: lambda options: partial(running.speaker.change, options.speaker),
            Taker.MUTE: self._be_quiet_in,
            Taker.CONSOLE: lambda options: partial(running.showing.show, options),
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

    def _hear_from(self, options: config.Microphone) -> None:
        """Open the microphone anew; a file has nothing to change."""
        source = self._running.source
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
        log_level.set_level(options.log)
        self._running.log.change(
            transcripts=options.log.transcripts, wake_word=wake_word(options.hearing)
        )
