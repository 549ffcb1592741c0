"""Announcements wait for the ear, and the ear does not wait for them."""

import itertools
import re

import pytest

from jarvis_ear import announcements as module
from jarvis_ear.announcements import MAX_WAITING, Announcements
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.config import SpeakerOptions
from jarvis_ear.delivery.events import Announced, ReplyAudio
from jarvis_ear.delivery.playback import Playback, PlaybackEnded, PlaybackReported, Unheard
from jarvis_ear.errors import InputError, SpeakerLost
from jarvis_ear.hearing.events import (
    AbandonTurn,
    HoldTurn,
    State,
    StateChanged,
    StopSpeaking,
    SupersedeTurn,
    TurnDropped,
    TurnOpened,
)
from jarvis_ear.units import Samples


def news(name, chunks=1, size=4):
    sounds = tuple(ReplyAudio(name, n, "audio/wav", bytes(size)) for n in range(chunks))
    return Announced(name, sounds)


class Room:
    """Announcements, what was told about them, and what the speaker was asked."""

    def __init__(self):
        ids = itertools.count(1)
        self.told = []
        self.calls = []
        self.state = State.IDLE
        self.announcements = Announcements(
            SpeakerOptions(), self.told.append, lambda: f"new{next(ids)}"
        )
        self.announcements.connect(self)

    def play(self, name, index, _content_type, _audio):
        self.calls.append(("play", name, index))

    def finish(self, name):
        self.calls.append(("finish", name))

    def stop(self):
        self.calls.append(("stop",))

    def enter(self, *states):
        for state in states:
            old, self.state = self.state, state
            self.announcements.after(StateChanged(old, state, Samples(0), "x"))

    def open(self, turn_id="t1"):
        self.announcements.after(TurnOpened(turn_id, "s", Samples(0), 0.9))

    def take(self):
        calls, self.calls = self.calls, []
        return calls


@pytest.fixture
def room():
    return Room()


def played(name, chunks=1):
    return [*(("play", name, n) for n in range(chunks)), ("finish", name)]


@pytest.mark.parametrize("state", [State.IDLE, State.MUTED, State.DEAF])
def test_an_announcement_plays_at_once_while_no_turn_is_open(room, state):
    room.enter(state)
    assert room.announcements.announce(news("a", 2))
    assert room.take() == played("a", 2)
    assert room.told == [news("a", 2)]


def test_they_play_one_after_the_other(room):
    for name in "ab":
        room.announcements.put(news(name))
    assert room.take() == played("a")
    room.enter(State.SPEAKING)
    room.announcements.over("a")
    assert room.take() == []
    room.enter(State.IDLE)
    assert room.take() == played("b")


@pytest.mark.parametrize(
    "end",
    [
        lambda room: room.announcements.over("t1"),
        lambda room: room.announcements.after(TurnDropped("t1", "Muted")),
        lambda room: room.announcements.after(AbandonTurn("t1", "Hushed")),
        lambda room: room.announcements.after(SupersedeTurn("t1", "t2")),
    ],
)
@pytest.mark.parametrize("state", [State.IDLE, State.MUTED])
def test_an_announcement_waits_for_the_end_of_the_turn_and_of_its_state(room, end, state):
    room.open()
    room.enter(State.LISTENING)
    room.announcements.put(news("a"))
    if state is State.MUTED:  # the reply is played nevertheless
        room.enter(State.THINKING, State.MUTED)
        assert room.take() == []
        end(room)
    else:
        end(room)
        room.enter(State.FOLLOW_UP)
        assert room.take() == []
        room.enter(State.IDLE)
    assert room.take() == played("a")


def test_a_turn_that_is_still_delivered_although_a_newer_one_came_is_open(room):
    room.open()
    room.announcements.after(AbandonTurn("t1", "WakeDetected"))
    room.announcements.reopen("t1")
    room.announcements.put(news("a"))
    assert room.take() == []
    room.announcements.over("t1")
    assert room.take() == played("a")


