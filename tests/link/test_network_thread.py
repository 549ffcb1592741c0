import asyncio
import logging
import threading

import pytest

from jarvis_ear.link.network_thread import NetworkThread

SOON_S = 20
"""A deadline for what takes milliseconds, on a machine with other work."""


def test_it_runs_until_it_is_told_to_stop():
    running = threading.Event()

    async def main(stop):
        running.set()
        await stop.wait()

    thread = NetworkThread(main)
    assert not thread.alive
    thread.start()
    assert running.wait(SOON_S)
    assert thread.stop(SOON_S)
    assert not thread.alive
    assert thread.stop(0)


def test_a_stop_before_the_first_step_is_not_lost():
    async def main(stop):
        await stop.wait()

    thread = NetworkThread(main)
    thread.start()
    assert thread.stop(SOON_S)


def test_it_says_when_it_does_not_stop():
    release = threading.Event()

    async def main(_stop):
        await asyncio.to_thread(release.wait, SOON_S)

    thread = NetworkThread(main)
    thread.start()
    assert not thread.stop(0.05)
    release.set()
    assert thread.stop(SOON_S)


def test_it_cannot_wait_for_itself():
    said = []

    async def main(stop):
        said.append(thread.stop(SOON_S))
        await stop.wait()

    thread = NetworkThread(main)
    thread.start()
    assert thread.stop(SOON_S)
    assert said == [True]


def test_what_a_library_leaves_behind_is_swept_up_and_only_its_kind_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    cancelled = threading.Event()

    async def left_behind():
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def broken():
        raise ZeroDivisionError("the voice of somebody")

    async def main(_stop):
        tasks = {asyncio.create_task(left_behind()), asyncio.create_task(broken())}
        await asyncio.sleep(0)
        tasks.clear()

    thread = NetworkThread(main)
    thread.start()
    assert thread.stop(SOON_S)
    assert cancelled.is_set()
    assert "somebody" not in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_ends_the_thread_loudly(monkeypatch):
    seen = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_type))

    async def main(_stop):
        raise ZeroDivisionError

    thread = NetworkThread(main)
    thread.start()
    assert thread.stop(SOON_S)
    assert seen == [ZeroDivisionError]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_to_stop_what_is_just_ending_by_itself_is_no_error(monkeypatch):
    ending, release = threading.Event(), threading.Event()

    def hold(_args):
        ending.set()
        release.wait(SOON_S)

    monkeypatch.setattr(threading, "excepthook", hold)

    async def main(_stop):
        raise ZeroDivisionError

    thread = NetworkThread(main)
    thread.start()
    assert ending.wait(SOON_S)
    assert thread.alive
    assert not thread.stop(0)
    release.set()
    assert thread.stop(SOON_S)


def test_what_is_stopped_before_it_starts_ends_at_once():
    async def main(stop):
        assert stop.is_set()

    thread = NetworkThread(main)
    assert thread.stop(0)
    thread.start()
    assert thread.stop(SOON_S)
    assert not thread.alive
