import logging
from pathlib import Path

import pytest

from fakes.turns import ScriptedTurns, utterance
from jarvis_ear.config import Config, HearingOptions, WakeOptions
from jarvis_ear.delivery import events as delivery
from jarvis_ear.delivery.events import Verdict
from jarvis_ear.delivery.playback import (
    Playback,
    PlaybackEnded,
    PlaybackReported,
    PlaybackStarted,
    Unheard,
)
from jarvis_ear.hearing import events as hearing
from jarvis_ear.hearing.events import State
from jarvis_ear.journal import sound
from jarvis_ear.journal import turns as kinds
from jarvis_ear.journal.kind import FIELDS
from jarvis_ear.turn_trace.journal_view import JournalView
from jarvis_ear.units import Samples, samples

LOGGER = logging.getLogger("jarvis_ear.test_journal_view")


@pytest.fixture(autouse=True)
def _all_levels(caplog):
    caplog.set_level(logging.DEBUG, LOGGER.name)


def script(*, transcripts: bool = True) -> ScriptedTurns:
    return ScriptedTurns(JournalView(LOGGER), transcripts=transcripts)


def normal_turn(turns: ScriptedTurns) -> None:
    turns.wake().capture()
    turns.wait(11).send()
    turns.wait(2).tell(delivery.ProcessingStarted("7f3a"))
    turns.wait(310).tell(delivery.Transcribed("7f3a", "what time is it"))
    turns.tell(delivery.ThinkingStarted("7f3a", "builtin"))
    turns.wait(90).tell(delivery.ReplyAudio("7f3a", 0, "audio/wav", b"x" * 5000))
    turns.wait(10).tell(PlaybackStarted("7f3a"))
    turns.enter(State.SPEAKING, "ReplyStarted")
    turns.finish(Verdict.DONE, chunks=3)
    turns.wait(2000).tell(PlaybackEnded("7f3a"))
    turns.enter(State.FOLLOW_UP, "ReplyEnded")
    turns.enter(State.IDLE, "DeadlinePassed")


def said(caplog, level: int = logging.INFO) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= level]


def fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name.isupper()}


def last_turn(caplog) -> logging.LogRecord:
    return [record for record in caplog.records if fields(record).get("EVENT") == "TurnEnded"][-1]


def test_the_lines_of_a_normal_turn(caplog):
    normal_turn(script())
    assert said(caplog) == [
        'idle -> listening: heard "Hey Jarvis" (score 0.97)',
        "listening -> capturing: speech started",
        "capturing -> thinking: captured 1.62 s of speech (ended by hangover)",
        "sent: 52 kB raw, 52 kB WAV, 69 kB base64",
        'understood "what time is it"',
        "thinking -> speaking: reply started",
        "reply: 3 chunks",
        "speaking -> follow_up: reply ended",
        (
            "turn 7f3a: done in 1223 ms: 800 endpoint, 11 upload, 2 accepted, 310 speech-to-text, "
            "100 answer; 1.62 s of speech; wake score 0.97; 52 kB sent; 3 chunks of reply; "
            "over after 3223 ms"
        ),
        "follow_up -> idle: no further speech",
    ]
    assert {"the backend accepted it", "the backend asks builtin"} <= set(
        said(caplog, logging.DEBUG)
    )
    assert "reply chunk 0: audio/wav, 5 kB" in said(caplog, logging.DEBUG)


