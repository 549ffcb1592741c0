import asyncio
import socket

import pytest

from fakes.ear_feed import FeedingEar
from jarvis_ear.console import command as module
from jarvis_ear.console.command import EarClient
from jarvis_ear.control.feed import Feed


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "RETRY_S", 0.02)


async def until(happens):
    while not happens():  # noqa: ASYNC110 - the feed wakes nobody here
        await asyncio.sleep(0.01)


def scene(run, folder, story):
    """Run a client of the ear in ``folder`` during ``story``."""

    async def play():
        feed = Feed()
        task = asyncio.create_task(
            EarClient(lambda: [folder / "nowhere", folder / "control"], feed).run()
        )
        try:
            await story(feed)
        finally:
            task.cancel()

    run(play())


def ear_of(feed):
    return feed.snapshot().topics.get("ear", {})


def test_it_copies_the_ear_and_survives_its_restart(run, tmp_path):
    async def story(feed):
        await until(lambda: ear_of(feed).get("why") == "it is not running")
        with FeedingEar(tmp_path) as ear:
            await until(lambda: ear_of(feed).get("up"))
            ear.state("thinking")
            await until(lambda: feed.snapshot().topics["state"]["name"] == "thinking")
        await until(lambda: not ear_of(feed)["up"])
        with FeedingEar(tmp_path):
            await until(lambda: ear_of(feed)["up"])
            assert feed.snapshot().topics["state"]["name"] == "idle"

    scene(run, tmp_path, story)


def test_a_silent_ear_is_disconnected(run, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(module, "SILENCE_S", 0.05)

    async def story(feed):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
            silent.bind(str(tmp_path / "control"))
            silent.listen()
            await until(lambda: "has sent nothing" in ear_of(feed).get("why", ""))

    scene(run, tmp_path, story)
    assert caplog.text.count("has sent nothing") == 1


@pytest.mark.parametrize("line", [b"nonsense\n", b"x" * 2**20])
def test_an_ear_that_sends_invalid_data_is_disconnected(run, tmp_path, line):
    async def story(feed):
        async def babble(_reader, writer):
            writer.write(line)
            await asyncio.wait([asyncio.create_task(writer.drain())], timeout=0.2)
            writer.close()

        async with await asyncio.start_unix_server(babble, tmp_path / "control"):
            await until(lambda: "sent invalid data" in ear_of(feed).get("why", ""))

    scene(run, tmp_path, story)
