"""A turn history with simulated clocks, and scripts of what happens in a turn."""

import logging
import time
from collections.abc import Callable
from typing import Self

from fakes.clock import FakeClock
from jarvis_ear.config import HEY_JARVIS, Config, ConsoleOptions, LogOptions, WakeWord
from jarvis_ear.delivery.events import Finished, Sent, Verdict
from jarvis_ear.hearing.events import SendUtterance, State, StateChanged, TurnOpened
from jarvis_ear.hearing.utterance import CapturedUtterance, EndReason
from jarvis_ear.turn_trace.history import TurnHistory, View
from jarvis_ear.turn_trace.journal_view import JournalView
from jarvis_ear.turn_trace.trace import TraceEvent
from jarvis_ear.units import Samples, samples

TURN = "7f3a"
SESSION = "5e55"


def utterance(lost_ms: int = 0, pcm: bytes = b"\0\0" * 100) -> CapturedUtterance:
    """1.62 s of speech that began 2 s into the sound, and 0.8 s of silence."""
    return CapturedUtterance(
        start=samples(1500),
        speech_start=samples(2000),
        speech_end=samples(3620),
        end=samples(4420),
        pcm=pcm,
        reason=EndReason.HANGOVER,
        lost=samples(lost_ms),
    )


def options(*, transcripts: bool) -> Config:
    """Options that allow the words to be shown everywhere, or nowhere."""
    return Config(
        log=LogOptions(transcripts=transcripts), console=ConsoleOptions(transcripts=transcripts)
    )


def journal_history(
    logger: logging.Logger, *, transcripts: bool = False, now: Callable[[], float] = time.monotonic
) -> TurnHistory:
    return TurnHistory(options(transcripts=transcripts), JournalView(logger), now=now)


class ScriptedTurns:
    """A history, its clock, the state of its ear, and the steps of a turn."""

    def __init__(
        self,
        *views: View,
        transcripts: bool = True,
        on_heard: Callable[[str, str, str], None] = lambda _turn_id, _heard, _why: None,
    ) -> None:
        self.clock = FakeClock()
        self.history = TurnHistory(
            options(transcripts=transcripts),
            *views,
            on_heard=on_heard,
            now=self.clock.monotonic,
            wall=lambda: 1000 + self.clock.now,
        )
        self.state = State.IDLE

    def wait(self, milliseconds: int) -> Self:
        self.clock.now += milliseconds / 1000
        return self

    def tell(self, *events: TraceEvent) -> Self:
        for event in events:
            self.history.after(event)
        return self

    def enter(self, state: State, why: str) -> Self:
        old, self.state = self.state, state
        return self.tell(StateChanged(old, state, Samples(0), why))

    def wake(self, turn_id: str = TURN, at_ms: int = 2000, word: WakeWord = HEY_JARVIS) -> Self:
        self.tell(TurnOpened(turn_id, SESSION, samples(at_ms), 0.97, word=word))
        return self.enter(State.LISTENING, "WakeDetected")

    def capture(self, turn_id: str = TURN, lost_ms: int = 0) -> Self:
        self.enter(State.CAPTURING, "SpeechStarted")
        self.tell(SendUtterance(turn_id, utterance(lost_ms)))
        return self.enter(State.THINKING, "SpeechEnded(hangover)")

    def send(self, turn_id: str = TURN) -> Self:
        return self.tell(Sent(turn_id, 51_840, 51_884, 69_180))

    def finish(
        self, verdict: Verdict, code: str = "", chunks: int = 0, turn_id: str = TURN
    ) -> Self:
        return self.tell(Finished(turn_id, verdict, code, chunks))
