"""The session stream: what goes up comes back, or is answered."""

import asyncio
import json
import time

import aiohttp
import numpy as np
import pytest
from starlette.websockets import WebSocketDisconnect

from fakes.engines import ScriptedBrain, ScriptedEar, scripted
from jarvis_backend.config import Limits
from jarvis_backend.endpoints import session_pcm

API = "/api/sessions"
FRAME = b"\x01\x02" * 320
START = {"type": "start", "sampleRate": 16_000}
STOP = {"type": "stop"}


@pytest.fixture
def start(start_client):
    """Start a client of a new application with such engines."""
    return lambda limits=None, **engines: start_client(
        scripted(**engines), limits=limits or Limits()
    )


@pytest.fixture
def client(start):
    return start()


def create(client, mode="loopback"):
    answer = client.post(API, json={"mode": mode})
    assert answer.status_code == 201
    return answer.json()


def connect(client, mode="loopback"):
    """Connect to a new session."""
    return client.websocket_connect(create(client, mode)["path"])


def assert_is_echoed(line, pcm=FRAME):
    line.send_bytes(pcm)
    assert line.receive_bytes() == pcm


def started(line, **more):
    """Start the stream, and return its status."""
    line.send_json(START | more)
    status = line.receive_json()
    assert status["state"] == "running"
    return status


def assert_is_closed(line, code, reason=""):
    with pytest.raises(WebSocketDisconnect) as closed:
        line.receive_json()
    assert closed.value.code == code
    assert reason in closed.value.reason


def test_a_session_is_created_started_carried_and_stopped(client):
    made = create(client)
    assert (made["state"], made["mode"]) == ("created", "loopback")
    with client.websocket_connect(made["path"]) as line:
        started(line)
        assert_is_echoed(line)
        assert_is_echoed(line, FRAME * 2)
        assert client.get(f"{API}/{made['id']}").json()["receivedBytes"] == 1920
        line.send_json(STOP)
        assert line.receive_json()["state"] == "stopped"
        assert line.receive()["type"] == "websocket.close"
    assert client.post(f"{API}/{made['id']}/stop").json()["state"] == "stopped"


def test_http_starts_and_stops_the_stream_as_well(client):
    made = create(client)
    with client.websocket_connect(made["path"]) as line:
        client.post(f"{API}/{made['id']}/start")
        assert line.receive_json()["state"] == "running"
        assert_is_echoed(line)
        client.post(f"{API}/{made['id']}/stop")
        assert line.receive_json()["state"] == "stopped"
        assert line.receive()["type"] == "websocket.close"


def test_the_status_is_repeated(client, monkeypatch):
    monkeypatch.setattr(session_pcm, "STATUS_S", 0.02)
    with connect(client) as line:
        line.send_json(START)
        assert [line.receive_json()["state"] for _ in range(3)] == ["running"] * 3


def test_an_assistant_answers_on_the_same_socket(start, what_time):
    client = start(brain=ScriptedBrain("Late. Very."))
    made = client.post(API).json()
    assert made["mode"] == "assistant"
    with client.websocket_connect(made["path"]) as line:
        started(line)
        sound = what_time.tobytes() + bytes(16_000)
        for at in range(0, len(sound), 640):
            line.send_bytes(sound[at : at + 640])
        assert line.receive_json()["turn"] == "processing"
        assert line.receive_json() == {"type": "transcript", "text": "what time is it"}
        assert line.receive_json() == {"type": "reply", "text": "Late. Very."}
        spoken = line.receive_bytes() + line.receive_bytes()
    assert np.frombuffer(spoken, "<i2").astype(np.uint8).tobytes() == b"Late.Very."


def test_a_failure_of_an_engine_is_sent(start, what_time):
    with connect(start(stt=ScriptedEar(error="no ear")), "assistant") as line:
        started(line)
        line.send_bytes(what_time.tobytes() + bytes(16_000))
        assert line.receive_json()["turn"] == "processing"
        assert line.receive_json() == {"type": "error", "message": "no ear"}
        assert line.receive_json()["turn"] == "listening"


@pytest.mark.parametrize(
    ("frames", "complaint"),
    [
        ([START, b"123"], "even count"),
        ([{"type": "start", "mode": "dance"}], "expected one of loopback, assistant"),
        ([{"type": "start", "sampleRate": 8000}], "expected 16000"),
        ([{"type": "nope"}], "unknown type"),
    ],
)
def test_an_invalid_frame_is_an_error_and_the_session_goes_on(client, frames, complaint):
    with connect(client) as line:
        for frame in frames:
            line.send_bytes(frame) if isinstance(frame, bytes) else line.send_json(frame)
        told = [line.receive_json() for _ in frames]
        assert told[-1]["type"] == "error"
        assert complaint in told[-1]["message"]
        started(line)


