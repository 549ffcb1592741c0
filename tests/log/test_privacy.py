"""No secret, no word and no sound gets into the log, however it is rendered."""

import io
import json
import logging
import os
from contextlib import ExitStack

import pytest

from fakes.journal import FakeJournal
from fakes.turns import journal_history, utterance
from jarvis_ear.config import LogOptions
from jarvis_ear.delivery.events import (
    Finished,
    ProcessingStarted,
    ReplyAudio,
    Sent,
    ThinkingStarted,
    Transcribed,
    Verdict,
)
from jarvis_ear.errors import ConfigError
from jarvis_ear.hearing.events import (
    Ignored,
    SendUtterance,
    SpeechEnded,
    State,
    StateChanged,
    TurnOpened,
    UtteranceGrew,
)
from jarvis_ear.log import journal as journal_socket
from jarvis_ear.log import setup
from jarvis_ear.log.setup import log_final_error
from jarvis_ear.units import Samples

LOGGER = logging.getLogger("jarvis_ear")
SOUND = b"squawk" * 100
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl-_x"
WORDS = "the canary sings"


def a_turn(*, transcripts: bool) -> None:
    """Everything that can happen in a turn."""
    history = journal_history(LOGGER, transcripts=transcripts)
    history.after(TurnOpened("7f3a", "5e55", Samples(0), 0.9))
    history.after(StateChanged(State.IDLE, State.LISTENING, Samples(0), "WakeDetected"))
    history.after(UtteranceGrew("7f3a", 0, SOUND))
    history.after(SendUtterance("7f3a", utterance(pcm=SOUND)))
    history.after(Ignored(State.MUTED, SpeechEnded(Samples(0), utterance(pcm=SOUND))))
    history.after(Sent("7f3a", 1, 2, 3))
    history.after(ProcessingStarted("7f3a"))
    history.after(Transcribed("7f3a", WORDS))
    history.after(ThinkingStarted("7f3a", "builtin"))
    history.after(ReplyAudio("7f3a", 0, "audio/wav", SOUND))
    history.after(Finished("7f3a", Verdict.FAILED, "backend_error", 0))
    history.close()


def trouble() -> None:
    """Log records of failing libraries, with all their values."""
    library = logging.getLogger("socketio.client")
    library.warning("Sending packet MESSAGE data 0['voice',{'token': '%s'}]", TOKEN)
    library.error('["voice:audio_chunk",{"audio":"%s"}]', "c3F1YXdr" * 100, extra={"REASON": TOKEN})
    try:
        {}[TOKEN, SOUND]
    except KeyError:
        LOGGER.exception("the library failed", extra={"CAUSE": f"Bearer {TOKEN}"})
    LOGGER.info("%d", TOKEN)


@pytest.fixture
def renderings(tmp_path, monkeypatch):
    """The log at level debug, in three formats."""
    monkeypatch.setattr(journal_socket, "SEND_TIMEOUT_MS", 5000)  # this machine may be busy
    with ExitStack() as up:
        journal = up.enter_context(FakeJournal(tmp_path / "socket"))
        stream = up.enter_context((tmp_path / "stream").open("w+"))
        found = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        text, lines = io.StringIO(), io.StringIO()

        def tell(what) -> dict[str, str]:
            with (
                journal.keep_up() as kept,
                setup.setup(LogOptions(level="debug"), text, {}),
                setup.setup(LogOptions(level="debug", format="json"), lines, {}),
                setup.setup(LogOptions(level="debug"), stream, environ, journal=journal.path),
            ):
                what()
            journalled = "\n".join(map(str, kept))
            return {"text": text.getvalue(), "json": lines.getvalue(), "journal": journalled}

        yield tell


CANARIES = {
    "token": TOKEN.partition(".")[2],
    "sound": "squawk",
    "sound in base64": "c3F1YXdr",
    "transcript": "canary sings",
}


@pytest.fixture
def told(renderings, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own would raise

    def everything() -> None:
        a_turn(transcripts=False)
        trouble()

    return renderings(everything)


@pytest.mark.parametrize("what", CANARIES)
def test_a_canary_is_in_no_rendering(told, what):
    assert all("the library failed" in text for text in told.values())
    assert [form for form, text in told.items() if CANARIES[what] in text] == []


def test_transcripts_are_logged_only_if_configured(renderings):
    told = renderings(lambda: a_turn(transcripts=True))
    assert [form for form, text in told.items() if WORDS in text] == ["text", "json", "journal"]
    lines = [json.loads(line) for line in told["json"].splitlines()]
    holders = {name for line in lines for name, value in line.items() if WORDS in str(value)}
    assert holders == {"MESSAGE"}  # and in no field of its own


def test_the_final_error_contains_no_token(tmp_path):
    with FakeJournal(tmp_path / "socket") as journal, (tmp_path / "stream").open("w") as stream:
        found = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        for error in (ConfigError(f"bad {TOKEN}"), ValueError(TOKEN)):
            assert log_final_error(error, stream, environ, journal=journal.path)
        assert CANARIES["token"] not in str(journal.read())
