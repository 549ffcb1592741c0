"""Takeover: how each part of a running ear goes on with new options."""

from jarvis_ear import config
from jarvis_ear.devices.microphone import Microphone
from jarvis_ear.ears import Ears, wake_word
from jarvis_ear.hearing.ear import Ear
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

    def prepare(self, taker: Taker, options: config.Config) -> Step:
        """Get one part ready; the step puts its options in force. Raises ConfigError."""
        running = self._running
        match taker:
            case Taker.EAR:
                ear = self._make_ear(options)
                return lambda: self._hear_with(ear, options)
            case Taker.BACKEND:
                return self._deliver_to(options)
            case Taker.MICROPHONE:
                return lambda: self._hear_from(options.microphone)
            case Taker.SPEAKER:
                return lambda: running.speaker.change(options.speaker)
            case Taker.MUTE:
                hours = QuietHours.parse(options.microphone.mute_between)
                return lambda: running.mute.change(hours)
            case Taker.LOG:
                return lambda: self._tell_as(options)
            case Taker.NOBODY:
                raise ValueError("what nobody takes cannot be prepared, expected another taker")

    def _make_ear(self, options: config.Config) -> Ear:
        return self._ears.make(options.hearing, WIRES[options.backend.protocol].growth_ms)

    def _deliver_to(self, options: config.Config) -> Step:
        """Another wire may want to hear more often of an utterance that grows."""
        deliver = self._running.backend.prepare(options.backend)
        ear = self._make_ear(options)

        def go_on() -> None:
            deliver()
            self._running.ear.change(ear)

        return go_on

    def _hear_from(self, options: config.Microphone) -> None:
        """Open the microphone anew; a file has nothing to change."""
        source = self._running.source
        if isinstance(source, Microphone):
            source.change(options)
            self._running.capture.reopen()

    def _hear_with(self, ear: Ear, options: config.Config) -> None:
        self._running.ear.change(ear)
        self._tell_as(options)

    def _tell_as(self, options: config.Config) -> None:
        log_level.set_level(options.log)
        self._running.log.change(
            transcripts=options.log.transcripts, wake_word=wake_word(options.hearing)
        )
