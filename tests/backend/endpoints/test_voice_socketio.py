"""The namespace ``/voice`` over a real Socket.IO connection."""

import asyncio
import base64
import time

import jwt
import pytest
import requests
import socketio

from fakes.clock import FakeClock
from fakes.engines import ScriptedBrain, ScriptedEar, ScriptedVoice, scripted, spoken
from jarvis_backend.config import Limits
from jarvis_backend.engines.engine import MissingEngine
from jarvis_ear.wires import socketio as wire

LISTENING = (wire.LISTENING, {})
NO_AUDIO = [(wire.ERROR, {"error": "No audio received"}), LISTENING]


def chunk(index, text):
    audio = base64.b64encode(spoken(text)).decode()
    return (wire.TTS_CHUNK, {"index": index, "contentType": "audio/wav", "audio": audio})


def indexes(told):
    return [payload["index"] for event, payload in told if event == wire.TTS_CHUNK]


# Who may connect


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (None, "Authentication required"),
        ("", "Authentication required"),
        (5, "Authentication required"),
        ("x", "Invalid or expired token"),
        (
            jwt.encode({"role": "operator", "exp": 2**40}, "t" * 32, algorithm="HS256"),
            "Invalid or expired token",
        ),
        (
            jwt.encode({"role": "operator", "exp": int(time.time()) - 1}, "s" * 32, "HS256"),
            "Invalid or expired token",
        ),
    ],
)
def test_without_a_good_token_nobody_comes_in(run, satellite, token, message):
    ear = satellite(scripted(), jwt_secret="s" * 32)()
    ear.token = token

    async def knock():
        with pytest.raises(socketio.exceptions.ConnectionError, match="/voice"):
            await ear.__aenter__()
        assert ear.refusal == {"message": message}

    run(knock())


def test_one_connection_too_many_is_refused(run, satellite):
    make = satellite(scripted(), limits=Limits(connections=1))

    async def both():
        async with make():
            late = make()
            with pytest.raises(socketio.exceptions.ConnectionError):
                await late.__aenter__()
            assert late.refusal == {"message": "Too many connections"}
        await when_free(make)

    run(both())


async def when_free(make):
    """Come and go as soon as the only place is free: the server may learn late that one left."""
    async with asyncio.timeout(20):
        while True:
            try:
                async with make():
                    return
            except socketio.exceptions.ConnectionError:
                await asyncio.sleep(0.01)


def test_the_handshake_names_the_ping_times_of_the_original(serve):
    url = serve(scripted())
    opened = requests.get(f"{url}/socket.io/?EIO=4&transport=polling", timeout=10).text
    assert '"pingInterval":25000' in opened
    assert '"pingTimeout":10000' in opened
    assert '"maxPayload":5242880' in opened


# A turn


def test_a_turn_tells_every_step_in_order(run, satellite, beep):
    make = satellite(scripted(brain=ScriptedBrain("One. Two.")))

    async def turn():
        async with make() as ear:
            await ear.utter(beep)
            assert await ear.until(wire.LISTENING) == [
                (wire.PROCESSING, {}),
                (wire.TRANSCRIPT, {"text": "what time is it"}),
                (wire.THINKING, {"provider": "scripted"}),
                chunk(0, "One."),
                chunk(1, "Two."),
                (wire.TTS_DONE, {"totalChunks": 2}),
                LISTENING,
            ]

    run(turn())


def test_sentences_may_come_out_of_order(run, satellite, beep):
    make = satellite(scripted(tts=ScriptedVoice(after={"One.": "Two."})))

    async def turn():
        async with make() as ear:
            await ear.utter(beep)
            told = await ear.until(wire.TTS_DONE)
            assert indexes(told) == [1, 0, 2]
            assert told[-1] == (wire.TTS_DONE, {"totalChunks": 3})

    run(turn())


@pytest.mark.parametrize(
    ("fails", "expected"),
    [(["Two."], [0, 2]), (["One."], [1, 2]), (["One.", "Two.", "Three."], [])],
)
def test_a_sentence_that_fails_leaves_its_index_out(run, satellite, beep, fails, expected):
    make = satellite(scripted(tts=ScriptedVoice(fails=fails)))

    async def turn():
        async with make() as ear:
            await ear.utter(beep)
            told = await ear.until(wire.TTS_DONE)
            assert indexes(told) == expected
            assert told[-1] == (wire.TTS_DONE, {"totalChunks": 3})

    run(turn())


def test_chunks_are_concatenated_into_one_file(run, satellite, beep):
    ear_engine = ScriptedEar()
    make = satellite(scripted(stt=ear_engine))

    async def turn():
        async with make() as ear:
            await ear.start()
            for piece in (beep[:44], beep[44:45], beep[45:7000], beep[7000:]):
                await ear.chunk(piece)
            await ear.end()
            await ear.until(wire.TTS_DONE)

    run(turn())
    assert ear_engine.heard[0].tobytes() == beep[44:]