def test_the_fields_of_a_normal_turn(caplog):
    turns = script().tell(delivery.LinkUp("http://a:1", None))
    normal_turn(turns)
    assert fields(last_turn(caplog)) == {
        "EVENT": "TurnEnded",
        "MESSAGE_ID": kinds.ANSWERED.message_id,
        "TURN_ID": "7f3a",
        "SESSION_ID": "5e55",
        "WAKE_SCORE": 0.97,
        "BACKEND": "http://a:1",
        "SPEECH_MS": 1620,
        "LOST_MS": 0,
        "ENDED_BY": "hangover",
        "BYTES_RAW": 51_840,
        "BYTES_WAV": 51_884,
        "BYTES_BASE64": 69_180,
        "OUTCOME": "done",
        "CAUSE": "",
        "REPLY_CHUNKS": 3,
        "HEARD": "all",
        "HEARD_REASON": "",
        "LATENCY_WAKE_MS": -1620,
        "LATENCY_CAPTURED_MS": 800,
        "LATENCY_SENT_MS": 811,
        "LATENCY_PROCESSING_MS": 813,
        "LATENCY_TRANSCRIPT_MS": 1123,
        "LATENCY_FIRST_AUDIO_MS": 1223,
        "LATENCY_DONE_MS": 3223,
        "LATENCY_ANSWER_MS": 1223,
    }


def test_every_record_of_a_turn_has_its_ids(caplog):
    normal_turn(script())
    ids = {(fields(record)["TURN_ID"], fields(record)["SESSION_ID"]) for record in caplog.records}
    assert ids == {("7f3a", "5e55")}
    states = [fields(record)["STATE"] for record in caplog.records if "STATE" in fields(record)]
    assert states == ["listening", "capturing", "thinking", "speaking", "follow_up", "idle"]


def test_without_transcripts_only_the_length_is_logged(caplog):
    normal_turn(script(transcripts=False))
    assert "understood 15 characters" in said(caplog)
    everything = " ".join(f"{record.getMessage()} {fields(record)}" for record in caplog.records)
    assert "what time" not in everything


def test_a_long_transcript_is_cut(caplog):
    script().wake().tell(delivery.Transcribed("7f3a", "a" * 1000))
    assert said(caplog)[-1] == f'understood "{"a" * 500}..."'


def test_a_stage_that_was_not_reached_is_missing_and_never_0(caplog):
    script().wake().capture().wait(40).finish(Verdict.EXPIRED, "too_old").enter(
        State.IDLE, "Failed(too_old)"
    )
    assert said(caplog)[-2:] == [
        "thinking -> idle: no reply: too old",
        (
            "turn 7f3a: expired (too old) after 840 ms: 800 endpoint, 40 waiting; "
            "1.62 s of speech; wake score 0.97"
        ),
    ]
    latencies = {name for name in fields(last_turn(caplog)) if name.startswith("LATENCY")}
    assert latencies == {
        "LATENCY_WAKE_MS",
        "LATENCY_CAPTURED_MS",
        "LATENCY_DONE_MS",
        "LATENCY_ANSWER_MS",
    }
    assert last_turn(caplog).levelno == logging.WARNING


@pytest.mark.parametrize(
    ("verdict", "level"),
    [
        (Verdict.DONE, logging.INFO),
        (Verdict.ABANDONED, logging.INFO),
        (Verdict.REPLACED, logging.WARNING),
        (Verdict.FAILED, logging.WARNING),
        (Verdict.EXPIRED, logging.WARNING),
        (Verdict.IN_DOUBT, logging.WARNING),
        (Verdict.REPLY_LOST, logging.WARNING),
    ],
)
def test_a_turn_without_an_answer_is_a_warning(caplog, verdict, level):
    script().wake().capture().finish(verdict).enter(State.IDLE, "Failed()")
    assert last_turn(caplog).levelno == level
    assert fields(last_turn(caplog))["OUTCOME"] == str(verdict)
    assert fields(last_turn(caplog))["MESSAGE_ID"] == kinds.BY_OUTCOME[str(verdict)].message_id
    assert said(caplog)[-2] == "thinking -> idle: no reply"


@pytest.mark.parametrize(
    ("indexes", "which"),
    [((1,), "2"), ((0, 2), "1, 3"), (tuple(range(10)), "1, 2, 3, 4, 5, 6, 7, 8 and 2 more")],
)
def test_missing_chunks_are_listed(caplog, indexes, which):
    turns = script().wake().capture()
    turns.tell(delivery.ChunksMissing("7f3a", indexes))
    record = caplog.records[-1]
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"turn 7f3a: chunk {which} of the reply is missing"
    assert fields(record) == {
        "EVENT": "SentencesMissing",
        "MESSAGE_ID": sound.CHUNKS_MISSING.message_id,
        "TURN_ID": "7f3a",
        "SESSION_ID": "5e55",
        "REPLY_MISSING": which,
    }


