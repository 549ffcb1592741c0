"""What is kept of the turns, for how long, and what it says of the last one."""

import threading

import pytest

from fakes.turns import ScriptedTurns, utterance
from jarvis_ear.delivery.events import Finished, Sent, Transcribed, Verdict
from jarvis_ear.delivery.playback import PlaybackEnded
from jarvis_ear.errors import TurnFailed
from jarvis_ear.hearing.events import AbandonTurn, SendUtterance, TurnDropped, TurnOpened
from jarvis_ear.turn_trace.history import MAX_TURNS, RECENT
from jarvis_ear.turn_trace.trace import TurnEnded, TurnForgotten
from jarvis_ear.units import Samples


class Recorder:
    """A view that keeps what it draws."""

    def __init__(self) -> None:
        self.drawn = []

    def change(self, options) -> None:
        self.options = options

    def draw(self, event, trace) -> None:
        self.drawn.append((event, trace))

    def turns(self, kind) -> list[str]:
        return [event.turn_id for event, _ in self.drawn if isinstance(event, kind)]


def test_each_turn_ends_once_and_the_oldest_is_forgotten():
    recorder = Recorder()
    turns = ScriptedTurns(recorder)
    turns.send("first").finish(Verdict.DONE, turn_id="first")
    for number in range(MAX_TURNS + 1):
        turns.send(str(number))
    assert recorder.turns(TurnForgotten) == ["first", "0"]
    assert recorder.turns(TurnEnded) == ["first", "0"]
    assert turns.history.counters() == {"turns_unfinished": 1}
    turns.history.close()
    ended = recorder.turns(TurnEnded)
    assert len(ended) == len(set(ended)) == MAX_TURNS + 2


def test_the_words_are_in_memory_only_if_they_may_be_shown():
    recorder = Recorder()
    turns = ScriptedTurns(recorder, transcripts=False).wake().capture()
    turns.tell(Transcribed("7f3a", "a secret"))
    trace = recorder.drawn[-1][1]
    assert (trace.transcript, trace.characters) == ("", 8)


def test_the_last_turns_are_reported_without_words_and_without_those_that_were_dropped():
    turns = ScriptedTurns()
    for number in range(RECENT + 1):
        turns.wake(str(number)).capture(str(number)).tell(Transcribed(str(number), "a secret"))
        turns.finish(Verdict.FAILED, "stt_failed", turn_id=str(number))
        turns.tell(AbandonTurn(str(number), "WakeDetected"))
    turns.wake("dropped").wait(1500).tell(TurnDropped("dropped", "DeadlinePassed"))
    report = turns.history.recent()
    assert [turn["turn"] for turn in report] == ["5", "4", "3", "2", "1"]
    assert report[0] == {
        "turn": "5",
        "ended_s_ago": 1.5,
        "story": "failed (stt failed) after 800 ms: 800 endpoint, 0 speech-to-text, 0 waiting; "
        "1.62 s of speech; wake score 0.97",
        "heard": "none",
        "heard_reason": "no_reply",
    }


def last_turn(*verdicts: Verdict) -> ScriptedTurns:
    """Turns that were sent and ended so, one after the other."""
    turns = ScriptedTurns()
    for number, verdict in enumerate(verdicts):
        turns.tell(SendUtterance(str(number), utterance()))
        turns.tell(Finished(str(number), verdict, "too_old", 0))
    return turns


@pytest.mark.parametrize(
    "verdict", [Verdict.FAILED, Verdict.EXPIRED, Verdict.IN_DOUBT, Verdict.REPLY_LOST]
)
def test_a_failed_last_command_of_a_file_is_an_error_in_one_line(verdict):
    failure = last_turn(Verdict.DONE, verdict).history.failure()
    assert isinstance(failure, TurnFailed)
    assert failure.exit_status == 75
    words = verdict.replace("_", " ")
    assert str(failure) == f"the last command of the input ended as {words} (too old)"
    turns = last_turn(verdict)
    for number in range(2 * MAX_TURNS):  # many false wakes
        turns.tell(TurnDropped(f"false {number}", "DeadlinePassed"))
    assert turns.history.failure() is not None
    assert [turn["turn"] for turn in turns.history.recent()] == ["0"]


def test_without_a_command_that_failed_at_the_end_there_is_no_failure():
    for verdict in (Verdict.DONE, Verdict.ABANDONED):
        assert last_turn(Verdict.FAILED, verdict).history.failure() is None
    turns = last_turn(Verdict.FAILED).tell(SendUtterance("newer", utterance()))
    assert turns.history.failure() is None
    turns = ScriptedTurns().tell(TurnDropped("1", "no speech"))
    turns.tell(Finished("of an earlier run", Verdict.EXPIRED, "too_old", 0))
    assert turns.history.failure() is None


def test_several_threads_may_record_at_once():
    recorder = Recorder()
    history = ScriptedTurns(recorder).history

    def record(thread: int) -> None:
        for number in range(50):
            turn_id = f"{thread}-{number}"
            history.after(TurnOpened(turn_id, "s", Samples(0), 0.9))
            history.after(SendUtterance(turn_id, utterance()))
            history.after(Sent(turn_id, 1, 2, 3))
            history.after(Finished(turn_id, Verdict.DONE, "", 1))
            history.after(PlaybackEnded(turn_id))

    threads = [threading.Thread(target=record, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(recorder.turns(TurnEnded)) == sorted(
        f"{thread}-{number}" for thread in range(4) for number in range(50)
    )
    assert history.unfinished == 0
