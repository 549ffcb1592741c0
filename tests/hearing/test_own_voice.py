"""The ear beside its own loudspeaker: it does not hear itself, and hears people over itself."""

import numpy as np
import pytest

from fakes.hearing import ScriptedWake, frames_of
from fakes.recordings import (
    COMMAND_STARTS_MS,
    Pcm,
    in_room,
    real_ear,
    recording,
    spoken,
    to_pcm,
    wake_model,
)
from jarvis_ear import config
from jarvis_ear.hearing.ear import Ear
from jarvis_ear.hearing.events import (
    Effect,
    HoldTurn,
    Hushed,
    Ignored,
    Muted,
    PersonOverReply,
    ReplyEnded,
    ReplyStarted,
    SelfEchoIgnored,
    SendUtterance,
    State,
    TurnOpened,
)
from jarvis_ear.hearing.own_voice import OwnVoice
from jarvis_ear.units import Samples, samples

PIECE = 800
"""Samples that the loudspeaker takes at once, 50 ms."""

VOICES = tuple(COMMAND_STARTS_MS)


def command_of(voice: str) -> Pcm:
    return recording(voice)[samples(COMMAND_STARTS_MS[voice]) :]


def reply(length_ms: int) -> Pcm:
    """Speech without the wake word, at one level."""
    parts = [command_of(voice).astype(np.float64) for voice in VOICES]
    speech = np.concatenate([part / np.sqrt((part**2).mean()) for part in parts])
    return to_pcm(2000 * np.resize(speech, samples(length_ms)))


def echo_of(played: Pcm, delay_ms: int, gain: float, seed: int = 3) -> np.ndarray:
    """The sound of the loudspeaker at the microphone: a direct path and 0.2 s of the room."""
    chance = np.random.default_rng(seed)
    tail = chance.standard_normal(samples(200)) * np.exp(-6.9 * np.arange(samples(200)) / 3200)
    path = np.concatenate(
        [np.zeros(samples(delay_ms)), [1.0], 0.5 * tail / np.sqrt((tail**2).sum())]
    )
    bent = np.tanh(played / 32768 * 0.8) / 0.8 * 32768
    size = len(played) + len(path)
    return gain * np.fft.irfft(np.fft.rfft(bent, size) * np.fft.rfft(path, size), size)


class Beside:
    """An ear during a reply, with the loudspeaker beside its microphone."""

    def __init__(self, *, knows: bool = True, may_interrupt: bool = True) -> None:
        own_voice = OwnVoice(wake_model().twin()) if knows else None
        self.ear = real_ear(own_voice=own_voice, may_interrupt=may_interrupt)
        self.ear.tell(ReplyStarted("news"))
        self.effects: list[tuple[Samples, Effect]] = []

    def hear(self, microphone: Pcm, played: Pcm) -> None:
        """Hear sound while ``played`` leaves the loudspeaker, known 100 ms before."""
        known = 0
        for frame in frames_of(microphone.tobytes()):
            while known < min(len(played), frame.start + samples(100)):
                piece = played[known : known + PIECE]
                self.ear.play(piece.tobytes(), Samples(known))
                known += len(piece)
            self.effects += [(frame.end, effect) for effect in self.ear.hear(frame)]

    def of(self, kind: type[Effect]) -> list[Samples]:
        return [at for at, effect in self.effects if isinstance(effect, kind)]


