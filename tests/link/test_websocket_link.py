"""What only the link over a bare WebSocket does."""

import asyncio

from fakes.link_ends import PATIENT, VOICE_WS, voice_ws
from fakes.peer import peer
from jarvis_ear.wires.messages import (
    AudioEnd,
    AudioPart,
    AudioStart,
    Listening,
    Processing,
    Transcript,
)

PING, PONG = VOICE_WS.ping, VOICE_WS.pong


def test_a_token_goes_along_and_a_path_of_its_own():
    shown = []

    async def script(raw, request):
        shown.append(request.headers.get("Authorization"))
        await VOICE_WS.speaker()(raw, request)

    async def scene():
        async with peer("/house/voice", script) as url:
            for token in (None, "canary"):
                link = voice_ws(url, PATIENT, "/house/voice")
                await link.open(token)
                await link.close()

    asyncio.run(scene())
    assert shown == [None, "Bearer canary"]


def test_messages_come_in_order_and_nonsense_is_counted():
    async def use(link):
        assert await link.received.get() == Processing()
        assert await link.received.get() == Transcript("secret")
        assert link.refused == 3
        assert link.received.empty()  # pongs are between the link and itself

    frames = ("nonsense", b"odd", '{"type":"?"}', VOICE_WS.processing, VOICE_WS.transcript, PONG)
    VOICE_WS.live(VOICE_WS.speaker(*frames), use)


def test_what_is_said_goes_up_in_order():
    heard = []

    async def listen(raw):
        heard.extend([(await raw.receive()).data for _ in range(5)])
        await raw.send_str(PONG)

    async def use(link):
        await link.send(AudioStart())
        await link.send(AudioPart(0, bytes(3202)))
        await link.send(AudioEnd())
        await link.flushed()
        assert await link.received.get() == Listening()

    VOICE_WS.live(VOICE_WS.speaker(then=listen), use)
    assert heard == ['{"type":"start"}', PING, bytes(3200), bytes(2), '{"type":"end"}']


def test_a_link_that_is_closed_ends():
    async def close(raw):
        await raw.receive()
        await raw.close()

    VOICE_WS.ends(VOICE_WS.speaker(then=close), "closed the link")


def test_the_pings_of_the_peer_are_answered():
    answered = asyncio.Event()

    async def ask(raw):
        await raw.ping(b"there?")
        message = await raw.receive()
        assert (message.type.name, bytes(message.data)) == ("PONG", b"there?")
        answered.set()

    async def use(_link):
        await asyncio.wait_for(answered.wait(), 2.0)

    VOICE_WS.live(VOICE_WS.speaker(then=ask), use, autoping=False)
