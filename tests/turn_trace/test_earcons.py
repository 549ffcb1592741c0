"""The sounds that tell a person what became of their turn."""

import subprocess
import sys
from importlib import resources
from itertools import product
from pathlib import Path

import pytest

from fakes.clock import FakeClock
from fakes.turns import TURN, ScriptedTurns
from jarvis_ear.audio.wav import decode_wav
from jarvis_ear.config import SoundsOptions, WakeWord
from jarvis_ear.delivery import events as delivery
from jarvis_ear.delivery.events import Cause, Verdict
from jarvis_ear.delivery.playback import Playback, PlaybackEnded, PlaybackReported, PlaybackStarted
from jarvis_ear.hearing import events as hearing
from jarvis_ear.hearing.events import State
from jarvis_ear.hearing.turns import TRANSITIONS
from jarvis_ear.turn_trace.earcons import AGAIN_S, Earcon, EarconView
from jarvis_ear.units import Samples

ROOT = Path(__file__).parents[2]
SOUNDS = resources.files("jarvis_ear") / "sounds"


class Room(ScriptedTurns):
    """A history whose sounds are listed, with a backend that is connected."""

    def __init__(self, *, is_one_of_many: bool = False) -> None:
        self.played: list[Earcon] = []
        self.muted_by: tuple[str, ...] = ("owner",)
        view = EarconView(
            muted_by=lambda: self.muted_by, is_one_of_many=is_one_of_many, now=self._now
        )
        view.connect(self.played.append)
        super().__init__(view)
        self.tell(delivery.LinkUp("http://here", None))

    def _now(self) -> float:
        return self.clock.now if hasattr(self, "clock") else FakeClock().now

    def since_capture(self) -> list[Earcon]:
        """The sounds after the end of the utterance."""
        return self.played[self.played.index(Earcon.CAPTURED) + 1 :]


@pytest.fixture
def room():
    return Room()


def test_the_wake_word_and_the_end_of_the_utterance_have_a_sound(room):
    room.wake().capture()
    assert room.played == [Earcon.WAKE, Earcon.CAPTURED]


def test_a_wake_word_may_have_a_sound_of_its_own(room):
    bell = WakeWord(model="alexa", chime="/sounds/bell.wav")
    room.wake(word=bell)
    assert room.played == [bell.sound] == ["wake:alexa"]
    one_of_many = Room(is_one_of_many=True)
    one_of_many.wake(word=bell).tell(hearing.TurnConfirmed(TURN))
    assert one_of_many.played == [bell.sound]


def test_of_several_ears_only_the_one_that_answers_has_a_sound():
    winner, loser = Room(is_one_of_many=True), Room(is_one_of_many=True)
    winner.wake().tell(hearing.TurnConfirmed(TURN))
    loser.wake().tell(hearing.TurnDropped(TURN, "AnsweredElsewhere", "kitchen"))
    loser.enter(State.IDLE, "AnsweredElsewhere")
    assert (winner.played, loser.played) == ([Earcon.WAKE], [])


def test_a_wake_word_without_a_command_has_a_sound(room):
    room.wake().tell(hearing.TurnDropped(TURN, "DeadlinePassed"))
    room.enter(State.IDLE, "DeadlinePassed")
    assert room.played == [Earcon.WAKE, Earcon.NOTHING_HEARD]


def test_a_command_that_is_refused_has_the_sound_of_none(room):
    refused = hearing.SpeechRefused(TURN, hearing.RefusalReason.TOO_QUIET, 15.0)
    room.wake().tell(refused).tell(hearing.TurnDropped(TURN, "DeadlinePassed"))
    room.enter(State.IDLE, "DeadlinePassed")
    assert room.played == [Earcon.WAKE, Earcon.NOTHING_HEARD]


def test_a_reply_that_goes_on_after_a_false_wake_word_is_sound_enough(room):
    room.wake().tell(hearing.TurnDropped(TURN, "DeadlinePassed"))
    room.enter(State.SPEAKING, "DeadlinePassed")
    assert room.played == [Earcon.WAKE]


HEARD = {
    "all": (PlaybackStarted(TURN), PlaybackReported(TURN, Playback()), PlaybackEnded(TURN)),
    "none": (PlaybackReported(TURN, Playback(audible=False, left_out=1)), PlaybackEnded(TURN)),
    "no reply": (),
}
BY_PERSON = {Verdict.REPLACED, Verdict.SUPERSEDED, Verdict.ABANDONED}


@pytest.mark.parametrize(("verdict", "cause", "heard"), list(product(Verdict, Cause, HEARD)))
def test_every_turn_ends_in_one_thing_that_a_person_perceives(room, verdict, cause, heard):
    """The reply, one sound, or what the person did: they spoke again, or stopped the ear.

    If another ear answers, its reply is the thing.
    """
    room.wake().capture().finish(verdict, cause.value, chunks=int(heard != "no reply"))
    room.tell(*HEARD[heard]).enter(State.IDLE, "ReplyEnded")
    is_by_person = verdict in BY_PERSON or cause is Cause.STOPPING
    is_elsewhere = verdict is Verdict.FAILED and cause is Cause.ANSWERED_ELSEWHERE
    sounds = room.since_capture()
    is_told = not (is_by_person or is_elsewhere)
    assert len(sounds) + (heard == "all") == (is_told or heard == "all")