@pytest.mark.parametrize(
    "write",
    [
        lambda sound: base64.b64encode(sound).decode().rstrip("="),
        lambda sound: base64.urlsafe_b64encode(sound).decode(),
        lambda sound: base64.encodebytes(sound).decode(),
        lambda sound: sound,
    ],
    ids=["unpadded", "url alphabet", "line breaks", "binary"],
)
def test_sound_may_be_written_in_other_ways(run, satellite, beep, write):
    ear_engine = ScriptedEar()
    make = satellite(scripted(stt=ear_engine))

    async def turn():
        async with make() as ear:
            await ear.start()
            await ear.say(wire.AUDIO_CHUNK, {"agentId": "probe", "audio": write(beep)})
            await ear.end()
            await ear.until(wire.TTS_DONE)

    run(turn())
    assert ear_engine.heard[0].tobytes() == beep[44:]


def test_without_an_agent_id_the_connection_is_the_name(run, plain, beep):
    async def turn():
        async with plain() as ear:
            await ear.say(wire.AUDIO_START, {})
            event, payload = await ear.next()
            assert event == wire.LISTENING
            assert isinstance(payload["agentId"], str)
            audio = base64.b64encode(beep).decode()
            await ear.say(wire.AUDIO_CHUNK, {"audio": audio, "seq": 0})
            await ear.say(wire.AUDIO_END)
            told = await ear.until(wire.TTS_DONE)
            assert told[0] == (wire.PROCESSING, {})

    run(turn())


def test_a_ping_is_answered_with_its_name(run, plain):
    async def ping():
        async with plain() as ear:
            await ear.say(wire.PING, {"agentId": "kitchen"})
            assert await ear.next() == (wire.PONG, {"agentId": "kitchen"})
            await ear.say(wire.PING)
            event, payload = await ear.next()
            assert event == wire.PONG
            assert payload["agentId"]

    run(ping())


# What satellites do wrong


def test_what_was_not_started_is_met_with_silence(run, plain, beep):
    async def talk():
        async with plain() as ear:
            await ear.end()
            await ear.chunk(beep)
            await ear.say("voice:unheard_of", {"x": 1})
            await ear.say(wire.AUDIO_CHUNK, None)
            assert await ear.fence() == []

    run(talk())


@pytest.mark.parametrize("payload", [{"audio": ""}, {"audio": None}, {}, {"audio": "!?"}, "abc"])
def test_a_chunk_without_sound_is_no_audio(run, plain, payload):
    async def talk():
        async with plain() as ear:
            await ear.say(wire.AUDIO_START, {})
            await ear.next()
            await ear.say(wire.AUDIO_CHUNK, payload)
            await ear.say(wire.AUDIO_END, {})
            assert await ear.until(wire.LISTENING) == NO_AUDIO
            assert await ear.fence() == []

    run(talk())


def test_start_and_end_without_a_chunk_is_no_audio(run, plain):
    async def talk():
        async with plain() as ear:
            await ear.start()
            await ear.end()
            assert await ear.until(wire.LISTENING) == NO_AUDIO

    run(talk())


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
def test_what_would_crash_the_original_gets_an_error(run, plain, beep, payload, error):
    async def talk():
        async with plain() as ear:
            await ear.say(wire.AUDIO_START, {})
            await ear.next()
            await ear.say(wire.AUDIO_CHUNK, payload)
            assert await ear.until(wire.LISTENING) == [(wire.ERROR, {"error": error}), LISTENING]
            await ear.utter(beep)
            assert (await ear.until(wire.TTS_DONE))[-1] == (wire.TTS_DONE, {"totalChunks": 3})

    run(talk())


@pytest.mark.parametrize("payload", [None, "x", 5, {"agentId": 5}, {"agentId": {}}, []])
def test_a_start_with_a_strange_payload_belongs_to_the_connection(run, plain, payload):
    async def talk():
        async with plain() as ear:
            await ear.say(wire.AUDIO_START, payload)
            event, told = await ear.next()
            assert event == wire.LISTENING
            assert isinstance(told["agentId"], str)

    run(talk())


def test_sound_that_cannot_be_read_gets_an_error(run, plain):
    async def talk():
        async with plain() as ear:
            await ear.utter(b"data that is no sound")
            told = await ear.until(wire.LISTENING)
            assert told[0] == (wire.PROCESSING, {})
            assert told[1][1]["error"].startswith("Could not read audio: ")

    run(talk())


def test_a_second_start_replaces_the_first(run, satellite, beep):
    ear_engine = ScriptedEar()
    make = satellite(scripted(stt=ear_engine))

    async def talk():
        async with make() as ear:
            await ear.start()
            await ear.chunk(b"thrown away")
            await ear.utter(beep)
            await ear.until(wire.TTS_DONE)

    run(talk())
    assert ear_engine.heard[0].tobytes() == beep[44:]


def test_two_connections_of_one_name_share_one_recording(run, satellite, beep):
    ear_engine = ScriptedEar()
    make = satellite(scripted(stt=ear_engine))

    async def talk():
        async with make() as one, make() as two:
            await one.start()
            await one.chunk(b"lost")
            await two.start()
            await two.chunk(beep[:1000])
            await two.fence()
            await one.chunk(beep[1000:])
            await one.end()
            assert (await one.until(wire.TTS_DONE))[0] == (wire.PROCESSING, {})
            assert await two.fence() == []

    run(talk())
    assert ear_engine.heard[0].tobytes() == beep[44:]


