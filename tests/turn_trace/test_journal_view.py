"""The lines and the fields that the journal has of a turn."""

import logging
from logging import DEBUG, INFO, WARNING

import pytest

from fakes.turns import TURN, ScriptedTurns, utterance
from jarvis_ear.config import WakeWord
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
    """Record every level; no record of any test has an undeclared field."""
    caplog.set_level(DEBUG, LOGGER.name)
    yield
    assert {name for record in caplog.records for name in fields(record)} <= set(FIELDS)


def script(*, transcripts: bool = True) -> ScriptedTurns:
    return ScriptedTurns(JournalView(LOGGER), transcripts=transcripts)


def sent() -> ScriptedTurns:
    return script().wake().capture().send()


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


def said(caplog, level: int = INFO) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= level]


def fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name.isupper()}


def events(caplog) -> list[object]:
    return [fields(record)["EVENT"] for record in caplog.records]


def last_turn(caplog) -> logging.LogRecord:
    return [record for record in caplog.records if fields(record).get("EVENT") == "TurnEnded"][-1]


def ending(caplog, *names: str) -> tuple[object, ...]:
    """These fields of the last turn that ended."""
    return tuple(fields(last_turn(caplog))[name] for name in names)


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
    assert "the backend accepted it" in said(caplog, DEBUG)
    assert "the backend asks builtin" in said(caplog, DEBUG)
    assert "reply chunk 0: audio/wav, 5 kB" in said(caplog, DEBUG)
    ids = {(fields(record)["TURN_ID"], fields(record)["SESSION_ID"]) for record in caplog.records}
    assert ids == {("7f3a", "5e55")}
    states = [fields(record)["STATE"] for record in caplog.records if "STATE" in fields(record)]
    assert states == ["listening", "capturing", "thinking", "speaking", "follow_up", "idle"]


LATENCIES = {"WAKE": -1620, "CAPTURED": 800, "SENT": 811, "PROCESSING": 813, "TRANSCRIPT": 1123}
LATENCIES |= {"FIRST_AUDIO": 1223, "DONE": 3223, "ANSWER": 1223}


def test_the_fields_of_a_normal_turn(caplog):
    normal_turn(script().tell(delivery.LinkUp("http://a:1", None)))
    assert fields(last_turn(caplog)) == {
        "EVENT": "TurnEnded",
        "MESSAGE_ID": kinds.ANSWERED.message_id,
        "TURN_ID": "7f3a",
        "SESSION_ID": "5e55",
        "WAKE_WORD": "Hey Jarvis",
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
        **{f"LATENCY_{stage}_MS": ms for stage, ms in LATENCIES.items()},
    }


def test_without_transcripts_only_the_length_is_logged(caplog):
    normal_turn(script(transcripts=False))
    assert "understood 15 characters" in said(caplog)
    everything = " ".join(f"{record.getMessage()} {fields(record)}" for record in caplog.records)
    assert "what time" not in everything


@pytest.mark.parametrize(
    ("transcripts", "so_far", "answer"),
    [
        (True, 'understood so far "what time"', 'the backend answers "noon"'),
        (False, "understood so far 9 characters", "the backend answers 4 characters"),
    ],
)
def test_partial_transcripts_and_answers_are_for_debugging(caplog, transcripts, so_far, answer):
    turns = script(transcripts=transcripts).wake()
    turns.tell(delivery.PartlyTranscribed("7f3a", "what time"), delivery.Answered("7f3a", "noon"))
    last = [(each.levelno, each.getMessage()) for each in caplog.records[-2:]]
    assert last == [(DEBUG, so_far), (DEBUG, answer)]


def test_a_long_transcript_is_cut_and_lost_sound_is_logged(caplog):
    script().wake().tell(delivery.Transcribed("7f3a", "a" * 1000))
    assert said(caplog)[-1] == f'understood "{"a" * 500}..."'
    script().wake().capture(lost_ms=40)
    assert said(caplog)[-1].endswith("(ended by hangover, 40 ms were lost)")


def test_small_sizes_are_bytes_and_streamed_sound_has_no_base64(caplog):
    turns = script().tell(delivery.Sent("a", 640, 684, 912))
    turns.finish(Verdict.DONE, chunks=1, turn_id="a")
    assert said(caplog) == ["sent: 640 B raw, 684 B WAV, 912 B base64", "reply: 1 chunk"]
    script().tell(delivery.Sent("7f3a", 51_840, 51_884, 0))
    assert said(caplog)[-1] == "sent: 52 kB raw, streamed"