def test_unrequested_speech_is_a_warning_without_words(caplog):
    script().tell(delivery.UnaskedSpeech(3))
    [record] = caplog.records
    reason = "unrequested speech is not played: 3 chunks"
    assert (record.levelno, record.getMessage()) == (logging.WARNING, reason)
    assert fields(record) == {
        "EVENT": "UnaskedSpeech",
        "MESSAGE_ID": sound.UNASKED_SPEECH.message_id,
        "REASON": reason,
    }


def test_a_follow_up_has_no_wake(caplog):
    turns = script().tell(hearing.TurnOpened("7f3a", "5e55", samples(2000), None))
    turns.capture().finish(Verdict.DONE).enter(State.IDLE, "ReplyEnded")
    assert said(caplog)[0] == "idle -> capturing: heard speech after the reply"
    assert "done in 800 ms: 800 endpoint, 0 waiting; 1.62" in last_turn(caplog).getMessage()
    assert "WAKE_SCORE" not in fields(last_turn(caplog))


def test_a_wake_word_without_speech_after_it(caplog):
    turns = script().wake()
    turns.tell(hearing.TurnDropped("7f3a", "DeadlinePassed"))
    turns.enter(State.IDLE, "DeadlinePassed")
    assert said(caplog)[1:] == [
        "turn 7f3a: dropped (no speech), nothing was sent",
        "listening -> idle: no speech",
    ]
    assert fields(last_turn(caplog)) == {
        "EVENT": "TurnEnded",
        "MESSAGE_ID": kinds.NO_SPEECH.message_id,
        "OUTCOME": "no_speech",
        "CAUSE": "DeadlinePassed",
        "TURN_ID": "7f3a",
        "SESSION_ID": "5e55",
        "WAKE_SCORE": 0.97,
    }


@pytest.mark.parametrize("cause", ["Muted", "MicrophoneLost", "WakeDetected", "SoundEnded"])
def test_a_turn_that_is_cut_off_is_no_false_wake(caplog, cause):
    script().wake().tell(hearing.TurnDropped("7f3a", cause))
    assert fields(last_turn(caplog))["OUTCOME"] == "dropped"
    assert fields(last_turn(caplog))["CAUSE"] == cause


@pytest.mark.parametrize(
    ("old", "why", "words"),
    [
        (State.THINKING, "DeadlinePassed", "no reply"),
        (State.SPEAKING, "DeadlinePassed", "the reply does not end"),
        (State.CAPTURING, "DeadlinePassed", "it took too long"),
        (State.CAPTURING, "SpeechDiscarded", "speech discarded"),
        (State.LISTENING, "SoundEnded", "sound ended"),
        (State.IDLE, "MicrophoneLost", "microphone lost"),
        (State.THINKING, "Failed(not_understood)", "no reply: not understood"),
        (State.IDLE, "SomethingNew", "something new"),
    ],
)
def test_reasons_in_words(caplog, old, why, words):
    turns = script()
    turns.state = old
    turns.enter(State.DEAF, why)
    assert said(caplog, logging.DEBUG) == [f"{old} -> deaf: {words}"]


def test_lost_sound_is_logged(caplog):
    script().wake().capture(lost_ms=40)
    assert said(caplog)[-1].endswith("(ended by hangover, 40 ms were lost)")


def test_another_wake_word_is_called_by_its_name(caplog):
    turns = script()
    wake = WakeOptions(model=Path("Computer.onnx"))
    turns.history.change(Config(hearing=HearingOptions(wake=wake)))
    turns.wake()
    assert said(caplog) == ['idle -> listening: heard "Computer" (score 0.97)']


