"""What the ear decides reaches the backend and the speaker, and the other way round."""

import pytest

from jarvis_ear.announcements import Announcements
from jarvis_ear.bridge import Bridge
from jarvis_ear.config import SpeakerOptions
from jarvis_ear.delivery.events import (
    Announced,
    Finished,
    LinkUp,
    ReplyAudio,
    StillWaiting,
    UnaskedSpeech,
    Verdict,
)
from jarvis_ear.delivery.playback import Playback, PlaybackEnded, PlaybackReported, PlaybackStarted
from jarvis_ear.delivery.utterance import CapturedAudio
from jarvis_ear.hearing.events import (
    AbandonTurn,
    Failed,
    FollowUp,
    HoldTurn,
    PersonOverReply,
    ReplyEnded,
    ReplyStarted,
    ResumeTurn,
    SendUtterance,
    State,
    StateChanged,
    StopSpeaking,
    SupersedeTurn,
    TurnDropped,
    TurnOpened,
    UtteranceGrew,
)
from jarvis_ear.hearing.utterance import CapturedUtterance, EndReason
from jarvis_ear.turn_trace.follow_up import FollowUps
from jarvis_ear.units import Samples

UTTERANCE = CapturedUtterance(
    start=Samples(0),
    speech_start=Samples(8000),
    speech_end=Samples(16000),
    end=Samples(28800),
    pcm=b"\x01\x00" * 28800,
    reason=EndReason.HANGOVER,
    lost=Samples(0),
)


class World:
    """Stands in for everything around the bridge, and records the calls in their order."""

    def __init__(self) -> None:
        self.calls = []

    def __getattr__(self, name):
        return lambda *arguments, **more: self.calls.append((name, *arguments, *more.values()))

    def effects(self):
        """All calls but those that log an event."""
        return [call for call in self.calls if call[0] != "after"]


class Clock:
    """A sample clock of a stream that began at second 100."""

    def captured_at(self, position):
        return 100.0 + position / 16_000

    def position_at(self, at):
        return Samples(round((at - 100.0) * 16_000))


@pytest.fixture
def world():
    return World()


@pytest.fixture
def bridge(world):
    announcements = Announcements(SpeakerOptions(), world.after, lambda: "new")
    announcements.connect(world)
    bridge = Bridge(
        ear=world,
        turns=world,
        follow_ups=FollowUps(),
        announcements=announcements,
        clock=Clock(),
    )
    bridge.connect(
        send=world.send,
        backend=world,
        speaker=world,
        on_state=world.on_state,
        on_played=world.on_played,
    )
    return bridge


def chunk(turn_id, index=0):
    return ReplyAudio(turn_id, index, "audio/wav", b"RIFF")


LISTENING = StateChanged(State.IDLE, State.LISTENING, Samples(0), "WakeDetected")


@pytest.mark.parametrize(
    ("event", "call"),
    [
        (TurnOpened("t1", "s1", Samples(0), 0.9), ("prepare",)),
        (UtteranceGrew("t1", 32, b"\x01\x00"), ("extend", "t1", 32, b"\x01\x00")),
        (TurnDropped("t1", "Muted"), ("discard", "t1")),
        (LISTENING, ("on_state", State.LISTENING)),
        (Finished("t1", Verdict.DONE, "", 0), ("tell", ReplyEnded("t1"))),
        (Finished("t1", Verdict.REPLY_LOST, "link_lost", 2), ("finish", "t1")),
        *(
            (Finished("t1", verdict, "too_old", 0), ("tell", Failed("t1", "too_old")))
            for verdict in Verdict
            if verdict is not Verdict.DONE
        ),
        (AbandonTurn("t1", "WakeDetected"), ("abandon", "t1", True)),
        (AbandonTurn("t1", "SpeechStarted"), ("abandon", "t1", True)),
        (AbandonTurn("t1", "Hushed"), ("abandon", "t1", False)),
        (AbandonTurn("t1", "DeadlinePassed"), ("abandon", "t1", False)),
    ],
)
def test_an_event_is_logged_and_then_passed_on(bridge, world, event, call):
    (bridge.delivery if isinstance(event, Finished) else bridge.effect)(event)
    assert (world.calls[0], world.calls[-1]) == (("after", event), call)
    assert world.effects()[:-1] == ([("stop",)] if isinstance(event, AbandonTurn) else [])


def test_an_utterance_that_another_ear_answers_is_neither_sent_nor_told(bridge, world):
    bridge.connect(
        send=world.send,
        backend=world,
        speaker=world,
        on_state=world.on_state,
        on_played=world.on_played,
        on_effect=world.on_effect,
        may_answer=lambda turn_id: turn_id != "t1",
    )
    bridge.effect(SendUtterance("t1", UTTERANCE))
    assert world.calls == []
    bridge.effect(SendUtterance("t2", UTTERANCE))
    assert [call[0] for call in world.effects()] == ["send", "prepare", "on_effect"]


