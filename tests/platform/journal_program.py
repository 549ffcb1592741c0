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
from jarvis_ear.devices.capture import Capture, CaptureEvent
from jarvis_ear.errors import ConfigError, MicrophoneUnavailable
from jarvis_ear.hearing.events import SendUtterance, State, StateChanged, TurnDropped, TurnOpened
from jarvis_ear.hearing.inbox import Inbox
from jarvis_ear.journal import sound, turns
from jarvis_ear.log import journal, setup
from jarvis_ear.log.setup import log_final_error, log_lifecycle
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


def begin(history: TurnHistory, turn_id: str, score: float) -> None:
    history.after(TurnOpened(turn_id, f"s-{turn_id}", samples(2000), score))
    history.after(StateChanged(State.IDLE, State.LISTENING, Samples(0), "WakeDetected"))


def speak(
    history: TurnHistory, turn_id: str, answer_ms: int, verdict: Verdict, cause: str = ""
) -> None:
    begin(history, turn_id, 0.97)
    history.after(SendUtterance(turn_id, utterance()))
    history.after(
        StateChanged(State.LISTENING, State.THINKING, Samples(0), "SpeechEnded(hangover)")
    )
    CLOCK.now += 0.011
    history.after(Sent(turn_id, 51_840, 51_884, 69_180))
    history.after(ProcessingStarted(turn_id))
    CLOCK.now += (answer_ms - 811) / 1000
    history.after(Transcribed(turn_id, "the canary sings"))
    history.after(Finished(turn_id, verdict, cause, 0))
    history.after(StateChanged(State.THINKING, State.IDLE, Samples(0), "ReplyEnded"))


def live() -> None:
    history = journal_history(LOGGER, now=CLOCK.monotonic)
    history.after(LinkUp("http://a:1", None))
    speak(history, "03b91389", 994, Verdict.DONE)
    speak(history, "510351e5", 9994, Verdict.DONE)
    for number, verdict in enumerate(each for each in Verdict if each is not Verdict.DONE):
        speak(history, f"bad{number}", 1200, verdict, "not_understood" if number == 0 else "x")
    begin(history, "fa15e", 0.51)
    history.after(TurnDropped("fa15e", "DeadlinePassed"))

    capture = Capture(FakeSource(), Inbox(), on_end=lambda _: None, monotonic=CLOCK.monotonic)
    capture._fail(MicrophoneUnavailable("it was unplugged"))
    CLOCK.now += 4.2
    capture._advance(CaptureEvent.SOUND)
    lost = sound.SOUND_LOST.fields(SOURCE="microphone 'usb'", LOST_MS=40)
    LOGGER.warning("microphone 'usb' lost 40 ms of sound", extra=lost)

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
    journal.SEND_TIMEOUT_MS = 5000  # a busy machine shall lose no record here
    with setup.setup(LogOptions()), log_lifecycle():
        live()
    log_final_error(ConfigError("backend.url: expected a URL\nmicrophone.rate: unknown"))


if __name__ == "__main__":
    main()