def test_barge_in_ends_the_old_turn_and_begins_a_new_one(caplog):
    turns = script().wake().capture().send()
    turns.tell(PlaybackStarted("7f3a"))
    turns.enter(State.SPEAKING, "ReplyStarted").finish(Verdict.DONE, chunks=2)
    turns.tell(hearing.StopSpeaking("7f3a"), hearing.AbandonTurn("7f3a", "WakeDetected"))
    turns.wake("8888")
    *_, state, turn = said(caplog)
    assert state == 'speaking -> listening: heard "Hey Jarvis" (score 0.97)'
    assert turn.startswith("turn 7f3a: done in 800 ms: ")
    assert caplog.records[-2].TURN_ID == "8888"


UNDECODED = Playback(audible=False, left_out=1, reason=Unheard.NOT_PLAYABLE)
SILENT = Playback(audible=False, left_out=1, reason=Unheard.NO_SPEAKER)
CUT_SHORT = Playback(left_out=1, reason=Unheard.SPEAKER_LOST)
HEARD_CASES = [
    (3, 0, Playback(), "all", "", logging.INFO),
    (0, 0, None, "none", "no_speech", logging.INFO),
    (0, 3, None, "none", "sentences_missing", logging.WARNING),
    (2, 1, Playback(), "part", "sentences_missing", logging.WARNING),
    (1, 0, UNDECODED, "none", "not_playable", logging.WARNING),
    (1, 0, SILENT, "none", "no_speaker", logging.INFO),
    (2, 0, CUT_SHORT, "part", "speaker_lost", logging.WARNING),
]
IN_WORDS = {"none": "; nothing heard: ", "part": "; heard in part: "}


@pytest.mark.parametrize(("chunks", "missing", "playback", "heard", "why", "level"), HEARD_CASES)
def test_how_much_was_heard_is_logged_beside_the_verdict(  # noqa: PLR0917 - a table
    caplog, chunks, missing, playback, heard, why, level
):
    reported = []
    turns = ScriptedTurns(JournalView(LOGGER), on_heard=lambda *heard: reported.append(heard))
    turns.wake().capture().send()
    turns.tell(delivery.Finished("7f3a", Verdict.DONE, "", chunks, missing))
    if chunks:
        turns.tell(
            PlaybackStarted("7f3a"), PlaybackReported("7f3a", playback), PlaybackEnded("7f3a")
        )
    turns.enter(State.IDLE, "ReplyEnded")
    record, text = last_turn(caplog), last_turn(caplog).getMessage()
    assert (fields(record)["OUTCOME"], fields(record)["CAUSE"]) == ("done", "")
    assert (fields(record)["HEARD"], fields(record)["HEARD_REASON"]) == (heard, why)
    assert record.levelno == level
    assert (IN_WORDS[heard] + why.replace("_", " ") in text) if why else ("heard" not in text)
    [turn] = turns.history.recent()
    assert (turn["heard"], turn["heard_reason"]) == (heard, why)
    assert reported == ([("7f3a", heard, why)] if chunks else [])


def test_a_reply_that_the_person_interrupts(caplog):
    turns = script().wake().capture().send()
    turns.tell(PlaybackStarted("7f3a"))
    turns.finish(Verdict.DONE, chunks=2)
    turns.tell(hearing.AbandonTurn("7f3a", "Hushed"))
    turns.tell(PlaybackReported("7f3a", Playback()))  # it came at the same moment
    turns.tell(PlaybackEnded("7f3a"))
    turns.enter(State.IDLE, "Hushed")
    assert fields(last_turn(caplog))["HEARD"] == "interrupted"
    assert last_turn(caplog).levelno == logging.INFO
    assert "; interrupted" in last_turn(caplog).getMessage()


def test_a_reply_that_was_heard_before_it_was_abandoned(caplog):
    turns = script().wake().capture().send()
    turns.enter(State.SPEAKING, "ReplyStarted")
    turns.tell(PlaybackStarted("7f3a"))
    turns.finish(Verdict.DONE, chunks=2)
    turns.tell(
        PlaybackReported("7f3a", Playback()),
        PlaybackEnded("7f3a"),
        hearing.AbandonTurn("7f3a", "WakeDetected"),
    )
    turns.wake("8888")
    assert fields(last_turn(caplog))["HEARD"] == "all"


