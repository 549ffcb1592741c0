import pytest

from jarvis_ear.control.feed import Feed
from jarvis_ear.delivery.events import (
    Answered,
    Finished,
    Kept,
    LinkDown,
    LinkUp,
    PartlyTranscribed,
    ProcessingStarted,
    ReplyAudio,
    Sent,
    SentencesMissing,
    ThinkingStarted,
    Transcribed,
    UnaskedSpeech,
    Verdict,
)
from jarvis_ear.delivery.playback import Playback
from jarvis_ear.hearing.events import (
    AbandonTurn,
    SendUtterance,
    State,
    StateChanged,
    StopSpeaking,
    TurnDropped,
    TurnOpened,
    UtteranceGrew,
)
from jarvis_ear.hearing.utterance import CapturedUtterance, EndReason
from jarvis_ear.turn_trace.console_view import MAX_QUOTED, MAX_TURNS, Publisher
from jarvis_ear.units import Samples, samples

UTTERANCE = CapturedUtterance(
    start=Samples(0),
    speech_start=samples(500),
    speech_end=samples(1500),
    end=samples(2300),
    pcm=b"",
    reason=EndReason.HANGOVER,
    lost=Samples(0),
)


class Scene:
    def __init__(self, *, transcripts: bool = True) -> None:
        self.feed = Feed()
        self.now = 100.0
        self.publisher = Publisher(
            self.feed, transcripts=transcripts, now=lambda: self.now, wall=lambda: 1000 + self.now
        )

    def topic(self, name: str):
        return self.feed.snapshot().topics.get(name)

    def capture(self, turn_id: str = "ab") -> None:
        self.publisher.effect(TurnOpened(turn_id, "s", samples(700), 0.876))
        self.publisher.effect(SendUtterance(turn_id, UTTERANCE))

    def told(self, *events) -> None:
        for event in events:
            self.now += 0.1
            self.publisher.delivery(event)


@pytest.fixture
def scene():
    return Scene()


def test_the_state_and_why(scene):
    scene.publisher.effect(StateChanged(State.IDLE, State.MUTED, Samples(0), "Muted"))
    assert scene.topic("state") == {"name": "muted", "why": "muted", "at": 1100.0}


def test_the_link(scene):
    scene.told(LinkUp("http://127.0.0.1:4000", None))
    assert scene.topic("link")["url"] == "http://127.0.0.1:4000"
    scene.told(LinkDown("refused"))
    assert scene.topic("link")["why"] == "refused"
    assert not scene.topic("link")["up"]


def test_a_turn_and_where_its_time_went(scene):
    scene.capture()
    scene.told(Sent("ab", 1, 2, 3), ProcessingStarted("ab"), Transcribed("ab", "what time is it"))
    scene.told(ThinkingStarted("ab", "builtin"), ReplyAudio("ab", 0, "audio/wav", b"x"))
    scene.told(Finished("ab", Verdict.DONE, "", 1))
    scene.publisher.reply_started("ab")
    scene.now += 1
    scene.publisher.reply_ended("ab")
    assert scene.topic("turn:ab") == {
        "id": "ab",
        "began_at": 1100.0,
        "score": 0.88,
        "speech_s": 1.0,
        "stages_ms": {
            "wake": -800,
            "end_of_speech": 0,
            "captured": 800,
            "sent": 900,
            "processing": 1000,
            "transcript": 1100,
            "first_audio": 1400,
            "done": 2400,
        },
        "outcome": "done",
        "cause": "",
        "provider": "builtin",
        "chunks": 1,
        "heard": "all",
        "heard_reason": "",
        "characters": 15,
        "transcript": "what time is it",
    }


def test_words_are_forgotten_when_the_owner_does_not_want_them_any_more(scene):
    watcher = scene.feed.subscribe()
    watcher.fetch()
    scene.capture("ab")
    scene.told(PartlyTranscribed("ab", "my secret"))
    scene.capture("cd")
    scene.told(Transcribed("cd", "a secret"), Answered("cd", "the secret answer"))
    scene.publisher.change(transcripts=False)
    assert "secret" not in repr(scene.feed.snapshot())
    assert "secret" not in repr(watcher.fetch())
    scene.told(PartlyTranscribed("ab", "more secrets"), Answered("ab", "secrets"))
    assert "secret" not in repr(watcher.fetch())
    assert scene.topic("turn:cd")["characters"] == 8
    assert scene.topic("turn:cd")["reply_characters"] == 17