def test_one_that_has_not_begun_when_somebody_speaks_waits_again(room):
    room.announcements.put(news("a"))
    room.announcements.put(news("b"))
    room.take()
    room.open()
    room.enter(State.LISTENING)
    assert room.take() == [("stop",)]
    assert room.told[2:] == [AbandonTurn("a", "WakeDetected"), news("new1")]
    room.announcements.after(TurnDropped("t1", "DeadlinePassed"))
    room.enter(State.IDLE)
    assert room.take() == played("new1")
    room.announcements.over("new1")
    assert room.take() == played("b")


def test_one_that_plays_is_left_to_the_turn_machine(room):
    room.announcements.put(news("a"))
    room.enter(State.SPEAKING)
    room.take()
    room.announcements.after(HoldTurn("a", goes_on=False))
    room.open()
    room.enter(State.LISTENING, State.CAPTURING)
    assert room.take() == []
    room.announcements.after(TurnDropped("t1", "SpeechDiscarded"))
    room.enter(State.SPEAKING)
    assert room.take() == []


def test_one_that_plays_since_before_a_mute_is_withdrawn_after_it(room):
    room.announcements.put(news("a"))
    room.enter(State.SPEAKING, State.MUTED, State.IDLE)
    room.take()
    room.open()
    room.enter(State.LISTENING)
    assert room.take() == [("stop",)]


def test_a_stop_ends_the_one_that_plays_and_no_other(room):
    for name in "ab":
        room.announcements.put(news(name))
    room.enter(State.SPEAKING)
    room.take()
    room.announcements.after(StopSpeaking(""))
    assert room.told[-1] == AbandonTurn("a", "Hushed")
    room.enter(State.IDLE)
    assert room.take() == played("b")


def fill(room, *names, size=4):
    room.open()
    for name in names:
        room.announcements.put(news(name, size=size))


def test_of_too_many_the_oldest_is_dropped_and_recorded(room):
    fill(room, *map(str, range(MAX_WAITING + 1)))
    silent = Playback(audible=False, left_out=1, reason=Unheard.QUEUE_FULL)
    assert room.told[-2:] == [PlaybackReported("0", silent), PlaybackEnded("0")]
    assert room.announcements.counters() == {"announcements_dropped": 1}
    room.announcements.over("t1")
    assert room.take() == played("1")


def test_of_too_long_ones_the_oldest_is_dropped(room, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 9)
    fill(room, "a", "b", "c")
    assert room.announcements.counters() == {"announcements_dropped": 1}


def test_a_sound_file_of_the_owner_is_an_announcement(room):
    room.announcements.change(SpeakerOptions(announcements=False))
    audio = pcm_to_wav(bytes(3200))
    room.announcements.say(audio)
    assert room.told == [Announced("new1", (ReplyAudio("new1", 0, "", audio),))]
    assert room.take() == played("new1")


@pytest.mark.parametrize(
    ("audio", "why"),
    [
        (b"GIF89a", "it is '' and starts with b'GIF8', expected wav, mp3, ogg, flac"),
        (pcm_to_wav(b""), "it is empty"),
        (pcm_to_wav(bytes(32_000 * 181)), "it "),
    ],
)
def test_a_file_that_cannot_be_played_is_refused(room, audio, why):
    with pytest.raises(InputError, match=f"the sound cannot be played: {re.escape(why)}"):
        room.announcements.say(audio)
    assert room.take() == []


def test_without_a_loudspeaker_nothing_is_said(room):
    room.announcements.change(SpeakerOptions(device="none"))
    with pytest.raises(SpeakerLost, match="no loudspeaker is configured"):
        room.announcements.say(pcm_to_wav(bytes(3200)))


def test_the_owner_may_want_none_of_the_backend(room):
    room.announcements.change(SpeakerOptions(announcements=False))
    assert not room.announcements.announce(news("a"))
    assert (room.told, room.take()) == ([], [])
    room.announcements.put(news("b"))
    assert room.take() == played("b")
