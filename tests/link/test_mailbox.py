import asyncio
import threading

import pytest

from jarvis_ear.delivery.utterance import Utterance
from jarvis_ear.link import mailbox as module
from jarvis_ear.link.mailbox import MAX_GROWTH, Abandon, CommandQueue, Grew, Mailbox, Overflow, Put


@pytest.fixture
def queue():
    return CommandQueue()


def put(name, size=10):
    return Put(Utterance(name, bytes(size), size, 0.0))


def post(queue, *commands):
    for command in commands:
        queue.post(command)


def abandon(names):
    return tuple(Abandon(name) for name in names)


def test_commands_come_out_as_they_went_in(queue):
    commands = (put("a"), Abandon("a"), put("b"))
    post(queue, *commands)
    assert len(queue) == 3
    assert queue.drain() == commands
    assert queue.drain() == ()


def test_the_oldest_utterance_gives_way_in_its_place(queue):
    post(queue, Abandon("x"), *(put(f"{number}") for number in range(18)))
    commands = queue.drain()
    assert commands[:3] == (Abandon("x"), Overflow("0"), Overflow("1"))
    assert [each.utterance.turn_id for each in commands[3:]] == [f"{n}" for n in range(2, 18)]


def test_large_utterances_give_way_earlier(queue, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    post(queue, *(put(name, 60) for name in "abc"))
    assert queue.drain() == (Overflow("a"), Overflow("b"), put("c", 60))


def test_a_thousand_commands_are_enough(queue, monkeypatch):
    monkeypatch.setattr(module, "MAX_COMMANDS", 3)
    post(queue, *abandon("abcde"))
    assert queue.drain() == abandon("cde")
    assert queue.dropped == 2


def test_an_utterance_is_never_dropped_whatever_else_comes(queue, monkeypatch):
    monkeypatch.setattr(module, "MAX_COMMANDS", 3)
    post(queue, put("said"), *abandon("abcde"), *(put(f"{number}") for number in range(20)))
    commands = queue.drain()
    told = [each for each in commands if isinstance(each, Put | Overflow)]
    assert told[:5] == [Overflow("said"), *(Overflow(f"{number}") for number in range(4))]
    assert len(told) == 21
    assert tuple(each for each in commands if isinstance(each, Abandon)) == abandon("cde")


def test_growth_is_dropped_before_what_a_person_wants(queue, monkeypatch):
    monkeypatch.setattr(module, "MAX_COMMANDS", 3)
    growth = (Grew("t1", number, b"") for number in range(3))
    post(queue, Abandon("a"), *growth, Abandon("b"))
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


def test_commands_of_many_threads_all_arrive(queue):
    got = []
    threads = [threading.Thread(target=post, args=(queue, *abandon("x" * 100))) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        got += queue.drain()
    got += queue.drain()
    assert len(got) + queue.dropped == pytest.approx(800)


def test_of_pieces_as_many_as_an_utterance_has_and_nothing_else_gives_way(queue):
    growth = (Grew("t1", 16_000 * number, b"x") for number in range(MAX_GROWTH + 3))
    post(queue, Abandon("a"), *growth)
    assert queue.dropped == 3
    assert queue.drain()[:2] == (Abandon("a"), Grew("t1", 48_000, b"x"))
