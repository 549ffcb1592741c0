import asyncio
import threading

import pytest

from jarvis_ear.delivery.utterance import Utterance
from jarvis_ear.link import mailbox as module
from jarvis_ear.link.mailbox import MAX_GROWTH, Abandon, CommandQueue, Grew, Mailbox, Overflow, Put


def put(name, size=10):
    return Put(Utterance(name, bytes(size), size, 0.0))


def test_commands_come_out_as_they_went_in():
    queue = CommandQueue()
    commands = (put("a"), Abandon("a"), put("b"))
    for command in commands:
        queue.post(command)
    assert len(queue) == 3
    assert queue.drain() == commands
    assert queue.drain() == ()


def test_the_oldest_utterance_gives_way_in_its_place():
    queue = CommandQueue()
    queue.post(Abandon("x"))
    for number in range(18):
        queue.post(put(f"{number}"))
    commands = queue.drain()
    assert commands[:3] == (Abandon("x"), Overflow("0"), Overflow("1"))
    assert [each.utterance.turn_id for each in commands[3:]] == [f"{n}" for n in range(2, 18)]


def test_large_utterances_give_way_earlier(monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    queue = CommandQueue()
    for name in "abc":
        queue.post(put(name, 60))
    assert queue.drain() == (Overflow("a"), Overflow("b"), put("c", 60))


def test_a_thousand_commands_are_enough(monkeypatch):
    monkeypatch.setattr(module, "MAX_COMMANDS", 3)
    queue = CommandQueue()
    for name in "abcde":
        queue.post(Abandon(name))
    assert queue.drain() == (Abandon("c"), Abandon("d"), Abandon("e"))
    assert queue.dropped == 2


def test_an_utterance_is_never_dropped_whatever_else_comes(monkeypatch):
    monkeypatch.setattr(module, "MAX_COMMANDS", 3)
    queue = CommandQueue()
    queue.post(put("said"))
    for name in "abcde":
        queue.post(Abandon(name))
    for number in range(20):
        queue.post(put(f"{number}"))
    commands = queue.drain()
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
    queue = CommandQueue()
    queue.post(Abandon("a"))
    for number in range(3):
        queue.post(Grew("t1", number, b""))
    queue.post(Abandon("b"))
    assert queue.drain() == (Abandon("a"), Grew("t1", 2, b""), Abandon("b"))
    assert queue.dropped == 2


def test_the_oldest_item_is_dropped_and_counted():
    mailbox = Mailbox(2)
    assert mailbox.take() is None
    for name in "abc":
        mailbox.post(name)
    assert mailbox.dropped == 1
    assert [mailbox.take(), mailbox.take(), mailbox.take()] == ["b", "c", None]


def test_each_item_wakes_the_loop_while_it_listens():
    async def scene():
        mailbox, woken = Mailbox(5), []
        mailbox.post("before")
        with mailbox.waking(lambda: woken.append(threading.current_thread().name)):
            await asyncio.to_thread(mailbox.post, "during")
            await asyncio.sleep(0)
        mailbox.post("after")
        await asyncio.sleep(0)
        return woken

    assert asyncio.run(scene()) == ["MainThread"]


def test_a_post_to_a_closed_loop_is_kept():
    mailbox = Mailbox(5)

    async def scene():
        listening = mailbox.waking(lambda: None)
        listening.__enter__()
        return listening

    listening = asyncio.run(scene())
    mailbox.post("late")
    assert mailbox.drain() == ("late",)
    listening.__exit__(None, None, None)


def test_commands_of_many_threads_all_arrive():
    queue, got = CommandQueue(), []
    threads = [
        threading.Thread(target=lambda: [queue.post(Abandon("x")) for _ in range(100)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        got += queue.drain()
    got += queue.drain()
    assert len(got) + queue.dropped == pytest.approx(800)


def test_of_pieces_as_many_as_an_utterance_has_and_nothing_else_gives_way():
    queue = CommandQueue()
    queue.post(Abandon("a"))
    for number in range(MAX_GROWTH + 3):
        queue.post(Grew("t1", 16_000 * number, b"x"))
    assert queue.dropped == 3
    first, second, *_ = queue.drain()
    assert first == Abandon("a")
    assert second == Grew("t1", 48_000, b"x")
