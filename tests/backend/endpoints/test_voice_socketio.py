"""The namespace ``/voice`` over a real Socket.IO connection."""

import asyncio
import base64

import pytest
import requests
import socketio

from fakes.clock import FakeClock
from fakes.engines import ScriptedBrain, ScriptedEar, ScriptedVoice, scripted
from jarvis_backend.config import Limits
from jarvis_backend.engines.engine import MissingEngine
from jarvis_ear.wires import socketio as wire

LISTENING = (wire.LISTENING, {})
NO_AUDIO = [(wire.ERROR, {"error": "No audio received"}), LISTENING]


TURN_DONE = (wire.TTS_DONE, {"totalChunks": 3})


def text_of(sound):
    return base64.b64encode(sound).decode()


def indexes(events):
    return [payload["index"] for event, payload in events if event == wire.TTS_CHUNK]


@pytest.fixture
def stt():
    return ScriptedEar()


# Who may connect


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (None, "Authentication required"),
        ("", "Authentication required"),
        (5, "Authentication required"),
        ("x", "Invalid or expired token"),
    ],
)
async def test_a_connection_without_a_good_token_is_refused(serve, connect, token, message):
    ear = connect(serve(scripted()))
    ear.token = token
    with pytest.raises(socketio.exceptions.ConnectionError, match="/voice"):
        await ear.__aenter__()
    assert ear.refusal == {"message": message}


async def test_one_connection_too_many_is_refused(serve, connect):
    url = serve(scripted(), limits=Limits(connections=1))
    async with connect(url):
        late = connect(url)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await late.__aenter__()
        assert late.refusal == {"message": "Too many connections"}
    async with asyncio.timeout(20):
        while True:  # the server may notice late that the place is free
            try:
                async with connect(url):
                    return
            except socketio.exceptions.ConnectionError:
                await asyncio.sleep(0.01)


def test_the_handshake_names_the_ping_times_of_the_original(serve):
    url = serve(scripted())
    opened = requests.get(f"{url}/socket.io/?EIO=4&transport=polling", timeout=10).text
    for setting in ('"pingInterval":25000', '"pingTimeout":10000', '"maxPayload":5242880'):
        assert setting in opened


# A turn


async def test_sentences_come_as_they_are_ready_and_failed_ones_are_missing(serve, connect, beep):
    voice = ScriptedVoice(after={"One.": "Two."}, fails=["Three."])
    async with connect(serve(scripted(tts=voice))) as ear:
        await ear.utter(beep)
        events = await ear.until(wire.TTS_DONE)
        assert indexes(events) == [1, 0]
        assert events[-1] == TURN_DONE


@pytest.mark.parametrize(
    "write",
    [
        lambda sound: map(text_of, (sound[:44], sound[44:45], sound[45:7000], sound[7000:])),
        lambda sound: [text_of(sound).rstrip("=")],
        lambda sound: [base64.urlsafe_b64encode(sound).decode()],
        lambda sound: [base64.encodebytes(sound).decode()],
        lambda sound: [sound],
    ],
    ids=["pieces", "unpadded", "url alphabet", "line breaks", "binary"],
)
async def test_sound_may_come_in_pieces_and_in_several_encodings(serve, connect, beep, stt, write):
    async with connect(serve(scripted(stt=stt))) as ear:
        await ear.start()
        for audio in write(beep):
            await ear.say(wire.AUDIO_CHUNK, {"agentId": "probe", "audio": audio})
        await ear.end()
        await ear.until(wire.TTS_DONE)
    assert stt.heard[0].tobytes() == beep[44:]


@pytest.mark.parametrize("payload", [{}, None, "x", 5, {"agentId": 5}, {"agentId": {}}, []])
async def test_without_an_agent_id_the_connection_is_the_name(plain, beep, payload):
    async with plain() as ear:
        await ear.say(wire.AUDIO_START, payload)
        event, told = await ear.next()
        assert event == wire.LISTENING
        assert isinstance(told["agentId"], str)
        await ear.say(wire.AUDIO_CHUNK, {"audio": text_of(beep), "seq": 0})
        await ear.say(wire.AUDIO_END)
        assert (await ear.until(wire.TTS_DONE))[0] == (wire.PROCESSING, {})