def test_an_ignored_event_is_named_and_its_sound_is_not_shown(caplog):
    turns = script()
    turns.tell(hearing.Ignored(State.MUTED, hearing.SpeechEnded(Samples(0), utterance())))
    turns.tell(hearing.Ignored(State.IDLE, hearing.ReplyEnded("7f3a")))
    expected = ["SpeechEnded is ignored while muted", "ReplyEnded is ignored while idle"]
    assert said(caplog, DEBUG) == expected


def test_a_delivery_that_no_ear_has_heard_is_logged(caplog):
    turns = script().send("abcd").finish(Verdict.DONE, turn_id="abcd")
    assert said(caplog)[-1] == "turn abcd: done; 52 kB sent; nothing heard: no speech"
    assert turns.history.unfinished == 0
    script().tell(delivery.Finished("7f3a", Verdict.IN_DOUBT, "killed", 0))  # of an earlier run
    assert said(caplog, WARNING) == ["turn 7f3a: in doubt (killed)"]


def test_the_capture_thread_logs_that_an_idle_ear_goes_deaf(caplog):
    script().enter(State.DEAF, "MicrophoneLost").enter(State.IDLE, "MicrophoneFound")
    assert said(caplog) == []
    script().wake().enter(State.DEAF, "MicrophoneLost")
    assert said(caplog)[-1] == "listening -> deaf: microphone lost"


def test_another_wake_word_is_called_by_its_name(caplog):
    turns = script().wake(word=WakeWord(model="/x/Computer.onnx"))
    assert said(caplog) == ['idle -> listening: heard "Computer" (score 0.97)']
    turns.finish(Verdict.DONE, "")
    assert fields(last_turn(caplog))["WAKE_WORD"] == "Computer"


def test_an_expired_turn_has_the_reason_of_the_outage(caplog):
    turns = script().wake().capture()
    turns.tell(delivery.Finished(TURN, Verdict.EXPIRED, "too_old", 0, away="no route"))
    turns.enter(State.IDLE, "Failed(too_old)")
    assert fields(last_turn(caplog))["REASON"] == "no route"


def test_a_stage_that_was_not_reached_is_missing_and_never_0(caplog):
    turns = script().wake().capture().wait(40).finish(Verdict.EXPIRED, "too_old")
    turns.enter(State.IDLE, "Failed(too_old)")
    assert said(caplog)[-2:] == [
        "thinking -> idle: no reply: too old",
        (
            "turn 7f3a: expired (too old) after 840 ms: 800 endpoint, 40 waiting; "
            "1.62 s of speech; wake score 0.97"
        ),
    ]
    latencies = {name for name in fields(last_turn(caplog)) if name.startswith("LATENCY")}
    reached = ("WAKE", "CAPTURED", "DONE", "ANSWER")
    assert latencies == {f"LATENCY_{stage}_MS" for stage in reached}


@pytest.mark.parametrize("verdict", Verdict)
def test_a_turn_without_an_answer_is_a_warning(caplog, verdict):
    script().wake().capture().finish(verdict).enter(State.IDLE, "Failed()")
    is_fine = verdict in {Verdict.DONE, Verdict.ABANDONED, Verdict.SUPERSEDED}
    assert last_turn(caplog).levelno == (INFO if is_fine else WARNING)
    expected = (str(verdict), kinds.BY_OUTCOME[str(verdict)].message_id)
    assert ending(caplog, "OUTCOME", "MESSAGE_ID") == expected
    assert said(caplog)[-2] == "thinking -> idle: no reply"


@pytest.mark.parametrize(
    ("indexes", "which"),
    [((1,), "2"), ((0, 2), "1, 3"), (tuple(range(10)), "1, 2, 3, 4, 5, 6, 7, 8 and 2 more")],
)
def test_missing_chunks_are_listed(caplog, indexes, which):
    script().wake().capture().tell(delivery.ChunksMissing("7f3a", indexes))
    record = caplog.records[-1]
    message = f"turn 7f3a: chunk {which} of the reply is missing"
    assert (record.levelno, record.getMessage()) == (WARNING, message)
    assert fields(record) == {
        "EVENT": "SentencesMissing",
        "MESSAGE_ID": sound.CHUNKS_MISSING.message_id,
        "TURN_ID": "7f3a",
        "SESSION_ID": "5e55",
        "REPLY_MISSING": which,
    }


