import asyncio
import logging
import threading

import pytest

from jarvis_ear.link.network_thread import NetworkThread

SOON_S = 20
"""A deadline for what takes milliseconds, on a machine with other work."""

LOUD = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def started(main):
    thread = NetworkThread(main)
    assert not thread.alive
    thread.start()
    return thread


async def broken(_stop=None):
    raise ZeroDivisionError("the voice of somebody")


def test_it_runs_until_it_is_stopped():
    running = threading.Event()

    async def main(stop):
        running.set()
        await stop.wait()

    thread = started(main)
    assert running.wait(SOON_S)
    assert thread.stop(SOON_S)
    assert not thread.alive
    assert thread.stop(0)


def test_a_stop_before_the_first_step_is_not_lost():
    assert started(asyncio.Event.wait).stop(SOON_S)


def test_it_says_when_it_does_not_stop(caplog):
    release = threading.Event()

    async def main(_stop):
        await asyncio.to_thread(release.wait, SOON_S)

    thread = started(main)
    assert not thread.stop(0)
    assert not caplog.records
    assert not thread.stop(0.05)
    assert "thread jarvis-ear-network did not stop within 0.1 s" in caplog.text
    release.set()
    assert thread.stop(SOON_S)


def test_it_does_not_wait_for_itself():
    said = []

    async def main(stop):
        said.append(thread.stop(SOON_S))
        await stop.wait()

    thread = NetworkThread(main)
    thread.start()
    assert thread.stop(SOON_S)
    assert said == [True]


def test_tasks_of_a_library_are_cancelled_and_only_their_kind_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    cancelled = threading.Event()

    async def left_behind():
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def main(_stop):
        tasks = {asyncio.create_task(left_behind()), asyncio.create_task(broken())}
        await asyncio.sleep(0)
        tasks.clear()

    assert started(main).stop(SOON_S)
    assert cancelled.is_set()
    assert "somebody" not in caplog.text


@LOUD
def test_a_bug_ends_the_thread_loudly(monkeypatch):
    seen = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_type))
    assert started(broken).stop(SOON_S)
    assert seen == [ZeroDivisionError]


@LOUD
def test_a_stop_of_a_thread_that_is_ending_is_no_error(monkeypatch):
    ending, release = threading.Event(), threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: (ending.set(), release.wait(SOON_S)))
    thread = started(broken)
    assert ending.wait(SOON_S)
    assert thread.alive
    assert not thread.stop(0)
    release.set()
    assert thread.stop(SOON_S)


def test_a_thread_that_is_stopped_before_it_starts_ends_at_once():
    async def main(stop):
        assert stop.is_set()

    thread = NetworkThread(main)
    assert thread.stop(0)
    thread.start()
    assert thread.stop(SOON_S)
    assert not thread.alive