def test_an_utterance_is_sent_and_the_speaker_prepared_for_its_reply(bridge, world):
    bridge.effect(SendUtterance("t1", UTTERANCE, "hall", "alexa"))
    sent = CapturedAudio(UTTERANCE.pcm, "t1", spoken_at=101.0, agent_id="hall", wake_word="alexa")
    assert world.effects() == [("send", sent), ("prepare",)]


def test_a_reply_goes_to_the_speaker_and_ends_when_it_was_heard(bridge, world):
    bridge.delivery(chunk("t1"))
    bridge.delivery(Finished("t1", Verdict.DONE, "", 1))
    assert world.effects() == [("play", "t1", 0, "audio/wav", b"RIFF"), ("finish", "t1")]
    bridge.reply_started("t1")
    bridge.reply_heard("t1", Playback())
    assert world.calls[-1] == ("after", PlaybackReported("t1", Playback()))
    bridge.reply_ended("t1")
    assert ("after", PlaybackStarted("t1")) in world.calls
    assert ("after", PlaybackEnded("t1")) in world.calls
    ends = [("played", "t1"), ("tell", ReplyEnded("t1"))]
    assert world.effects()[2:] == [("tell", ReplyStarted("t1")), *ends]


@pytest.mark.parametrize("chunks", [0, 1])
def test_the_end_of_a_reply_says_whether_an_answer_is_awaited(bridge, world, chunks):
    finished = Finished("t1", Verdict.DONE, "", chunks, follow_up=True)
    bridge._follow_ups.draw(finished, None)
    bridge.delivery(finished)
    if chunks:
        bridge.reply_ended("t1")
    assert world.calls[-1] == ("tell", ReplyEnded("t1", FollowUp.ASKED))


NEWS = Announced("news", (chunk("news"), chunk("news", 1)))


def test_an_announcement_is_played_when_the_turn_is_over(bridge, world):
    bridge.effect(TurnOpened("t1", "s1", Samples(0), 0.9))
    bridge.effect(StateChanged(State.IDLE, State.LISTENING, Samples(0), "WakeDetected"))
    bridge.delivery(NEWS)
    assert world.calls[-1] == ("after", NEWS)
    bridge.delivery(Finished("t1", Verdict.FAILED, "not_understood", 0))
    bridge.effect(StateChanged(State.THINKING, State.IDLE, Samples(0), "Failed"))
    assert [call[:3] for call in world.effects()[-3:]] == [
        ("play", "news", 0),
        ("play", "news", 1),
        ("finish", "news"),
    ]


def test_an_unwanted_announcement_is_unasked_speech(bridge, world):
    bridge._announcements.change(SpeakerOptions(announcements=False))
    bridge.delivery(NEWS)
    assert world.calls == [("after", UnaskedSpeech(2))]


def test_an_abandoned_turn_is_silent_whatever_still_arrives(bridge, world):
    bridge.effect(StopSpeaking("old"))
    bridge.effect(AbandonTurn("old", "WakeDetected"))
    assert world.effects() == [("stop",), ("stop",), ("abandon", "old", True)]
    bridge.delivery(chunk("old", 1))
    assert len(world.effects()) == 3
    bridge.delivery(chunk("new"))
    assert world.effects()[3:] == [("play", "new", 0, "audio/wav", b"RIFF")]


def test_a_held_turn_is_paused_and_goes_on(bridge, world):
    bridge.effect(HoldTurn("t1", goes_on=True))
    bridge.delivery(chunk("t1"))
    bridge.effect(ResumeTurn("t1"))
    assert world.effects() == [
        ("pause", "t1"),
        ("hold", "t1", True),
        ("play", "t1", 0, "audio/wav", b"RIFF"),
        ("release", "t1"),
        ("resume", "t1"),
    ]


def test_sound_of_the_loudspeaker_is_passed_on_with_its_position(bridge, world):
    bridge.played(b"\x01\x00", 100.5)
    assert world.effects() == [("on_played", b"\x01\x00", 8000)]


@pytest.mark.parametrize("speaks", [True, False])
def test_a_person_over_the_reply_makes_it_quieter(bridge, world, speaks):
    bridge.effect(PersonOverReply("t1", speaks))
    assert world.effects() == [("duck", speaks)]


def test_a_superseded_turn_is_silent_whatever_still_arrives(bridge, world):
    bridge.effect(SupersedeTurn("half", by="whole"))
    bridge.delivery(chunk("half"))
    assert world.effects() == [("stop",), ("supersede", "half", "whole")]


def test_a_turn_that_still_waits_is_heard_when_it_is_answered(bridge, world):
    bridge.delivery(StillWaiting("unknown"))
    bridge.effect(AbandonTurn("old", "WakeDetected"))
    bridge.delivery(StillWaiting("old"))
    bridge.delivery(chunk("old"))
    assert world.effects()[-1] == ("play", "old", 0, "audio/wav", b"RIFF")


def test_everything_is_logged_before_it_is_done(bridge, world):
    bridge.effect(LISTENING)
    bridge.effect(SendUtterance("t1", UTTERANCE))
    bridge.delivery(LinkUp("http://127.0.0.1:4000", None))
    assert [call[0] for call in world.calls] == [
        *("after", "on_state", "after", "send", "prepare", "after")
    ]
