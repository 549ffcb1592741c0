"""The realtime stream: words while they are spoken, and every way to fail."""

import json
import time

import aiohttp
import numpy as np
import pytest
from starlette.websockets import WebSocketDisconnect

from fakes.engines import ScriptedBrain, ScriptedEar, ScriptedVoice, scripted, spoken
from jarvis_backend.config import Limits
from jarvis_ear.audio.wav import pcm_to_wav

SLICE = pcm_to_wav(b"\x01\x02" * 1600)


@pytest.fixture
def connect(start_client):
    """Connect to a new application with such engines."""

    def start(limits=None, path="/ws/realtime", **engines):
        client = start_client(scripted(**engines), limits=limits or Limits(), realtime_path=path)
        return client.websocket_connect(path, subprotocols=[client.token()])

    return start


def next_said(line):
    told = line.receive_json()
    assert told.keys() == {"type", "payload", "timestamp"}
    return told["type"], told["payload"]


def end(line):
    line.send_json({"event": "end"})


def ask(line):
    """Say one slice as a whole utterance."""
    assert next_said(line) == status("recording")
    line.send_bytes(SLICE)
    end(line)


def status(state):
    return "status", {"state": state}


def transcript(text, *, is_final):
    return "transcript", {"text": text, "is_final": is_final}


def test_all_slices_before_the_end_are_one_utterance_and_the_next_one_begins_anew(connect):
    ear = ScriptedEar()
    with connect(stt=ear, brain=ScriptedBrain("Late.")) as line:
        assert next_said(line) == status("recording")
        line.send_bytes(SLICE)
        line.send_bytes(SLICE)
        end(line)
        while (told := next_said(line)) != status("idle"):
            if told[0] == "audio":
                assert line.receive_bytes() == spoken("Late.")
        line.send_bytes(SLICE)
        assert next_said(line) == status("recording")
    assert [len(pcm) for pcm in ear.heard] == [3200]


def test_the_token_is_echoed_and_needed_from_this_machine_too(start_client):
    client = start_client()
    token = client.token()
    with client.websocket_connect("/ws/realtime", subprotocols=[token]) as line:
        assert line.accepted_subprotocol == token
    for offered in ([], ["nonsense"]):
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect("/ws/realtime", subprotocols=offered),
        ):
            pass


def test_the_path_can_be_configured(connect):
    with connect(path="/ws/voice") as line:
        assert next_said(line) == status("recording")


def test_partial_transcripts_come_while_a_person_speaks(connect):
    ear = ScriptedEar()
    with connect(stt=ear) as line:
        next_said(line)
        for ear.guess, text in (("hey jarvis what", "what"), ("what time", "what time")):
            line.send_bytes(SLICE)
            assert next_said(line) == transcript(text, is_final=False)
        ear.error = "no ear"
        end(line)
        assert next_said(line) == status("transcribing")
        assert next_said(line)[1]["code"] == "engine_failed"


def test_slices_of_other_rates_are_taken(connect):
    ear = ScriptedEar()
    with connect(stt=ear) as line:
        next_said(line)
        line.send_bytes(pcm_to_wav(bytes(48_000), 48_000))
        end(line)
        next_said(line)
        next_said(line)
    assert abs(len(ear.heard[0]) - 8000) < 100


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('{"event":"end"}', "empty_stream"),
        ('{"event":"stop"}', "invalid_control"),
        ("{", "invalid_control"),
        (b"no sound", "invalid_audio"),
        (pcm_to_wav(bytes(32_000 * 2)), "too_long"),
    ],
)
def test_every_error_has_its_code_and_the_stream_goes_on(connect, frame, code):
    with connect(Limits(recording_s=1)) as line:
        next_said(line)
        line.send_text(frame) if isinstance(frame, str) else line.send_bytes(frame)
        kind, payload = next_said(line)
        assert (kind, payload["state"], payload["code"]) == ("status", "error", code)
        assert payload["message"]
        if code == "too_long":  # until its end, what follows is a part of it
            line.send_bytes(SLICE)
            end(line)
        line.send_bytes(SLICE)
        assert next_said(line) == status("recording")


@pytest.mark.parametrize(
    ("ear", "code"),
    [(ScriptedEar(""), "not_understood"), (ScriptedEar(error="no ear"), "engine_failed")],
)
def test_a_turn_that_fails_has_a_code(connect, ear, code):
    with connect(stt=ear) as line:
        ask(line)
        next_said(line)
        assert next_said(line)[1]["code"] == code


def test_new_speech_ends_the_answer(connect):
    voice = ScriptedVoice(hangs=True)
    with connect(tts=voice) as line:
        ask(line)
        while next_said(line)[0] != "response":
            pass
        line.send_bytes(SLICE)
        assert next_said(line) == status("recording")
    assert voice.cancelled


async def test_real_speech_is_understood_while_it_is_spoken(serve, log_in, what_time):
    told, _ = await speak_twice(serve(), log_in, what_time)
    transcripts = [one["payload"] for one in told if one["type"] == "transcript"]
    assert transcripts[-1]["is_final"] is True
    assert transcripts[-1]["text"].count("what time is it") == 2
    assert [one["is_final"] for one in transcripts].count(False) >= 1


@pytest.mark.long
async def test_real_speech_is_answered_within_five_seconds(serve, log_in, what_time):
    _, took_s = await speak_twice(serve(), log_in, what_time)
    assert took_s < 5


async def speak_twice(url, log_in, what_time):
    """Ask twice in one breath; return the messages, and how long it takes until speech comes."""
    told, token = [], log_in(url)
    sound = np.concatenate([what_time[8000:], what_time])[: 16_000 * 4]
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(url + "/ws/realtime", protocols=[token]) as line,
    ):
        assert line.protocol == token
        for at in range(0, len(sound), 3200):
            await line.send_bytes(pcm_to_wav(sound[at : at + 3200].tobytes()))
        while not told or told[-1]["payload"].get("text", "").count("time") < 2:
            told.append(json.loads((await line.receive()).data))
        await line.send_json({"event": "end"})
        ended = time.monotonic()
        async for message in line:
            if message.type is aiohttp.WSMsgType.BINARY:
                assert len(np.frombuffer(message.data[44:], "<i2")) > 1600
                break
            told.append(json.loads(message.data))
        return told, time.monotonic() - ended