async def test_a_ping_without_a_name_is_answered_with_one(plain):
    async with plain() as ear:
        await ear.say(wire.PING)
        event, payload = await ear.next()
        assert event == wire.PONG
        assert payload["agentId"]


# What satellites do wrong


async def test_events_without_a_start_get_no_answer(plain, beep):
    async with plain() as ear:
        await ear.end()
        await ear.chunk(beep)
        await ear.say("voice:unheard_of", {"x": 1})
        await ear.say(wire.AUDIO_CHUNK, None)
        assert await ear.fence() == []


@pytest.mark.parametrize(
    "chunks", [[], [{"audio": ""}], [{"audio": None}], [{}], [{"audio": "!?"}], ["abc"]]
)
async def test_a_recording_without_sound_is_no_audio(plain, chunks):
    async with plain() as ear:
        await ear.say(wire.AUDIO_START, {})
        await ear.next()
        for payload in chunks:
            await ear.say(wire.AUDIO_CHUNK, payload)
        await ear.say(wire.AUDIO_END, {})
        assert await ear.until(wire.LISTENING) == NO_AUDIO
        assert await ear.fence() == []


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"audio": 5}, "audio is a number, expected base64 text"),
        ({"audio": True}, "audio is a boolean, expected base64 text"),
        ({"audio": {"x": 1}}, "audio is an object, expected base64 text"),
        ({"audio": [1, 2]}, "audio is a list, expected base64 text"),
        (None, "voice:audio_chunk is null, expected an object"),
        ([5], "voice:audio_chunk is a list, expected an object"),
    ],
)
async def test_what_would_crash_the_original_gets_an_error(plain, beep, payload, error):
    async with plain() as ear:
        await ear.say(wire.AUDIO_START, {})
        await ear.next()
        await ear.say(wire.AUDIO_CHUNK, payload)
        assert await ear.until(wire.LISTENING) == [(wire.ERROR, {"error": error}), LISTENING]
        await ear.utter(beep)
        assert (await ear.until(wire.TTS_DONE))[-1] == TURN_DONE


async def test_sound_that_cannot_be_read_gets_an_error(plain):
    async with plain() as ear:
        await ear.utter(b"data that is no sound")
        told = await ear.until(wire.LISTENING)
        assert told[0] == (wire.PROCESSING, {})
        assert told[1][1]["error"].startswith("Could not read audio: ")


async def test_a_second_start_replaces_the_first(serve, connect, beep, stt):
    async with connect(serve(scripted(stt=stt))) as ear:
        await ear.start()
        await ear.chunk(b"thrown away")
        await ear.utter(beep)
        await ear.until(wire.TTS_DONE)
    assert stt.heard[0].tobytes() == beep[44:]


async def test_two_connections_of_one_name_share_one_recording(serve, connect, beep, stt):
    url = serve(scripted(stt=stt))
    async with connect(url) as one, connect(url) as two:
        await one.start()
        await one.chunk(b"lost")
        await two.start()
        await two.chunk(beep[:1000])
        await two.fence()
        await one.chunk(beep[1000:])
        await one.end()
        assert (await one.until(wire.TTS_DONE))[0] == (wire.PROCESSING, {})
        assert await two.fence() == []
    assert stt.heard[0].tobytes() == beep[44:]


# Thirty seconds, five mebibytes, and other bounds


async def test_a_late_chunk_ends_the_recording_and_the_rest_is_ignored(serve, connect, beep, stt):
    clock = FakeClock()
    async with connect(serve(scripted(stt=stt), clock.monotonic)) as ear:
        await ear.start()
        await ear.chunk(beep[:1000])
        assert await ear.fence() == []
        clock.now += 30.1
        await ear.chunk(beep[1000:])
        assert await ear.next() == (wire.PROCESSING, {})
        await ear.chunk(beep)
        await ear.end()
        assert (await ear.until(wire.LISTENING))[-2] == TURN_DONE
        assert await ear.fence() == []
    assert [sound.tobytes() for sound in stt.heard] == [beep[44:]]


def frame_of(length):
    """A whole chunk event whose frame is ``length`` bytes long."""
    empty = len('42/voice,["voice:audio_chunk",{"agentId":"probe","audio":""}]')
    return {"agentId": "probe", "audio": "A" * (length - empty)}