def test_words_are_shown_only_if_the_owner_wants_it():
    scene = Scene(transcripts=False)
    scene.capture()
    scene.told(PartlyTranscribed("ab", "my secret"), Transcribed("ab", "my secret"))
    scene.told(Answered("ab", "a secret"))
    assert scene.topic("turn:ab")["characters"] == 9
    assert "secret" not in repr(scene.feed.snapshot())


def test_what_was_understood_so_far_and_what_was_answered(scene):
    scene.capture()
    scene.told(PartlyTranscribed("ab", "what"), PartlyTranscribed("ab", "what time"))
    assert scene.topic("turn:ab")["partial"] == "what time"
    scene.told(Transcribed("ab", "what time is it"), Answered("ab", "Noon."))
    told = scene.topic("turn:ab")
    assert "partial" not in told
    assert (told["transcript"], told["reply"], told["reply_characters"]) == (
        "what time is it",
        "Noon.",
        5,
    )


def test_a_backend_that_says_a_book_fills_no_line(scene):
    scene.capture()
    scene.told(Transcribed("ab", "x" * 100_000), Answered("ab", "y" * 100_000))
    scene.told(ThinkingStarted("ab", "z" * 100_000))
    assert scene.topic("turn:ab")["characters"] == 100_000
    assert len(repr(scene.topic("turn:ab"))) < 3 * MAX_QUOTED + 1000


def test_a_turn_in_which_nothing_was_said(scene):
    scene.publisher.effect(TurnOpened("ab", "s", samples(700), None))
    scene.publisher.effect(UtteranceGrew("ab", 0, b"xx"))
    scene.publisher.effect(TurnDropped("ab", "DeadlinePassed"))
    told = scene.topic("turn:ab")
    assert (told["outcome"], told["cause"], told["score"]) == ("dropped", "nobody spoke", None)


def test_a_turn_that_failed_or_waits_for_the_next_start(scene):
    scene.capture()
    scene.told(Finished("ab", Verdict.FAILED, "not_understood", 0))
    assert scene.topic("turn:ab")["cause"] == "not_understood"
    assert "done" in scene.topic("turn:ab")["stages_ms"]
    scene.capture("cd")
    scene.told(Kept("cd"))
    assert scene.topic("turn:cd")["outcome"] == "kept"


def test_an_interrupted_reply_is_over(scene):
    scene.capture()
    scene.told(ReplyAudio("ab", 0, "audio/wav", b"x"), Finished("ab", Verdict.DONE, "", 1))
    assert "done" not in scene.topic("turn:ab")["stages_ms"]
    scene.publisher.effect(StopSpeaking("ab"))
    assert "done" in scene.topic("turn:ab")["stages_ms"]


def test_how_much_was_heard_is_shown_when_the_reply_is_over(scene):
    scene.capture()
    scene.told(ReplyAudio("ab", 0, "audio/wav", b"x"), SentencesMissing("ab", (1,)))
    scene.told(Finished("ab", Verdict.DONE, "", 1, 1), UnaskedSpeech(1))
    assert scene.topic("turn:ab")["heard"] == ""
    scene.publisher.reply_heard("ab", Playback())
    scene.publisher.reply_ended("ab")
    told = scene.topic("turn:ab")
    assert (told["heard"], told["heard_reason"]) == ("part", "sentences_missing")


@pytest.mark.parametrize(
    ("reason", "heard", "why"),
    [("Hushed", "interrupted", "interrupted"), ("DeadlinePassed", "part", "too_long")],
)
def test_what_stopped_a_reply_is_shown(scene, reason, heard, why):
    scene.capture()
    scene.told(ReplyAudio("ab", 0, "audio/wav", b"x"), Finished("ab", Verdict.DONE, "", 1))
    scene.publisher.reply_started("ab")
    scene.publisher.effect(StopSpeaking("ab"))
    scene.publisher.effect(AbandonTurn("ab", reason))
    told = scene.topic("turn:ab")
    assert (told["heard"], told["heard_reason"]) == (heard, why)


def test_an_announcement_is_no_turn(scene):
    scene.publisher.reply_started("news")
    scene.publisher.reply_heard("news", Playback())
    scene.publisher.reply_ended("news")
    scene.publisher.effect(AbandonTurn("news", "Hushed"))
    scene.publisher.effect(StopSpeaking(""))
    assert scene.feed.snapshot().topics == {}


def test_the_oldest_turn_gives_way(scene):
    for number in range(MAX_TURNS + 3):
        scene.capture(f"t{number}")
    topics = scene.feed.snapshot().topics
    assert set(topics) == {f"turn:t{number}" for number in range(3, MAX_TURNS + 3)}