def test_a_reply_that_is_being_heard_when_the_ear_stops(caplog):
    turns = script().wake().capture().send()
    turns.tell(PlaybackStarted("7f3a"))
    turns.finish(Verdict.DONE, chunks=2)
    turns.history.close()
    told = fields(last_turn(caplog))
    assert (told["HEARD"], told["HEARD_REASON"]) == ("part", "stopping")


def test_an_abandoned_turn_ends_when_delivery_says_so(caplog):
    turns = script().wake().capture().send()
    turns.tell(hearing.AbandonTurn("7f3a", "DeadlinePassed"))
    turns.enter(State.IDLE, "DeadlinePassed")
    assert "TurnEnded" not in [fields(record)["EVENT"] for record in caplog.records]
    turns.finish(Verdict.ABANDONED, "interrupted", chunks=1)  # its sound will not be heard
    assert said(caplog)[-1].startswith("turn 7f3a: abandoned (interrupted) after 800 ms")


def test_a_second_attempt_is_announced(caplog):
    turns = script().wake().capture()
    turns.tell(delivery.Refused("7f3a", "stt_unavailable", 1.234))
    assert said(caplog)[-1] == (
        "the backend refused it (stt unavailable); the next attempt follows in 1.2 s"
    )
    record = caplog.records[-1]
    assert (record.levelno, record.EVENT, record.CAUSE) == (
        logging.INFO,
        "Refused",
        "stt_unavailable",
    )
    assert record.RETRY_MS == 1234


def test_an_utterance_that_goes_first_is_awaited_again(caplog):
    turns = script().wake().capture()
    turns.tell(hearing.AbandonTurn("7f3a", "WakeDetected"), delivery.StillWaiting("7f3a"))
    assert said(caplog)[-1] == "still waiting, and sent before the newer utterance"
    turns.wake("8888")
    turns.finish(Verdict.DONE, chunks=1)
    assert "TurnEnded" not in [fields(record)["EVENT"] for record in caplog.records]
    turns.tell(PlaybackEnded("7f3a"))
    assert said(caplog)[-1].startswith("turn 7f3a: done in")
    turns.tell(delivery.StillWaiting("unknown"))
    assert fields(caplog.records[-1])["TURN_ID"] == "unknown"


def test_at_a_stop_every_open_turn_ends(caplog):
    turns = script().wake().capture().send()
    turns.finish(Verdict.ABANDONED, "stopping")
    turns.wake("8888")
    turns.history.close()
    abandoned, unfinished = said(caplog)[-2:]
    assert abandoned.startswith("turn 7f3a: abandoned (stopping) after 800 ms")
    assert unfinished == "turn 8888: unfinished; wake score 0.97"
    assert turns.history.unfinished == 1


def test_delivery_alone_has_a_trace_too(caplog):
    """A script may deliver sound that no ear has heard."""
    turns = script().send("abcd").finish(Verdict.DONE, turn_id="abcd")
    line = "turn abcd: done; 52 kB sent; nothing heard: no speech"
    assert said(caplog)[-1] == line
    assert turns.history.unfinished == 0


def test_the_link_is_noted_with_its_address(caplog):
    turns = script()
    turns.tell(delivery.LinkUp("http://a:1", None))
    turns.tell(delivery.LinkDown("refused"))
    up, down = caplog.records
    assert fields(up) == {"EVENT": "LinkUp", "BACKEND": "http://a:1"}
    assert down.getMessage() == "link down: refused"


def test_an_ignored_event_is_named_and_its_sound_is_not_shown(caplog):
    turns = script()
    turns.tell(hearing.Ignored(State.MUTED, hearing.SpeechEnded(Samples(0), utterance())))
    turns.tell(hearing.Ignored(State.IDLE, hearing.ReplyEnded("7f3a")))
    assert said(caplog, logging.DEBUG) == [
        "SpeechEnded is ignored while muted",
        "ReplyEnded is ignored while idle",
    ]


