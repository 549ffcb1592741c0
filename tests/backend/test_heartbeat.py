"""The heartbeat: a client that has died without a word leaves; a quiet one stays."""

import asyncio
import time

import aiohttp
import pytest

from fakes.engines import scripted
from jarvis_backend.config import Limits

pytestmark = pytest.mark.long  # a dead client is recognised by waiting

LIMITS = Limits(heartbeat_s=0.2, connections=1)


@pytest.mark.parametrize("wire", ["/ws/voice", "/ws/sessions", "/ws", "/ws/realtime"])
async def test_a_dead_client_leaves_and_a_quiet_one_stays(serve, log_in, wire):
    url = serve(scripted(), limits=LIMITS)
    token = log_in(url)
    async with aiohttp.ClientSession() as http:

        async def connect(**options):
            path = wire
            if wire == "/ws/sessions":
                async with http.post(url + "/api/sessions") as answer:
                    path = (await answer.json())["path"]
            return await http.ws_connect(url + path, protocols=[token], **options)

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