def test_the_link_and_unrequested_speech_are_logged_without_a_turn(caplog):
    script().tell(delivery.LinkUp("http://a:1", None), delivery.LinkDown("refused"))
    script().tell(delivery.UnaskedSpeech(3))
    up, down, record = caplog.records
    assert fields(up) == {"EVENT": "LinkUp", "BACKEND": "http://a:1"}
    assert down.getMessage() == "link down: refused"
    reason = "unrequested speech is not played: 3 chunks"
    assert (record.levelno, record.getMessage()) == (WARNING, reason)
    message_id = sound.UNASKED_SPEECH.message_id
    assert fields(record) == {"EVENT": "UnaskedSpeech", "MESSAGE_ID": message_id, "REASON": reason}


NEWS = delivery.Announced("news", (delivery.ReplyAudio("news", 0, "audio/wav", b"x"),) * 2)


@pytest.mark.parametrize(
    ("ends", "level", "text", "heard"),
    [
        ((PlaybackStarted("news"), PlaybackEnded("news")), INFO, "", ("all", "")),
        (
            (PlaybackStarted("news"), hearing.AbandonTurn("news", "Hushed")),
            INFO,
            "; interrupted",
            ("interrupted", "interrupted"),
        ),
        (
            (
                PlaybackReported(
                    "news", Playback(audible=False, left_out=2, reason=Unheard.QUEUE_FULL)
                ),
                PlaybackEnded("news"),
            ),
            WARNING,
            "; nothing heard: queue full",
            ("none", "queue_full"),
        ),
    ],
)
def test_an_announcement_is_recorded_from_its_start_to_its_end(caplog, ends, level, text, heard):
    heard_by_ledger, recorded = [], script()
    recorded.history._on_heard = lambda *said: heard_by_ledger.append(said)
    recorded.tell(NEWS, *ends)
    first, last = caplog.records[0], last_turn(caplog)
    assert first.getMessage() == "announcement news: 2 chunks"
    assert fields(first) == {"EVENT": "Announced", "TURN_ID": "news"}
    assert (last.levelno, last.getMessage()) == (
        level,
        f"announcement news: 2 chunks of speech{text}",
    )
    logged = fields(last)
    assert (logged["OUTCOME"], logged["HEARD"], logged["HEARD_REASON"]) == ("announced", *heard)
    assert recorded.history.recent() == heard_by_ledger == []  # it is no turn


def test_a_follow_up_has_no_wake(caplog):
    turns = script().tell(hearing.TurnOpened("7f3a", "5e55", samples(2000), None))
    turns.capture().finish(Verdict.DONE).enter(State.IDLE, "ReplyEnded")
    assert said(caplog)[0] == "idle -> capturing: heard speech after the reply"
    assert "done in 800 ms: 800 endpoint, 0 waiting; 1.62" in last_turn(caplog).getMessage()
    assert "WAKE_SCORE" not in fields(last_turn(caplog))


def test_a_wake_word_with_its_scores(caplog):
    word = hearing.TurnOpened(
        "7f3a", "5e55", samples(2000), 0.61, second_look=0.4, verifier=2.12349
    )
    turns = script().tell(word)
    turns.enter(State.LISTENING, "WakeDetected")
    opened = fields(caplog.records[-1])
    scores = {name: opened[name] for name in opened if name.startswith("WAKE_")}
    assert scores.pop("WAKE_WORD") == "Hey Jarvis"
    assert scores == {"WAKE_SCORE": 0.61, "WAKE_SECOND_LOOK": 0.4, "WAKE_VERIFIER": 2.123}


def test_a_wake_word_without_speech_after_it(caplog):
    turns = script().wake().tell(hearing.TurnDropped("7f3a", "DeadlinePassed"))
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
        "WAKE_WORD": "Hey Jarvis",
        "WAKE_SCORE": 0.97,
    }
    for cause in ("Muted", "MicrophoneLost", "WakeDetected", "SoundEnded"):  # no false wakes
        script().wake().tell(hearing.TurnDropped("7f3a", cause))
        assert ending(caplog, "OUTCOME", "CAUSE") == ("dropped", cause)