@pytest.mark.parametrize("path", ["/ws/sessions/nobody", "/ws/sessions/one", "/ws/sessions/a.b"])
def test_unknown_sessions_are_refused(client, path):
    with client.websocket_connect("/ws/sessions/one") as line:
        assert_is_echoed(line)
    if not path.endswith("a.b"):
        headers = {"Authorization": f"Bearer {client.token()}"}
        client = client.elsewhere(client=("192.0.2.7", 5000), headers=headers)
    with client.websocket_connect(path) as line:
        assert_is_closed(line, 4404, "Unknown session")
    assert client.get(f"{API}/nobody").status_code == 404
    assert client.post(f"{API}/nobody/stop").status_code == 404
    assert client.post(f"{API}/{create(client)['id']}/dance").status_code == 404


def test_a_program_of_this_machine_need_not_announce_a_session_and_gets_an_echo(client):
    for frames in ([FRAME, FRAME * 2], [FRAME * 3]):  # the name may be used again
        with client.websocket_connect("/ws/sessions/my-own") as line:
            for frame in frames:
                assert_is_echoed(line, frame)
            assert client.get(f"{API}/my-own").json()["state"] == "running"
            status = started(line)
            assert (status["mode"], status["receivedBytes"]) == ("loopback", sum(map(len, frames)))
            line.send_json(STOP)
            assert line.receive_json()["state"] == "stopped"
        assert client.post(f"{API}/my-own/stop").json()["state"] == "stopped"


def test_sessions_of_a_name_of_their_own_are_bounded_like_others(start):
    client = start(Limits(connections=2))
    with client.websocket_connect("/ws/sessions/one"), client.websocket_connect("/ws/sessions/two"):
        assert client.post(API, json={}).status_code == 503
    with client.websocket_connect("/ws/sessions/three") as line:
        assert_is_echoed(line)
    assert client.get(f"{API}/one").status_code == 404, "the oldest gave way"


@pytest.mark.parametrize("mode", ["loopback", "assistant"])
def test_the_mode_is_chosen_in_the_address_or_with_the_start(client, mode):
    other = {"loopback": "assistant", "assistant": "loopback"}[mode]
    with client.websocket_connect(f"/ws/sessions/one?mode={mode}") as line:
        assert started(line)["mode"] == mode
    with client.websocket_connect(create(client, other)["path"] + f"?mode={mode}") as line:
        assert started(line)["mode"] == mode
        status = started(line, mode=other)
        turn = "listening" if other == "assistant" else ""
        assert (status["mode"], status["turn"]) == (other, turn)
        assert started(line, mode=other)["mode"] == other


def test_an_unknown_mode_closes_the_connection(client):
    with client.websocket_connect("/ws/sessions/one?mode=dance") as line:
        assert_is_closed(line, 4400, "expected one of loopback, assistant")


def test_invalid_sound_is_reported_once(client):
    with connect(client) as line:
        for _ in range(5):
            line.send_bytes(b"odd")
        assert line.receive_json()["type"] == "error"
        assert_is_echoed(line)
        for _ in range(2):  # but what was asked in words is answered
            line.send_json({"type": "nope"})
            assert line.receive_json()["type"] == "error"


def test_a_session_has_one_connection(client):
    path = create(client)["path"]
    with client.websocket_connect(path) as first, client.websocket_connect(path) as second:
        assert_is_closed(second, 4409)
        started(first)


@pytest.mark.parametrize("body", ["{", "[]", '{"mode":"dance"}', '{"mode":[]}', "[" * 10_000])
def test_an_invalid_request_for_a_session_is_refused(client, body):
    assert client.post(API, content=body).status_code == 400


def test_the_oldest_session_that_is_unused_makes_room(start):
    client = start(Limits(connections=1))
    old, new = create(client), create(client)
    assert client.get(f"{API}/{old['id']}").status_code == 404
    with client.websocket_connect(new["path"]) as line:
        started(line)
        assert client.post(API).status_code == 503


async def test_the_round_trip_takes_less_than_20_ms(serve):
    url = serve(scripted())
    trips = []
    async with aiohttp.ClientSession() as http:
        async with http.post(url + API, json={"mode": "loopback"}) as answer:
            path = (await answer.json())["path"]
        async with http.ws_connect(url + path) as line:
            await line.send_json(START)
            assert json.loads((await line.receive()).data)["state"] == "running"
            for _ in range(100):
                began = time.perf_counter()
                await line.send_bytes(FRAME)
                assert await line.receive_bytes() == FRAME
                trips.append(time.perf_counter() - began)
                await asyncio.sleep(0.005)
    assert sorted(trips)[97] < 0.02