async def test_a_frame_of_five_mebibytes_is_taken_and_one_byte_more_closes(plain):
    async with plain() as ear:
        await ear.start()
        await ear.say(wire.AUDIO_CHUNK, frame_of(5_242_880))
        assert await ear.fence() == []
        await ear.say(wire.AUDIO_CHUNK, frame_of(5_242_881))
        async with asyncio.timeout(10):
            await ear.gone.wait()
    async with plain() as ear:
        await ear.end()
        assert await ear.fence() == []


async def test_a_recording_that_grows_too_large_gets_an_error(serve, connect):
    async with connect(serve(scripted(), limits=Limits(recording_bytes=65_536))) as ear:
        await ear.start()
        await ear.chunk(bytes(65_537))
        error, _ = await ear.until(wire.LISTENING)
        assert error[1]["error"].startswith("Recording too large")
        await ear.end()
        assert await ear.fence() == []


async def test_one_recording_too_many_gets_an_error(serve, connect):
    async with connect(serve(scripted(), limits=Limits(recordings=1))) as ear:
        await ear.start("one")
        await ear.say(wire.AUDIO_START, {"agentId": "two"})
        error, _ = await ear.until(wire.LISTENING)
        assert error[1]["error"].startswith("Too many recordings")


async def test_more_turns_at_once_than_allowed_get_an_error(serve, connect, beep):
    async with connect(
        serve(scripted(tts=ScriptedVoice(hangs=True)), limits=Limits(turns=1))
    ) as ear:
        await ear.utter(beep)
        await ear.until(wire.THINKING)
        await ear.utter(beep)
        told = await ear.until(wire.LISTENING)
        assert told[0] == (wire.ERROR, {"error": "Too many commands at once, expected 1"})


# Turns that overlap, and connections that go


async def test_a_start_during_the_reply_aborts_nothing(serve, connect, beep):
    voice = ScriptedVoice(after={"A1.": "B1."})
    async with connect(
        serve(scripted(brain=ScriptedBrain(["A0. A1.", "B0. B1."]), tts=voice))
    ) as ear:
        await ear.utter(beep)
        told = await ear.until(wire.TTS_CHUNK)
        await ear.utter(beep)
        for _ in range(2):
            told += await ear.until(wire.TTS_DONE)
        assert sorted(indexes(told)) == [0, 0, 1, 1]
        assert indexes(told[:5]) == [0]


async def test_a_connection_that_ends_deletes_its_recording(plain, beep):
    async with plain() as ear:
        await ear.start()
        await ear.chunk(beep)
        await ear.fence()
    async with plain() as ear:
        await ear.end()
        assert await ear.fence() == []


async def test_a_connection_that_ends_stops_its_turn(serve, connect, beep):
    voice = ScriptedVoice(hangs=True)
    url = serve(scripted(tts=voice))
    async with connect(url) as ear:
        await ear.utter(beep)
        await ear.until(wire.THINKING)
        async with asyncio.timeout(10):
            while len(voice.asked) < 2:
                await ear.fence()
    async with connect(url) as ear, asyncio.timeout(10):
        while len(voice.cancelled) < 2:
            assert await ear.fence() == []


# Engines that fail


@pytest.mark.parametrize(
    ("engines", "error"),
    [
        ({"stt": ScriptedEar("")}, "Could not understand audio"),
        ({"stt": ScriptedEar(error="out of order")}, "out of order"),
        ({"stt": MissingEngine("install one")}, "STT service not available: install one"),
        ({"brain": ScriptedBrain(error="500 no idea")}, "500 no idea"),
    ],
)
async def test_a_failure_of_an_engine_is_sent_and_the_connection_stays(
    serve, connect, beep, engines, error
):
    async with connect(serve(scripted(**engines))) as ear:
        for _ in range(2):
            await ear.utter(beep)
            told = await ear.until(wire.LISTENING)
            assert told[-2:] == [(wire.ERROR, {"error": error}), LISTENING]


async def test_without_a_voice_the_text_goes_along_with_the_end(serve, connect, beep):
    url = serve(scripted(brain=ScriptedBrain("One. Two."), tts=MissingEngine("install one")))
    async with connect(url) as ear:
        await ear.utter(beep)
        told = await ear.until(wire.LISTENING)
        assert told[-2] == (wire.TTS_DONE, {"totalChunks": 0, "text": "One. Two."})
