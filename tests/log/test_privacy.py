"""No secret, no word and no sound gets into the log, however it is rendered."""

import logging

import pytest

from jarvis_ear.delivery import events
from jarvis_ear.errors import ConfigError
from jarvis_ear.hearing import events as hearing
from jarvis_ear.hearing.utterance import CapturedUtterance, EndReason
from jarvis_ear.log import journal as module
from jarvis_ear.log.setup import log_final_error
from jarvis_ear.turn_trace.journal_view import TurnLog
from jarvis_ear.units import Samples, samples

LOGGER = logging.getLogger("jarvis_ear")
SOUND = b"squawk" * 100
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl-_x"
WORDS = "the canary sings"


def utterance() -> CapturedUtterance:
    places = [samples(ms) for ms in (1500, 2000, 3620, 4420)]
    start, speech_start, speech_end, end = places
    return CapturedUtterance(
        start, speech_start, speech_end, end, SOUND, EndReason.HANGOVER, Samples(0)
    )


def a_turn(*, transcripts: bool) -> None:
    """Log everything that can happen in a turn."""
    log = TurnLog(LOGGER, transcripts=transcripts)
    for effect in (
        hearing.TurnOpened("7f3a", "5e55", Samples(0), 0.9),
        hearing.StateChanged(
            hearing.State.IDLE, hearing.State.LISTENING, Samples(0), "WakeDetected"
        ),
        hearing.UtteranceGrew("7f3a", 0, SOUND),
        hearing.SendUtterance("7f3a", utterance()),
        hearing.Ignored(hearing.State.MUTED, hearing.SpeechEnded(Samples(0), utterance())),
    ):
        log.effect(effect)
    for event in (
        events.Sent("7f3a", 1, 2, 3),
        events.ProcessingStarted("7f3a"),
        events.Transcribed("7f3a", WORDS),
        events.ThinkingStarted("7f3a", "builtin"),
        events.ReplyAudio("7f3a", 0, "audio/wav", SOUND),
        events.Finished("7f3a", events.Verdict.FAILED, "backend_error", 0),
    ):
        log.delivery(event)
    log.close()


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


CANARIES = {
    "token": TOKEN.partition(".")[2],
    "sound": "squawk",
    "sound in base64": "c3F1YXdr",
    "transcript": "canary sings",
}


@pytest.fixture
def written(renderings, tmp_path, monkeypatch):
    """Give each rendering of what is logged."""
    monkeypatch.setattr(module, "SEND_TIMEOUT_MS", 5000)  # this machine may be busy

    def write(*parts):
        with renderings(tmp_path, is_burst=True) as seen:
            for part in parts:
                part()
        return {name: str(value) for name, value in vars(seen).items()}, seen

    return write


def test_no_canary_is_in_any_rendering(written, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own would raise
    forms, _ = written(lambda: a_turn(transcripts=False), trouble)
    assert len(forms) == 3
    assert all("the library failed" in text for text in forms.values())
    found = [
        (form, what) for form, text in forms.items() for what in CANARIES if CANARIES[what] in text
    ]
    assert found == []


def test_transcripts_are_logged_only_if_configured(written):
    forms, seen = written(lambda: a_turn(transcripts=True))
    assert [form for form, text in forms.items() if WORDS not in text] == []
    holders = {name for line in seen.json for name, value in line.items() if WORDS in str(value)}
    assert holders == {"MESSAGE"}  # and in no field of its own


def test_the_final_error_contains_no_token(journal):
    for error in (ConfigError(f"bad {TOKEN}"), ValueError(TOKEN)):
        assert log_final_error(error, journal.stream, journal.environ, journal=journal.path)
    records = journal.read()
    assert records
    assert CANARIES["token"] not in str(records)
