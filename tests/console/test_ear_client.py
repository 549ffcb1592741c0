import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from fakes.ear_feed import FeedingEar
from jarvis_ear.control import ear_client as module
from jarvis_ear.control.ear_client import EarClient
from jarvis_ear.control.feed import Feed


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "RETRY_S", 0.02)


async def until(happens):
    while not happens():  # noqa: ASYNC110 - the feed has no event for it
        await asyncio.sleep(0.01)


@asynccontextmanager
async def client_of(folder, on_absent=lambda _why: None):
    """Run a client of the ear in ``folder``; gives the feed that it fills."""
    feed = Feed()
    client = EarClient(lambda: [folder / "nowhere", folder / "control"], feed, on_absent)
    task = asyncio.create_task(client.run())
    try:
        yield feed
    finally:
        task.cancel()


def ear_of(feed):
    return feed.snapshot().topics.get("ear", {})


async def test_a_client_copies_the_ear_and_survives_its_restart(tmp_path):
    async with client_of(tmp_path) as feed:
        await until(lambda: ear_of(feed).get("why") == "it is not running")
        with FeedingEar(tmp_path) as ear:
            await until(lambda: ear_of(feed).get("up"))
            ear.state("thinking")
            await until(lambda: feed.snapshot().topics["state"]["name"] == "thinking")
        await until(lambda: not ear_of(feed)["up"])
        with FeedingEar(tmp_path):
            await until(lambda: ear_of(feed)["up"])
            assert feed.snapshot().topics["state"]["name"] == "idle"


async def test_a_silent_ear_is_disconnected_and_reported_once(tmp_path, monkeypatch):
    reported = []
    monkeypatch.setattr(module, "SILENCE_S", 0.05)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(tmp_path / "control"))
        silent.listen()
        async with client_of(tmp_path, reported.append) as feed:
            await until(lambda: "has sent nothing" in ear_of(feed).get("why", ""))
            await asyncio.sleep(0.05)  # several attempts
    assert reported == ["it has sent nothing for 0.05 s"]


@pytest.mark.parametrize("line", [b"nonsense\n", b"x" * 2**20])
async def test_an_ear_that_sends_invalid_data_is_disconnected(tmp_path, line):
    async def babble(_reader, writer):
        writer.write(line)
        await asyncio.wait([asyncio.create_task(writer.drain())], timeout=0.2)
        writer.close()

    async with (
        client_of(tmp_path) as feed,
        await asyncio.start_unix_server(babble, tmp_path / "control"),
    ):
        await until(lambda: "sent invalid data" in ear_of(feed).get("why", ""))
