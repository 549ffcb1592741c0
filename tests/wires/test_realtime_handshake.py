"""The token is sent as the subprotocol, and the server must echo it."""

import asyncio
import contextlib

import pytest

from fakes.peer import peer
from jarvis_ear.delivery.timeouts import Timing
from jarvis_ear.errors import ConnectFailed, RemoteProtocolError
from jarvis_ear.link.websocket import WebSocketLink
from jarvis_ear.wires.messages import AudioStart, Listening
from jarvis_ear.wires.realtime import (
    PATH,
    RealtimeDialect,
    RealtimeHandshake,
    RealtimeState,
    RealtimeStatus,
    encode,
)

TIMING = Timing(connect_s=0.5)
RECORDING = encode(RealtimeStatus(RealtimeState.RECORDING), 0.0)


@contextlib.asynccontextmanager
async def link_to(url, path="", timing=TIMING):
    link = WebSocketLink(RealtimeHandshake(url, path), RealtimeDialect(), timing, lambda: None)
    try:
        yield link
    finally:
        await link.close()


def greeter(*frames):
    async def script(raw, _request):
        for frame in frames:
            await raw.send_str(frame)
        async for _ in raw:
            pass

    return script


def test_a_link_and_the_ping_of_the_websocket_as_the_answer_to_a_start():
    async def scenario():
        script = greeter(RECORDING)
        async with peer("/elsewhere", script, echo=True) as url, link_to(url, "/elsewhere") as link:
            await link.open("canary")
            await link.send(AudioStart())
            assert await asyncio.wait_for(link.received.get(), 2.0) == Listening()

    asyncio.run(scenario())


def test_a_backend_that_does_not_echo_the_token_is_none_of_ours():
    async def scenario():
        async with peer(PATH, greeter(RECORDING)) as url, link_to(url) as link:
            with pytest.raises(RemoteProtocolError, match="without the token"):
                await link.open("canary")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "frames", [(), ("nonsense",), (encode(RealtimeStatus(RealtimeState.IDLE), 0.0),)]
)
def test_a_backend_that_does_not_record_is_waited_for_no_longer_than_the_deadline(frames):
    async def scenario():
        async with (
            peer(PATH, greeter(*frames), echo=True) as url,
            link_to(url, timing=Timing(connect_s=0.1)) as link,
        ):
            with pytest.raises(ConnectFailed, match="no connection within"):
                await link.open("canary")

    asyncio.run(scenario())


@pytest.mark.parametrize("token", ["two words", "a,b", "a;b", "ü", 'quo"te', ""])
def test_a_token_that_cannot_travel_so(token):
    async def scenario():
        async with link_to("http://127.0.0.1:9") as link:
            with pytest.raises(RemoteProtocolError, match="cannot be a subprotocol"):
                await link.open(token)

    asyncio.run(scenario())
