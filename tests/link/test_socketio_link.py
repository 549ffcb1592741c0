"""What only the Socket.IO link does, against peers that know the protocol and break it."""

import asyncio
import contextlib

import pytest

from fakes.link_ends import OPEN, PATIENT, SOCKETIO, TIMING, event
from fakes.peer import peer
from jarvis_ear.errors import ConnectFailed, Rejected
from jarvis_ear.wires.messages import AudioStart, Listening, Processing, Transcript

live, speaker, ends, link_to = SOCKETIO.live, SOCKETIO.speaker, SOCKETIO.ends, SOCKETIO.link_to


def saying(*frames, closes=False):
    """Make a peer that says something instead of a greeting, reading in between."""

    async def script(raw, _request):
        for frame in frames:
            await raw.send_str(frame)
            await (raw.close() if closes else raw.receive())

    return script


def test_a_peer_that_falls_silent_costs_no_more_than_the_deadline():
    async def open_only(raw, _request):
        await raw.send_str(OPEN)
        async for _ in raw:
            pass

    error, took_s = SOCKETIO.refusal(open_only)
    assert isinstance(error, ConnectFailed)
    assert 0.4 < took_s < 1.0


NULL_INTERVAL = '0{"sid":"s","upgrades":[],"pingInterval":null,"pingTimeout":1}'


@pytest.mark.parametrize(
    "script",
    [
        saying(OPEN, closes=True),
        *(saying(text) for text in ("0{}", "0[]", NULL_INTERVAL, "4", "nonsense", "")),
    ],
)
def test_a_peer_that_talks_nonsense_costs_nothing(script):
    error, took_s = SOCKETIO.refusal(script, PATIENT)
    assert isinstance(error, ConnectFailed)
    assert took_s < 1.0


def test_a_refused_token_is_told_apart():
    script = saying(OPEN, '44/voice,{"message":"Invalid or expired token"}')
    error, _ = SOCKETIO.refusal(script, PATIENT)
    assert isinstance(error, Rejected)


def test_messages_come_in_order_without_the_greeting(caplog):
    async def use(link):
        assert await link.received.get() == Listening("den")
        assert await link.received.get() == Transcript("hi")
        assert link.refused == 3
        [warning] = (
            line for line in caplog.messages if "is dropped" in line
        )  # of an unknown: none
        assert warning == (
            "message of the backend is dropped: index is bool; expected a whole number"
        )

    live(
        speaker(
            event("voice:listening", {}),
            event("voice:listening", {"agentId": "den"}),
            event("voice:unheard_of", {}),
            event("voice:tts_chunk", {"index": True}),
            event("voice:tts_chunk", {"index": True}),
            event("voice:transcript", {"text": "hi"}),
        ),
        use,
    )


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("listening", {}),
        ("processing", {}),
        ("transcript", {"text": "hi"}),
        ("thinking", {"provider": "none"}),
        ("tts_chunk", {"index": 0, "contentType": "audio/wav", "audio": "UklGRg=="}),
        ("tts_done", {"totalChunks": 1}),
        ("error", {"error": "x"}),
        ("pong", {}),
        ("unheard_of", {}),
    ],
)
def test_what_names_another_ear_is_not_ours(name, payload):
    async def use(link):
        assert await link.received.get() == Transcript("ours")
        assert link.received.empty()
        assert (link.strays, link.refused) == (1, 0)

    live(
        speaker(
            event("voice:listening", {}),
            event(f"voice:{name}", {**payload, "agentId": "kitchen"}),
            event("voice:transcript", {"text": "ours", "agentId": "den"}),
        ),
        use,
    )


def test_the_agent_of_an_utterance_is_ours_from_then_on():
    async def use(link):
        await link.send(AudioStart("hall"))
        assert await link.received.get() == Listening("hall")
        assert link.strays == 0

    async def answer(raw):
        assert '"agentId":"hall"' in (await raw.receive()).data
        await raw.send_str(event("voice:listening", {"agentId": "hall"}))

    live(speaker(event("voice:listening", {}), then=answer), use)


def test_a_backend_without_a_greeting_is_heard_from_its_first_word():
    async def use(link):
        assert await link.received.get() == Processing()
        assert await link.received.get() == Listening()

    live(speaker(event("voice:processing", {}), event("voice:listening", {})), use)


def test_a_path_in_the_address_leads_to_the_socket():
    async def scene():
        served = peer("/house/jarvis/socket.io/", speaker())
        async with served as url, link_to(f"{url}/house/jarvis", PATIENT) as link:
            await link.open("token")

    asyncio.run(scene())


async def close(raw):
    await raw.close()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (speaker(then=close), "link lost"),
        (speaker("41/voice,"), "closed the link"),
        (speaker("1"), "link lost|closed the link"),
    ],
    ids=["link", "namespace", "engine"],
)
def test_a_peer_that_closes_ends_the_link(script, reason):
    ends(script, reason)


def test_a_backend_that_knows_no_pings_is_not_held_to_them():
    live(speaker(), SOCKETIO.stays, TIMING)


def test_a_poisoned_codec_is_found_out_by_silence():
    poison = '451-/voice,["voice:transcript",{"_placeholder":true,"num":"a"}]'

    async def go_on(raw):
        with contextlib.suppress(ConnectionError):
            for _ in range(20):
                await raw.send_str(event("voice:pong", {}))
                await asyncio.sleep(0.05)

    ends(speaker(SOCKETIO.pong, poison, then=go_on), "nothing received", TIMING)
