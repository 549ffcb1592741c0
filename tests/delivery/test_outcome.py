"""The outcome of a turn: the cause of a failure, and how much of a reply was heard."""

import pytest

from jarvis_ear.delivery.events import Cause, Finished, Verdict, cause_of
from jarvis_ear.delivery.playback import FAULTS, Heard, Playback, Unheard, judge

DONE = Finished("t1", Verdict.DONE, "", 2)
SILENT = Finished("t1", Verdict.DONE, "", 0)
UNPLAYABLE = Playback(audible=False, left_out=2, reason=Unheard.NOT_PLAYABLE)
MUTE = Playback(audible=False, reason=Unheard.NO_SPEAKER)


def end(verdict, code="", chunks=0, missing=0):
    return Finished("t1", verdict, code, chunks, missing)


@pytest.mark.parametrize(
    ("finished", "playback", "heard", "why"),
    [
        (DONE, None, Heard.ALL, Unheard.NOTHING),
        (DONE, Playback(), Heard.ALL, Unheard.NOTHING),
        (SILENT, None, Heard.NONE, Unheard.NO_SPEECH),
        (end(Verdict.DONE, missing=3), None, Heard.NONE, Unheard.CHUNKS_MISSING),
        (end(Verdict.DONE, "", 2, 1), Playback(), Heard.PART, Unheard.CHUNKS_MISSING),
        (DONE, UNPLAYABLE, Heard.NONE, Unheard.NOT_PLAYABLE),
        (DONE, Playback(left_out=1, reason=Unheard.NOT_PLAYABLE), Heard.PART, Unheard.NOT_PLAYABLE),
        (DONE, Playback(audible=False), Heard.NONE, Unheard.NO_SPEECH),
        (end(Verdict.REPLY_LOST, "link_lost", 1), Playback(), Heard.PART, Unheard.BROKEN_OFF),
        (end(Verdict.FAILED, "backend_error", 1), Playback(), Heard.PART, Unheard.BROKEN_OFF),
        (end(Verdict.FAILED, "not_understood"), None, Heard.NONE, Unheard.NO_REPLY),
        (end(Verdict.EXPIRED, "too_old"), None, Heard.NONE, Unheard.NO_REPLY),
        (end(Verdict.ABANDONED, "interrupted"), None, Heard.NONE, Unheard.INTERRUPTED),
        (end(Verdict.ABANDONED, "stopping"), None, Heard.NONE, Unheard.STOPPING),
        (end(Verdict.ABANDONED, "stopping", 1), Playback(), Heard.PART, Unheard.STOPPING),
    ],
)
def test_a_reply_that_was_played_to_its_end(finished, playback, heard, why):
    assert judge(finished, playback) == (heard, why)


@pytest.mark.parametrize(
    ("playback", "stopped", "begun", "heard", "why"),
    [
        (None, Unheard.INTERRUPTED, True, Heard.INTERRUPTED, Unheard.INTERRUPTED),
        (None, Unheard.INTERRUPTED, False, Heard.NONE, Unheard.INTERRUPTED),
        (None, Unheard.TOO_LONG, True, Heard.PART, Unheard.TOO_LONG),
        (None, Unheard.STOPPING, False, Heard.NONE, Unheard.STOPPING),
        (MUTE, Unheard.INTERRUPTED, True, Heard.NONE, Unheard.NO_SPEAKER),
        (Playback(audible=False), Unheard.STOPPING, True, Heard.NONE, Unheard.STOPPING),
    ],
)
def test_a_reply_that_was_stopped(playback, stopped, begun, heard, why):
    assert judge(DONE, playback, stopped=stopped, begun=begun) == (heard, why)


def test_a_wish_of_the_owner_is_no_fault():
    wanted = {Unheard.NO_SPEAKER, Unheard.NO_SPEECH, Unheard.INTERRUPTED, Unheard.NOTHING}
    assert FAULTS.isdisjoint(wanted)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("No audio received", Cause.NO_AUDIO),
        ("Could not understand audio", Cause.NOT_UNDERSTOOD),
        ("Whisper STT service not available", Cause.STT_UNAVAILABLE),
        ("fetch failed", Cause.STT_UNAVAILABLE),
        ('Whisper transcription failed (500): {"detail": "x"}', Cause.STT_FAILED),
        ("The operation was aborted due to timeout", Cause.BACKEND_TIMEOUT),
        ("500 llm failure", Cause.BACKEND_ERROR),
        ("", Cause.BACKEND_ERROR),
    ],
)
def test_an_error_of_the_backend_has_a_cause(text, cause):
    assert cause_of(text) is cause


def test_a_cause_is_one_lower_case_word():
    assert all(each.value == each.value.lower() and " " not in each.value for each in Cause)