def test_small_sizes_are_bytes_and_one_chunk_is_no_plural(caplog):
    turns = script().tell(delivery.Sent("a", 640, 684, 912))
    turns.finish(Verdict.DONE, chunks=1, turn_id="a")
    assert said(caplog) == ["sent: 640 B raw, 684 B WAV, 912 B base64", "reply: 1 chunk"]


def test_a_turn_that_is_kept_for_the_next_start(caplog):
    turns = script().tell(
        hearing.TurnOpened("7f3a", "s", Samples(0), 0.9),
        hearing.UtteranceGrew("7f3a", 0, b"sound"),
        delivery.Kept("7f3a"),
    )
    turns.history.close()
    assert said(caplog) == ["turn 7f3a: not sent yet, kept for the next start"]
    assert fields(last_turn(caplog))["OUTCOME"] == "kept"
    assert turns.history.unfinished == 0


def test_a_turn_of_an_earlier_run_is_logged(caplog):
    turns = script()
    turns.tell(delivery.Finished("7f3a", Verdict.IN_DOUBT, "killed", 0))
    assert said(caplog, logging.WARNING) == ["turn 7f3a: in doubt (killed)"]


@pytest.fixture(autouse=True)
def vocabulary(caplog):
    """No record of any test has an undeclared field."""
    yield
    unknown = {name for record in caplog.records for name in fields(record)} - set(FIELDS)
    assert unknown == set()


def test_the_end_of_every_turn_explains_itself(caplog):
    """The record of every ending has the fields that the catalog refers to."""
    for verdict in Verdict:
        script().wake().capture().finish(verdict, "some_cause").enter(State.IDLE, "Failed()")
    script().wake().history.close()
    script().wake().tell(hearing.TurnDropped("7f3a", "DeadlinePassed"))
    script().wake().tell(hearing.TurnDropped("7f3a", "Muted"))
    script().wake().tell(delivery.Kept("7f3a"))
    told = {
        fields(record)["OUTCOME"]: fields(record)
        for record in caplog.records
        if "OUTCOME" in fields(record)
    }
    assert set(told) == set(kinds.BY_OUTCOME)
    for outcome, kind in kinds.BY_OUTCOME.items():
        assert kind.references <= set(told[outcome])
        assert told[outcome]["MESSAGE_ID"] == kind.message_id
        assert told[outcome]["EVENT"] == kinds.ENDED


def test_the_capture_thread_logs_that_an_idle_ear_goes_deaf(caplog):
    script().enter(State.DEAF, "MicrophoneLost").enter(State.IDLE, "MicrophoneFound")
    assert said(caplog) == []
    script().wake().enter(State.DEAF, "MicrophoneLost")
    assert said(caplog)[-1] == "listening -> deaf: microphone lost"


@pytest.mark.parametrize(
    ("transcripts", "so_far", "answer"),
    [
        (True, 'understood so far "what time"', 'the backend answers "noon"'),
        (False, "understood so far 9 characters", "the backend answers 4 characters"),
    ],
)
def test_partial_transcripts_and_answers_are_for_debugging(caplog, transcripts, so_far, answer):
    turns = script(transcripts=transcripts)
    turns.wake()
    before = len(said(caplog))
    turns.tell(delivery.PartlyTranscribed("7f3a", "what time"), delivery.Answered("7f3a", "noon"))
    assert len(said(caplog)) == before
    caplog_debug = [each.getMessage() for each in caplog.records if each.levelno == logging.DEBUG]
    assert caplog_debug[-2:] == [so_far, answer]


def test_streamed_sound_has_no_base64(caplog):
    script().tell(delivery.Sent("7f3a", 51_840, 51_884, 0))
    assert said(caplog)[-1] == "sent: 52 kB raw, streamed"
