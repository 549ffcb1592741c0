"""A client that has died without a word leaves; one that is only quiet stays."""

import asyncio
import time

import aiohttp
import pytest

from fakes.engines import scripted
from jarvis_backend.config import Limits

pytestmark = pytest.mark.long  # whether somebody is dead is seen by waiting

LIMITS = Limits(heartbeat_s=0.2, connections=1)


async def log_in(http, url):
    async with http.post(url + "/api/auth/login", json={"password": "jarvis"}) as answer:
        return (await answer.json())["token"]


async def path_of(http, url, wire):
    if wire != "/ws/sessions":
        return wire
    async with http.post(url + "/api/sessions") as answer:
        return (await answer.json())["path"]


@pytest.mark.parametrize("wire", ["/ws/voice", "/ws/sessions", "/ws", "/ws/realtime"])
async def test_the_dead_leave_and_the_quiet_stay(serve, wire):
    url = serve(scripted(), limits=LIMITS)
    async with aiohttp.ClientSession() as http:
        token = await log_in(http, url)

        async def connect(**options):
            path = url + await path_of(http, url, wire)
            return await http.ws_connect(path, protocols=[token], **options)

        dead = await connect(autoping=False)
        began = time.monotonic()
        while (await dead.receive()).type is not aiohttp.WSMsgType.CLOSE:
            pass
        assert time.monotonic() - began < 20 * LIMITS.heartbeat_s
        quiet = await when_free(connect)
        assert not await is_closed_within(quiet, 4 * LIMITS.heartbeat_s)
        await quiet.close()


async def when_free(connect):
    """Connect as soon as the only place is free again."""
    async with asyncio.timeout(5):
        while True:
            try:
                return await connect()
            except aiohttp.WSServerHandshakeError:
                await asyncio.sleep(0.01)


async def is_closed_within(line, seconds):
    try:
        async with asyncio.timeout(seconds):
            while (await line.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
    except TimeoutError:
        return False
    return True
