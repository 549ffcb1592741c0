"""What an eventful day tells the journal: the ear's own parts, driven by hand.

The log takes standard error for the journal, as it is in a service.
"""

import logging
import os
import sys
import tempfile
from pathlib import Path

from fakes.clock import FakeClock
from fakes.journald import UNIT
from fakes.source import FakeSource
from fakes.turns import journal_history, utterance
from jarvis_ear.config import LogOptions
from jarvis_ear.delivery.events import (
    Finished,
    LinkUp,
    ProcessingStarted,
    Sent,
    Transcribed,
    Verdict,
)
from jarvis_ear.devices.capture import Capture
from jarvis_ear.devices.silence import GapLog
from jarvis_ear.errors import ConfigError, MicrophoneUnavailable
from jarvis_ear.hearing.events import SendUtterance, State, StateChanged, TurnDropped, TurnOpened
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.log import journal, setup
from jarvis_ear.log.setup import last_words, life_told
from jarvis_ear.mute import Mute
from jarvis_ear.turn_trace.history import TurnHistory
from jarvis_ear.units import Samples, samples

LOGGER = logging.getLogger("jarvis_ear")
CLOCK = FakeClock()


def mark(record: logging.LogRecord) -> logging.LogRecord:
    """Name the unit, which systemd would do if it had started us."""
    record.OBJECT_SYSTEMD_UNIT = UNIT
    return record


def make(*args: object, **named: object) -> logging.LogRecord:
    return mark(logging.LogRecord(*args, **named))


def begin(turns: TurnHistory, turn_id: str, score: float) -> None:
    turns.after(TurnOpened(turn_id, f"s-{turn_id}", samples(2000), score))
    turns.after(StateChanged(State.IDLE, State.LISTENING, Samples(0), "WakeDetected"))


def speak(
    turns: TurnHistory, turn_id: str, answer_ms: int, verdict: Verdict, cause: str = ""
) -> None:
    begin(turns, turn_id, 0.97)
    turns.after(SendUtterance(turn_id, utterance()))
    turns.after(StateChanged(State.LISTENING, State.THINKING, Samples(0), "SpeechEnded(hangover)"))
    CLOCK.now += 0.011
    turns.after(Sent(turn_id, 51_840, 51_884, 69_180))
    turns.after(ProcessingStarted(turn_id))
    CLOCK.now += (answer_ms - 811) / 1000
    turns.after(Transcribed(turn_id, "the canary sings"))
    turns.after(Finished(turn_id, verdict, cause, 0))
    turns.after(StateChanged(State.THINKING, State.IDLE, Samples(0), "ReplyEnded"))


def live() -> None:
    turns = journal_history(LOGGER, now=CLOCK.monotonic)
    turns.after(LinkUp("http://a:1", None))
    speak(turns, "03b91389", 994, Verdict.DONE)
    speak(turns, "510351e5", 9994, Verdict.DONE)
    for number, verdict in enumerate(each for each in Verdict if each is not Verdict.DONE):
        speak(turns, f"bad{number}", 1200, verdict, "not_understood" if number == 0 else "x")
    begin(turns, "fa15e", 0.51)
    turns.after(TurnDropped("fa15e", "DeadlinePassed"))

    capture = Capture(
        FakeSource(),
        Inbox(),
        on_lost=lambda _: None,
        on_found=lambda: None,
        on_end=lambda _: None,
        monotonic=CLOCK.monotonic,
    )
    capture._lose(MicrophoneUnavailable("it was unplugged"))
    CLOCK.now += 4.2
    capture._find()
    GapLog().tell("microphone 'usb'", 40, CLOCK.now)

    mute = Mute(Path(tempfile.mkdtemp()), None, on_change=lambda _: None)
    mute.load()
    mute.mute()
    mute.unmute()

    away = turns.BACKEND_UNREACHABLE.fields(BACKEND="http://a:1", REASON="refused")
    LOGGER.warning("backend not usable: refused", extra=away)
    LOGGER.info("backend reached", extra=turns.BACKEND_REACHED.fields(BACKEND="http://a:1"))


def main() -> None:
    found = os.fstat(sys.stderr.fileno())
    os.environ["JOURNAL_STREAM"] = f"{found.st_dev}:{found.st_ino}"
    logging.setLogRecordFactory(make)
    journal.PATIENCE_MS = 5000  # a busy machine shall lose no record here
    with setup.setup(LogOptions()), life_told():
        live()
    last_words(ConfigError("backend.url: expected a URL\nmicrophone.rate: unknown"))


if __name__ == "__main__":
    main()
