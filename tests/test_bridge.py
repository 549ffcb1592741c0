"""What the ear decides reaches the backend and the speaker, and the other way round."""

from dataclasses import dataclass, field

import pytest

from jarvis_ear.bridge import Bridge
from jarvis_ear.delivery.events import (
    DeliveryEvent,
    Finished,
    LinkUp,
    ReplyAudio,
    StillWaiting,
    Verdict,
)
from jarvis_ear.delivery.playback import (
    Playback,
    PlaybackEnded,
    PlaybackEvent,
    PlaybackReported,
    PlaybackStarted,
)
from jarvis_ear.delivery.utterance import CapturedAudio
from jarvis_ear.hearing.events import (
    AbandonTurn,
    Effect,
    Failed,
    ReplyEnded,
    ReplyStarted,
    SendUtterance,
    State,
    StateChanged,
    StopSpeaking,
    TurnDropped,
    UtteranceGrew,
)
from jarvis_ear.hearing.utterance import CapturedUtterance, EndReason
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


@dataclass
class Recorder:
    """Stands in for everything around the bridge and notes what it is told, in order."""

    calls: list[tuple[object, ...]] = field(default_factory=list)

    def send(self, captured_audio: CapturedAudio) -> None:
        self.calls.append(("send", captured_audio))

    def extend(self, turn_id: str, offset: int, pcm: bytes) -> None:
        self.calls.append(("extend", turn_id, offset, pcm))

    def discard(self, turn_id: str) -> None:
        self.calls.append(("discard", turn_id))

    def abandon(self, turn_id: str, *, newer: bool = True) -> None:
        self.calls.append(("abandon", turn_id, newer))

    def play(self, turn_id: str, index: int, content_type: str, audio: bytes) -> None:
        self.calls.append(("play", turn_id, index, content_type, audio))

    def finish(self, turn_id: str) -> None:
        self.calls.append(("finish", turn_id))

    def stop(self) -> None:
        self.calls.append(("stop",))

    def on_state(self, state: State) -> None:
        self.calls.append(("state", state))

    def tell(self, event: object) -> None:
        self.calls.append(("tell", event))

    def after(self, event: Effect | DeliveryEvent | PlaybackEvent) -> None:
        self.calls.append(("log", event))

    @property
    def deeds(self) -> list[tuple[object, ...]]:
        return [call for call in self.calls if call[0] != "log"]


@pytest.fixture
def world() -> Recorder:
    return Recorder()


@pytest.fixture
def bridge(world: Recorder) -> Bridge:
    bridge = Bridge(ear=world, turns=world, captured_at=lambda position: 100.0 + position / 16_000)
    bridge.connect(send=world.send, backend=world, speaker=world, on_state=world.on_state)
    return bridge


def chunk(turn_id: str, index: int = 0) -> ReplyAudio:
    return ReplyAudio(turn_id, index, "audio/wav", b"RIFF")


def test_an_utterance_goes_to_the_backend_as_it_was_heard(bridge: Bridge, world: Recorder) -> None:
    bridge.effect(SendUtterance("t1", UTTERANCE))
    assert world.deeds == [("send", CapturedAudio(UTTERANCE.pcm, "t1", spoken_at=101.0))]


def test_what_is_said_is_on_file_before_it_is_whole(bridge: Bridge, world: Recorder) -> None:
    bridge.effect(UtteranceGrew("t1", 32, b"\x01\x00"))
    bridge.effect(TurnDropped("t1", "Muted"))
    assert world.deeds == [("extend", "t1", 32, b"\x01\x00"), ("discard", "t1")]


def test_a_reply_goes_to_the_speaker_and_ends_when_it_was_heard(
    bridge: Bridge, world: Recorder
) -> None:
    bridge.delivery(chunk("t1"))
    bridge.delivery(Finished("t1", Verdict.DONE, "", 1))
    assert world.deeds == [("play", "t1", 0, "audio/wav", b"RIFF"), ("finish", "t1")]
    bridge.reply_started("t1")
    bridge.reply_heard("t1", Playback())
    assert world.calls[-1] == ("log", PlaybackReported("t1", Playback()))
    bridge.reply_ended("t1")
    assert ("log", PlaybackStarted("t1")) in world.calls
    assert ("log", PlaybackEnded("t1")) in world.calls
    assert world.deeds[2:] == [("tell", ReplyStarted("t1")), ("tell", ReplyEnded("t1"))]


def test_a_reply_without_sound_ends_at_once(bridge: Bridge, world: Recorder) -> None:
    bridge.delivery(Finished("t1", Verdict.DONE, "", 0))
    assert world.deeds == [("tell", ReplyEnded("t1"))]


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.DONE])
def test_a_turn_without_reply_has_failed(bridge: Bridge, world: Recorder, verdict: Verdict) -> None:
    bridge.delivery(Finished("t1", verdict, "too_old", 0))
    assert world.deeds == [("tell", Failed("t1", "too_old"))]


def test_half_a_reply_is_heard_before_the_turn_is_over(bridge: Bridge, world: Recorder) -> None:
    bridge.delivery(Finished("t1", Verdict.REPLY_LOST, "link_lost", 2))
    assert world.deeds == [("finish", "t1")]


def test_an_abandoned_turn_is_silent_whatever_still_arrives(
    bridge: Bridge, world: Recorder
) -> None:
    bridge.effect(StopSpeaking("old"))
    bridge.effect(AbandonTurn("old", "WakeDetected"))
    assert world.deeds == [("stop",), ("stop",), ("abandon", "old", True)]
    bridge.delivery(chunk("old", 1))
    assert len(world.deeds) == 3
    bridge.delivery(chunk("new"))
    assert world.deeds[3:] == [("play", "new", 0, "audio/wav", b"RIFF")]


@pytest.mark.parametrize(
    ("reason", "newer"),
    [
        ("WakeDetected", True),
        ("SpeechStarted", True),
        ("Hushed", False),
        ("DeadlinePassed", False),
    ],
)
def test_only_who_speaks_again_says_something_newer(
    bridge: Bridge, world: Recorder, reason: str, *, newer: bool
) -> None:
    bridge.effect(AbandonTurn("old", reason))
    assert world.deeds[-1] == ("abandon", "old", newer)


def test_a_turn_that_still_waits_is_heard_when_it_is_answered(
    bridge: Bridge, world: Recorder
) -> None:
    bridge.delivery(StillWaiting("unknown"))
    bridge.effect(AbandonTurn("old", "WakeDetected"))
    bridge.delivery(StillWaiting("old"))
    bridge.delivery(chunk("old"))
    assert world.deeds[-1] == ("play", "old", 0, "audio/wav", b"RIFF")


def test_everything_is_logged_before_it_is_done(bridge: Bridge, world: Recorder) -> None:
    changed = StateChanged(State.IDLE, State.LISTENING, Samples(0), "WakeDetected")
    bridge.effect(changed)
    bridge.effect(SendUtterance("t1", UTTERANCE))
    bridge.delivery(LinkUp("http://127.0.0.1:4000", None))
    assert [call[0] for call in world.calls] == ["log", "state", "log", "send", "log"]


def test_a_new_state_is_passed_on(world: Recorder, bridge: Bridge) -> None:
    bridge.effect(StateChanged(State.IDLE, State.LISTENING, Samples(0), "WakeDetected"))
    assert world.deeds == [("state", State.LISTENING)]