@pytest.mark.parametrize(
    ("refusal", "why"),
    [
        (hearing.RefusalReason.TOO_QUIET, "much quieter than the wake word"),
        (hearing.RefusalReason.TALK, "no louder than people who talked before the wake word"),
        (hearing.RefusalReason.NOISE, "noise, or hardly speech"),
    ],
)
def test_speech_that_is_refused(caplog, refusal, why):
    turns = script().wake().tell(hearing.SpeechRefused("7f3a", refusal, 14.26))
    [record] = [each for each in caplog.records if "refused" in each.getMessage()]
    assert record.getMessage() == f"speech refused: {why} (14.3 dB below the wake word)"
    assert fields(record)["MESSAGE_ID"] == sound.SPEECH_REFUSED.message_id
    assert (fields(record)["CAUSE"], fields(record)["BELOW_WAKE_WORD_DB"]) == (refusal, 14.3)
    turns.tell(hearing.TurnDropped("7f3a", "DeadlinePassed"))
    turns.enter(State.IDLE, "DeadlinePassed")
    ended = last_turn(caplog)
    assert "dropped (only speech that was refused)" in ended.getMessage()
    assert (fields(ended)["REFUSED"], fields(ended)["OUTCOME"]) == (1, "no_speech")


@pytest.mark.parametrize(
    ("old", "why", "reason"),
    [
        (State.THINKING, "DeadlinePassed", "no reply"),
        (State.SPEAKING, "DeadlinePassed", "the reply does not end"),
        (State.CAPTURING, "DeadlinePassed", "it took too long"),
        (State.CAPTURING, "SpeechDiscarded", "speech discarded"),
        (State.CAPTURING, "SpeechDiscarded(too_quiet)", "speech discarded: too quiet"),
        (State.CAPTURING, "SpeechEnded(hangover)", "speech ended: hangover"),
        (State.LISTENING, "SoundEnded", "sound ended"),
        (State.IDLE, "MicrophoneLost", "microphone lost"),
        (State.THINKING, "Failed(not_understood)", "no reply: not understood"),
        (State.IDLE, "SomethingNew", "something new"),
    ],
)
def test_a_change_has_its_reason_in_words(caplog, old, why, reason):
    turns = script()
    turns.state = old
    turns.enter(State.DEAF, why)
    assert said(caplog, DEBUG) == [f"{old} -> deaf: {reason}"]


def test_barge_in_ends_the_old_turn_and_begins_a_new_one(caplog):
    turns = sent().tell(PlaybackStarted("7f3a"))
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
    (3, 0, Playback(), "all", "", INFO),
    (0, 0, None, "none", "no_speech", INFO),
    (0, 3, None, "none", "sentences_missing", WARNING),
    (2, 1, Playback(), "part", "sentences_missing", WARNING),
    (1, 0, UNDECODED, "none", "not_playable", WARNING),
    (1, 0, SILENT, "none", "no_speaker", INFO),
    (2, 0, CUT_SHORT, "part", "speaker_lost", WARNING),
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
    expected = ("done", "", heard, why)
    assert ending(caplog, "OUTCOME", "CAUSE", "HEARD", "HEARD_REASON") == expected
    assert record.levelno == level
    assert (IN_WORDS[heard] + why.replace("_", " ") in text) if why else ("heard" not in text)
    [turn] = turns.history.recent()
    assert (turn["heard"], turn["heard_reason"]) == (heard, why)
    assert reported == ([("7f3a", heard, why)] if chunks else [])


def test_a_reply_that_is_interrupted_heard_to_its_end_or_stopped(caplog):
    turns = sent().tell(PlaybackStarted("7f3a")).finish(Verdict.DONE, chunks=2)
    turns.tell(hearing.AbandonTurn("7f3a", "Hushed"))
    turns.tell(PlaybackReported("7f3a", Playback()))  # it came at the same moment
    turns.tell(PlaybackEnded("7f3a")).enter(State.IDLE, "Hushed")
    assert ending(caplog, "HEARD") == ("interrupted",)
    assert last_turn(caplog).levelno == INFO
    assert "; interrupted" in last_turn(caplog).getMessage()
    turns = sent().enter(State.SPEAKING, "ReplyStarted").tell(PlaybackStarted("7f3a"))
    turns.finish(Verdict.DONE, chunks=2)
    turns.tell(PlaybackReported("7f3a", Playback()), PlaybackEnded("7f3a"))
    turns.tell(hearing.AbandonTurn("7f3a", "WakeDetected")).wake("8888")
    assert ending(caplog, "HEARD") == ("all",)
    turns = sent().tell(PlaybackStarted("7f3a")).finish(Verdict.DONE, chunks=2)
    turns.history.close()
    assert ending(caplog, "HEARD", "HEARD_REASON") == ("part", "stopping")