def scene(played: Pcm, delay_ms: int, gain: float, word: Pcm | None = None, at_ms: int = 0) -> Pcm:
    """Mix the echo, the noise of the room, and what a person says over it."""
    sound = in_room(len(played) // 16 + 1500).astype(np.float64)
    echo = echo_of(played, delay_ms, gain)[: len(sound)]
    sound[: len(echo)] += echo
    if word is not None:
        start = samples(at_ms)
        sound[start : start + len(word)] += word
    return to_pcm(sound)


def loud_word(voice: str) -> Pcm:
    word = recording(voice)[: samples(COMMAND_STARTS_MS[voice])].astype(np.float64)
    first, end = spoken(to_pcm(word))
    word = word[first:end]
    return to_pcm(2000 * word / np.sqrt((word**2).mean()))


def found_over_the_reply(*, knows: bool) -> int:
    """Return how many of six voices interrupt a reply that is as loud as they are."""
    played, found = reply(8000), 0
    for place, voice in enumerate(VOICES):
        word, delay_ms = loud_word(voice), (40, 150, 300)[place % 3]
        beside = Beside(knows=knows)
        beside.hear(scene(played, delay_ms, 1.0, word, 5000), played)
        held = beside.of(HoldTurn)
        found += any(samples(5000) < at < samples(5600) + len(word) for at in held)
    return found


def test_people_are_heard_over_the_reply():
    assert found_over_the_reply(knows=True) >= 5


def test_without_the_canceller_they_are_rarely_heard():
    """So the test above tests something."""
    assert found_over_the_reply(knows=False) <= 3


@pytest.mark.parametrize(("delay_ms", "gain"), [(0, 1.0), (250, 0.5), (250, 4.0), (800, 1.0)])
def test_the_wake_word_in_the_reply_does_not_wake_the_ear(delay_ms, gain):
    played = np.concatenate([recording(voice) for voice in VOICES])
    beside = Beside()
    beside.hear(scene(played, delay_ms, gain), played)
    assert beside.of(HoldTurn) == []
    assert beside.ear.own_voice.counters()["self_echoes"] == len(beside.of(SelfEchoIgnored))


def test_without_knowing_it_the_ear_wakes_itself():
    played = np.concatenate([recording(voice) for voice in VOICES])
    beside = Beside(knows=False)
    beside.hear(scene(played, 250, 1.0), played)
    assert beside.of(HoldTurn)


def test_a_reply_is_ducked_while_a_person_speaks_over_it():
    played = reply(9000)
    speech = np.concatenate([command_of(voice) for voice in VOICES])[: samples(2000)] / 1.0
    loud = to_pcm(3000 * speech / np.sqrt((speech**2).mean()))
    beside = Beside()
    beside.hear(scene(played, 100, 0.5, loud, 5000), played)
    changes = [
        (at, effect.speaks) for at, effect in beside.effects if isinstance(effect, PersonOverReply)
    ]
    assert [speaks for _, speaks in changes[:1]] == [True]
    assert samples(5000) < changes[0][0] < samples(5800)
    assert changes[-1][1] is False


def test_a_mute_ends_the_ducking():
    played = reply(9000)
    speech = np.concatenate([command_of(voice) for voice in VOICES])[: samples(2000)] / 1.0
    loud = to_pcm(3000 * speech / np.sqrt((speech**2).mean()))
    beside = Beside()
    beside.hear(scene(played, 100, 0.5, loud, 5000)[: samples(5600)], played)
    speaks = [e.speaks for _, e in beside.effects if isinstance(e, PersonOverReply)]
    assert speaks == [True]
    ended = [e for e in beside.ear.tell(Muted()) if isinstance(e, PersonOverReply)]
    assert [effect.speaks for effect in ended] == [False]


def test_a_reply_alone_is_not_ducked():
    played = reply(9000)
    beside = Beside()
    beside.hear(scene(played, 100, 1.0), played)
    assert beside.of(PersonOverReply) == []


def test_without_barge_in_a_wake_word_over_the_reply_has_no_effect():
    played = reply(8000)
    beside = Beside(may_interrupt=False)
    beside.hear(scene(played, 100, 0.3, loud_word("timer-awb"), 5000), played)
    assert beside.of(HoldTurn) == []
    assert beside.of(Ignored)
    assert beside.ear.state is State.SPEAKING


def test_a_silent_loudspeaker_changes_nothing():
    own_voice = OwnVoice(wake_model().twin())
    sound = recording("timer-awb")
    for frame in frames_of(sound.tobytes()):
        assert own_voice.clean(frame) is frame
        assert not own_voice.hears_person(frame.end, speech=True)
    assert not own_voice.is_playing


@pytest.mark.parametrize(("lag_ms", "gain"), [(0, 1.0), (200, 1.0), (500, 4.0), (800, 1.0)])
def test_the_ear_does_not_talk_with_itself_in_a_follow_up(lag_ms, gain):
    """Neither the echo of the last words nor that of a late loudspeaker is a follow-up."""
    ear = real_ear(
        config.HearingOptions(follow_up_ms=8000), own_voice=OwnVoice(wake_model().twin())
    )
    for number, voice in enumerate(VOICES):
        question = in_room(800, recording(voice), 1500, seed=number)
        heard = [e for frame in frames_of(question.tobytes(), ear.now) for e in ear.hear(frame)]
        [sent] = [effect for effect in heard if isinstance(effect, SendUtterance)]
        ear.tell(ReplyStarted(sent.turn_id))
        played = reply(20_000)[number * samples(2500) :][: samples(1500 + 100 * number)]
        sound = np.concatenate([scene(played, lag_ms, gain), in_room(2500, seed=number)])
        effects = hear_reply(ear, played, sound, sent.turn_id)
        assert ear.state is State.FOLLOW_UP
        opened = [effect for effect in effects if isinstance(effect, TurnOpened)]
        assert [turn for turn in opened if turn.score is None] == []
        ear.tell(Hushed())


def hear_reply(ear: Ear, played: Pcm, sound: Pcm, turn_id: str) -> list[Effect]:
    """Hear ``sound`` while ``played`` leaves the loudspeaker; the reply ends with the latter."""
    began, effects, is_over = ear.now, [], False
    for at in range(0, len(played), PIECE):
        ear.play(played[at : at + PIECE].tobytes(), Samples(began + at))
    for frame in frames_of(sound.tobytes(), began):
        effects += ear.hear(frame)
        if not is_over and frame.end >= began + len(played):
            is_over = True
            effects += ear.tell(ReplyEnded(turn_id))
    return effects


def test_the_delay_of_an_earlier_run_is_known_from_the_start():
    own_voice = OwnVoice(ScriptedWake(), 1600.0, 20e-6)
    assert (own_voice.delay, own_voice.drift) == (1600.0, 20e-6)
    assert OwnVoice(ScriptedWake()).delay is None
    assert set(own_voice.counters().values()) == {0}
