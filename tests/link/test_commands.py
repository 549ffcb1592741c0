import threading

import pytest

from jarvis_ear.delivery.utterance import Utterance
from jarvis_ear.link import commands as module
from jarvis_ear.link.commands import MAX_GROWTH, Abandon, CommandQueue, Grew, Overflow, Put


def put(name, size=10):
    return Put(Utterance(name, bytes(size), size, 0.0))


def test_commands_come_out_as_they_went_in():
    intake = CommandQueue()
    commands = (put("a"), Abandon("a"), put("b"))
    for command in commands:
        intake.post(command)
    assert intake.waiting == 3
    assert intake.drain() == commands
    assert intake.drain() == ()


def test_the_oldest_utterance_gives_way_in_its_place():
    intake = CommandQueue()
    intake.post(Abandon("x"))
    for number in range(18):
        intake.post(put(f"{number}"))
    commands = intake.drain()
    assert commands[:3] == (Abandon("x"), Overflow("0"), Overflow("1"))
    assert [each.utterance.turn_id for each in commands[3:]] == [f"{n}" for n in range(2, 18)]


def test_large_utterances_give_way_earlier(monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    intake = CommandQueue()
    for name in "abc":
        intake.post(put(name, 60))
    assert intake.drain() == (Overflow("a"), Overflow("b"), put("c", 60))


def test_a_thousand_commands_are_enough(monkeypatch):
    monkeypatch.setattr(module, "MAX_COMMANDS", 3)
    intake = CommandQueue()
    for name in "abcde":
        intake.post(Abandon(name))
    assert intake.drain() == (Abandon("c"), Abandon("d"), Abandon("e"))
    assert intake.dropped == 2


def test_an_utterance_is_never_dropped_whatever_else_comes(monkeypatch):
    monkeypatch.setattr(module, "MAX_COMMANDS", 3)
    intake = CommandQueue()
    intake.post(put("said"))
    for name in "abcde":
        intake.post(Abandon(name))
    for number in range(20):
        intake.post(put(f"{number}"))
    commands = intake.drain()
    told = [each for each in commands if isinstance(each, Put | Overflow)]
    assert told[:5] == [Overflow("said"), *(Overflow(f"{number}") for number in range(4))]
    assert len(told) == 21
    assert [each for each in commands if isinstance(each, Abandon)] == [
        Abandon("c"),
        Abandon("d"),
        Abandon("e"),
    ]


def test_growth_is_dropped_before_what_a_person_wants(monkeypatch):
    monkeypatch.setattr(module, "MAX_COMMANDS", 3)
    intake = CommandQueue()
    intake.post(Abandon("a"))
    for number in range(3):
        intake.post(Grew("t1", number, b""))
    intake.post(Abandon("b"))
    assert intake.drain() == (Abandon("a"), Grew("t1", 2, b""), Abandon("b"))
    assert intake.dropped == 2


def test_each_command_wakes_the_listener_and_none_does_after_it_left():
    intake, woken = CommandQueue(), []
    intake.post(Abandon("before"))
    intake.listen(lambda: woken.append(threading.current_thread().name))
    intake.post(Abandon("during"))
    intake.unlisten()
    intake.post(Abandon("after"))
    assert woken == ["MainThread"]


def test_commands_of_many_threads_all_arrive():
    intake, got = CommandQueue(), []
    threads = [
        threading.Thread(target=lambda: [intake.post(Abandon("x")) for _ in range(100)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        got += intake.drain()
    got += intake.drain()
    assert len(got) + intake.dropped == pytest.approx(800)


def test_of_pieces_as_many_as_an_utterance_has_and_nothing_else_gives_way():
    intake = CommandQueue()
    intake.post(Abandon("a"))
    for number in range(MAX_GROWTH + 3):
        intake.post(Grew("t1", 16_000 * number, b"x"))
    assert intake.dropped == 3
    first, second, *_ = intake.drain()
    assert first == Abandon("a")
    assert second == Grew("t1", 48_000, b"x")
