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
from jarvis_ear.hearing.utterance import CapturedUtterance, EndReason
from jarvis_ear.journal import turns
from jarvis_ear.log import journal, setup
from jarvis_ear.log.setup import last_words, life_told
from jarvis_ear.mute import Mute
from jarvis_ear.turn_trace.journal_view import TurnLog
from jarvis_ear.units import Samples, samples

LOGGER = logging.getLogger("jarvis_ear")
CLOCK = FakeClock()


def mark(record: logging.LogRecord) -> logging.LogRecord:
    """Name the unit, which systemd would do if it had started us."""
    record.OBJECT_SYSTEMD_UNIT = UNIT
    return record


def make(*args: object, **named: object) -> logging.LogRecord:
    return mark(logging.LogRecord(*args, **named))


def begin(log: TurnLog, turn_id: str, score: float) -> None:
    log.effect(TurnOpened(turn_id, f"s-{turn_id}", samples(2000), score))
    log.effect(StateChanged(State.IDLE, State.LISTENING, Samples(0), "WakeDetected"))


def speak(log: TurnLog, turn_id: str, answer_ms: int, verdict: Verdict, cause: str = "") -> None:
    begin(log, turn_id, 0.97)
    heard = CapturedUtterance(
        start=samples(1500),
        speech_start=samples(2000),
        speech_end=samples(3620),
        end=samples(4420),
        pcm=b"\0\0",
        reason=EndReason.HANGOVER,
        lost=Samples(0),
    )
    log.effect(SendUtterance(turn_id, heard))
    log.effect(StateChanged(State.LISTENING, State.THINKING, Samples(0), "SpeechEnded(hangover)"))
    CLOCK.now += 0.011
    log.delivery(Sent(turn_id, 51_840, 51_884, 69_180))
    log.delivery(ProcessingStarted(turn_id))
    CLOCK.now += (answer_ms - 811) / 1000
    log.delivery(Transcribed(turn_id, "the canary sings"))
    log.delivery(Finished(turn_id, verdict, cause, 0))
    log.effect(StateChanged(State.THINKING, State.IDLE, Samples(0), "ReplyEnded"))


def live() -> None:
    log = TurnLog(LOGGER, transcripts=False, now=CLOCK.monotonic)
    log.delivery(LinkUp("http://a:1", None))
    speak(log, "03b91389", 994, Verdict.DONE)
    speak(log, "510351e5", 9994, Verdict.DONE)
    for number, verdict in enumerate(each for each in Verdict if each is not Verdict.DONE):
        speak(log, f"bad{number}", 1200, verdict, "not_understood" if number == 0 else "x")
    begin(log, "fa15e", 0.51)
    log.effect(TurnDropped("fa15e", "DeadlinePassed"))

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

    mute = Mute(Path(tempfile.mkdtemp()), None)
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