@pytest.mark.parametrize(
    ("verdict", "cause", "sound"),
    [
        (Verdict.FAILED, Cause.NOT_UNDERSTOOD, Earcon.NOT_UNDERSTOOD),
        (Verdict.FAILED, Cause.STT_UNAVAILABLE, Earcon.REFUSED),
        (Verdict.FAILED, Cause.STORAGE_FAILED, Earcon.FAILED),
        (Verdict.EXPIRED, Cause.TOO_OLD, Earcon.EXPIRED),
        (Verdict.IN_DOUBT, Cause.LINK_LOST, Earcon.FAILED),
        (Verdict.REPLY_LOST, Cause.NO_REPLY, Earcon.FAILED),
        (Verdict.DONE, Cause.NONE, Earcon.DONE),
    ],
)
def test_a_turn_without_a_spoken_reply_says_how_it_ended(room, verdict, cause, sound):
    room.wake().capture().finish(verdict, cause.value).enter(State.IDLE, "Failed()")
    assert room.since_capture() == [sound]


def test_a_command_that_waits_for_the_backend_says_so_at_once_and_only_once(room):
    room.tell(delivery.LinkDown("refused")).wake().capture()
    assert room.played[-1] is Earcon.FAILED
    room.finish(Verdict.EXPIRED, "too_old").enter(State.IDLE, "Failed(too_old)")
    assert room.played == [Earcon.WAKE, Earcon.FAILED]


def test_a_reply_that_is_no_longer_awaited_has_a_sound(room):
    room.wake().capture().tell(hearing.AbandonTurn(TURN, "DeadlinePassed"))
    room.enter(State.IDLE, "DeadlinePassed").finish(Verdict.ABANDONED, "interrupted")
    assert room.since_capture() == [Earcon.FAILED]


def test_a_follow_up_has_a_sound_which_the_owner_has_to_switch_on(room):
    room.enter(State.FOLLOW_UP, "ReplyEnded")
    assert room.played == [Earcon.FOLLOW_UP]
    assert SoundsOptions().follow_up == "none"


def test_a_mute_has_a_sound_but_quiet_hours_are_quiet(room):
    room.enter(State.MUTED, "Muted").enter(State.IDLE, "Unmuted")
    assert room.played == [Earcon.MUTED, Earcon.UNMUTED]
    room.muted_by = ("clock",)
    room.enter(State.MUTED, "Muted").enter(State.IDLE, "Unmuted")
    assert len(room.played) == 2


def test_a_microphone_that_was_never_there_is_not_lost(room):
    room.enter(State.DEAF, "MicrophoneLost")
    assert room.played == []


def test_a_loose_plug_is_told_once_a_minute(room):
    room.wait(int(1000 * AGAIN_S))
    for _ in range(3):
        room.enter(State.DEAF, "MicrophoneLost").wait(1000).enter(State.IDLE, "MicrophoneFound")
    assert room.played == [Earcon.MICROPHONE_LOST]
    room.wait(int(1000 * AGAIN_S)).enter(State.DEAF, "MicrophoneLost")
    assert len(room.played) == 2


def test_whatever_ends_a_turn_without_an_utterance_is_perceived(room):
    """By the table: only a time-out is silent otherwise, and that has its sound."""
    drops = {
        event.__name__
        for state in (State.LISTENING, State.CAPTURING)
        for event, transition in TRANSITIONS[state].items()
        if "drop the turn" in transition.orders
    }
    perceived = {
        "DeadlinePassed": [Earcon.NOTHING_HEARD],
        "WakeDetected": [],  # the new turn has its own sound
        "Hushed": [],  # the person asked for silence
        "SoundEnded": [],  # a file has nobody who listens
        "AnsweredElsewhere": [],  # the other ear has its sound
        "ResumptionDiscarded": [],  # no person spoke: the turn before goes on
        "Muted": [Earcon.MUTED],
        "MicrophoneLost": [Earcon.MICROPHONE_LOST],
        "MicrophoneSilent": [Earcon.MICROPHONE_LOST],
    }
    assert drops == set(perceived)
    ends = {"Muted": State.MUTED, "MicrophoneLost": State.DEAF, "MicrophoneSilent": State.DEAF}
    for cause, sounds in perceived.items():
        room = Room()
        room.wait(int(1000 * AGAIN_S)).wake().tell(hearing.TurnDropped(TURN, cause))
        room.enter(ends.get(cause, State.IDLE), cause)
        assert room.played == [Earcon.WAKE, *sounds]


def test_every_sound_has_an_option_and_a_file():
    assert set(SoundsOptions.model_fields) == set(Earcon)
    assert {file.name for file in SOUNDS.iterdir()} == {f"{each}.wav" for each in Earcon}


@pytest.mark.parametrize("earcon", Earcon)
def test_a_sound_is_short_and_quieter_than_speech(earcon):
    sound = decode_wav((SOUNDS / f"{earcon}.wav").read_bytes(), max_seconds=1)
    assert 0.05 < len(sound.pcm) / sound.rate < 1.0
    assert 2000 < abs(sound.mono().astype(int)).max() < 8000


def test_the_files_are_those_that_the_tool_makes():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import make_sounds as made\n"
        "print(all((made.FOLDER / f'{e}.wav').read_bytes() == made.wav(e) for e in made.Earcon))"
    )
    words = [sys.executable, "-c", code, str(ROOT / "tools")]
    assert subprocess.run(words, capture_output=True, check=True, text=True).stdout == "True\n"


def test_a_button_has_the_sound_of_the_wake_word(room):
    room.tell(hearing.TurnOpened("asked", "s", Samples(0), None))
    room.enter(State.LISTENING, "ListenRequested")
    assert room.played == [Earcon.WAKE]


def test_a_turn_that_continues_has_no_wake_sound(room):
    room.tell(hearing.TurnOpened("more", "s", Samples(0), None, continues=TURN))
    assert room.played == []