# Thirty seconds, five mebibytes, and other bounds


def test_a_late_chunk_ends_the_recording_and_the_rest_is_ignored(run, satellite, beep):
    ear_engine = ScriptedEar()
    clock = FakeClock()
    make = satellite(scripted(stt=ear_engine), clock.monotonic)

    async def talk():
        async with make() as ear:
            await ear.start()
            await ear.chunk(beep[:1000])
            assert await ear.fence() == []
            clock.now += 30.1
            await ear.chunk(beep[1000:])
            assert await ear.next() == (wire.PROCESSING, {})
            await ear.chunk(beep)
            await ear.end()
            told = await ear.until(wire.LISTENING)
            assert told[-2] == (wire.TTS_DONE, {"totalChunks": 3})
            assert await ear.fence() == []

    run(talk())
    assert [sound.tobytes() for sound in ear_engine.heard] == [beep[44:]]


def frame_of(length):
    """A whole chunk event whose frame is ``length`` bytes long."""
    empty = len('42/voice,["voice:audio_chunk",{"agentId":"probe","audio":""}]')
    return {"agentId": "probe", "audio": "A" * (length - empty)}


def test_a_frame_of_five_mebibytes_is_taken_and_one_byte_more_closes(run, plain):
    async def talk():
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

    run(talk())


def test_a_recording_that_grows_too_large_gets_an_error(run, satellite):
    make = satellite(scripted(), limits=Limits(recording_bytes=65_536))

    async def talk():
        async with make() as ear:
            await ear.start()
            await ear.chunk(bytes(65_537))
            told = await ear.until(wire.LISTENING)
            assert told[0][1]["error"].startswith("Recording too large")
            await ear.end()
            assert await ear.fence() == []

    run(talk())


def test_one_recording_too_many_gets_an_error(run, satellite):
    make = satellite(scripted(), limits=Limits(recordings=1))

    async def talk():
        async with make() as ear:
            await ear.start("one")
            await ear.say(wire.AUDIO_START, {"agentId": "two"})
            told = await ear.until(wire.LISTENING)
            assert told[0][1]["error"].startswith("Too many recordings")

    run(talk())


def test_more_turns_at_once_than_allowed_get_an_error(run, satellite, beep):
    make = satellite(scripted(tts=ScriptedVoice(hangs=True)), limits=Limits(turns=1))

    async def talk():
        async with make() as ear:
            await ear.utter(beep)
            await ear.until(wire.THINKING)
            await ear.utter(beep)
            told = await ear.until(wire.LISTENING)
            assert told[0] == (wire.ERROR, {"error": "Too many commands at once, expected 1"})

    run(talk())


# Turns that overlap, and connections that go


def test_a_start_during_the_reply_aborts_nothing(run, satellite, beep):
    voice = ScriptedVoice(after={"A1.": "B1."})
    make = satellite(scripted(brain=ScriptedBrain(["A0. A1.", "B0. B1."]), tts=voice))

    async def talk():
        async with make() as ear:
            await ear.utter(beep)
            told = await ear.until(wire.TTS_CHUNK)
            await ear.utter(beep)
            for _ in range(2):
                told += await ear.until(wire.TTS_DONE)
            assert sorted(indexes(told)) == [0, 0, 1, 1]
            assert indexes(told[:5]) == [0]

    run(talk())


def test_a_connection_that_goes_takes_its_recording(run, plain, beep):
    async def talk():
        async with plain() as ear:
            await ear.start()
            await ear.chunk(beep)
            await ear.fence()
        async with plain() as ear:
            await ear.end()
            assert await ear.fence() == []

    run(talk())


def test_a_connection_that_goes_stops_its_turn(run, satellite, beep):
    voice = ScriptedVoice(hangs=True)
    make = satellite(scripted(tts=voice))

    async def talk():
        async with make() as ear:
            await ear.utter(beep)
            await ear.until(wire.THINKING)
            async with asyncio.timeout(10):
                while len(voice.asked) < 2:
                    await ear.fence()
        async with make() as ear, asyncio.timeout(10):
            while len(voice.cancelled) < 2:
                assert await ear.fence() == []

    run(talk())


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
def test_an_engine_that_fails_is_told_and_the_connection_goes_on(
    run, satellite, beep, engines, error
):
    make = satellite(scripted(**engines))

    async def talk():
        async with make() as ear:
            for _ in range(2):
                await ear.utter(beep)
                told = await ear.until(wire.LISTENING)
                assert told[-2:] == [(wire.ERROR, {"error": error}), LISTENING]

    run(talk())


def test_without_a_voice_the_text_goes_along_with_the_end(run, satellite, beep):
    make = satellite(scripted(brain=ScriptedBrain("One. Two."), tts=MissingEngine("install one")))

    async def talk():
        async with make() as ear:
            await ear.utter(beep)
            told = await ear.until(wire.LISTENING)
            assert told[-2] == (wire.TTS_DONE, {"totalChunks": 0, "text": "One. Two."})

    run(talk())