def test_an_abandoned_turn_ends_with_its_delivery(caplog):
    turns = sent().tell(hearing.AbandonTurn("7f3a", "DeadlinePassed"))
    turns.enter(State.IDLE, "DeadlinePassed")
    assert "TurnEnded" not in events(caplog)
    turns.finish(Verdict.ABANDONED, "interrupted", chunks=1)  # its sound will not be heard
    assert said(caplog)[-1].startswith("turn 7f3a: abandoned (interrupted) after 800 ms")


def test_a_second_attempt_is_announced(caplog):
    script().wake().capture().tell(delivery.Refused("7f3a", "stt_unavailable", 1.234))
    record = caplog.records[-1]
    assert record.getMessage() == (
        "the backend refused it (stt unavailable); the next attempt follows in 1.2 s"
    )
    expected = (INFO, "Refused", "stt_unavailable", 1234)
    assert (record.levelno, record.EVENT, record.CAUSE, record.RETRY_MS) == expected


def test_an_utterance_that_is_sent_first_is_awaited_again(caplog):
    turns = script().wake().capture()
    turns.tell(hearing.AbandonTurn("7f3a", "WakeDetected"), delivery.StillWaiting("7f3a"))
    assert said(caplog)[-1] == "still waiting, and sent before the newer utterance"
    turns.wake("8888").finish(Verdict.DONE, chunks=1)
    assert "TurnEnded" not in events(caplog)
    turns.tell(PlaybackEnded("7f3a"))
    assert said(caplog)[-1].startswith("turn 7f3a: done in")
    turns.tell(delivery.StillWaiting("unknown"))
    assert fields(caplog.records[-1])["TURN_ID"] == "unknown"


def test_at_a_stop_every_open_turn_ends(caplog):
    turns = sent().finish(Verdict.ABANDONED, "stopping").wake("8888")
    turns.history.close()
    abandoned, unfinished = said(caplog)[-2:]
    assert abandoned.startswith("turn 7f3a: abandoned (stopping) after 800 ms")
    assert unfinished == "turn 8888: unfinished; wake score 0.97"
    assert turns.history.unfinished == 1
    turns = script().tell(hearing.TurnOpened("7f3a", "s", Samples(0), 0.9))
    turns.tell(hearing.UtteranceGrew("7f3a", 0, b"sound"), delivery.Kept("7f3a"))
    turns.history.close()
    assert said(caplog)[-1] == "turn 7f3a: not sent yet, kept for the next start"
    assert ending(caplog, "OUTCOME") == ("kept",)
    assert turns.history.unfinished == 0


def test_a_wake_word_that_another_ear_answers_names_it(caplog):
    turns = script().wake().tell(hearing.TurnDropped("7f3a", "AnsweredElsewhere", "kitchen"))
    text = "turn 7f3a: dropped (answered elsewhere by kitchen), nothing was sent"
    assert said(caplog)[-1] == text
    assert caplog.records[-1].levelno == INFO
    assert ending(caplog, "OUTCOME", "ANSWERED_BY") == ("answered_elsewhere", "kitchen")
    turns.wake("8888").tell(hearing.TurnConfirmed("8888"))
    assert said(caplog, DEBUG)[-1] == "no ear in another room answers"


def test_every_ending_has_the_fields_that_its_explanation_refers_to(caplog):
    for verdict in Verdict:
        script().wake().capture().finish(verdict, "some_cause").enter(State.IDLE, "Failed()")
    script().wake().history.close()
    for reason in ("DeadlinePassed", "Muted"):
        script().wake().tell(hearing.TurnDropped("7f3a", reason))
    script().wake().tell(hearing.TurnDropped("7f3a", "AnsweredElsewhere", "kitchen"))
    script().wake().tell(delivery.Kept("7f3a"))
    script().tell(NEWS, PlaybackEnded("news"))
    logged = map(fields, caplog.records)
    endings = {each["OUTCOME"]: each for each in logged if "OUTCOME" in each}
    assert set(endings) == set(kinds.BY_OUTCOME)
    for outcome, kind in kinds.BY_OUTCOME.items():
        assert kind.references <= set(endings[outcome])
        assert endings[outcome]["MESSAGE_ID"] == kind.message_id
        assert endings[outcome]["EVENT"] == kinds.ENDED
