"""The brain that is a chat server: streaming, history, tools, and servers that misbehave."""

import asyncio
import json
import re
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from fakes.engines import ScriptedEar, ScriptedVoice
from jarvis_backend import tools
from jarvis_backend.brain import HouseholdBrain, LocalFirstBrain, Question
from jarvis_backend.config import BrainOptions
from jarvis_backend.conversation import Engines
from jarvis_backend.engines.openai_brain import CALLS, TOOL_ROUNDS, HttpBrain
from jarvis_backend.errors import EngineError
from jarvis_backend.tools import RESULT_CHARS, SET_VOLUME, Tool, known_tools, result_of
from jarvis_ear.wires import socketio as wire
from jarvis_ear.wires.messages import VolumeRequest


def delta(**content):
    return f"data: {json.dumps({'choices': [{'delta': content}]})}\n\n".encode()


def call(name, arguments, index=0, call_id="c1"):
    function = {"name": name, "arguments": arguments}
    return delta(tool_calls=[{"index": index, "id": call_id, "function": function}])


DONE = b"data: [DONE]\n\n"
NOON = [delta(role="assistant", content=""), delta(content="It is no"), delta(content="on."), DONE]


class ChatServer:
    """Plays one list of pieces for each request. Lives on the loop of the test."""

    def __init__(self):
        self.answers = []
        """Per request: a status unless it is 200, then pieces of the body, with an event for each
        wait, or None to break off."""
        self.requests = []

    async def serve(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = (
            int(line[15:])
            for line in head.split(b"\r\n")
            if line[:15].lower() == b"content-length:"
        )
        self.requests.append(json.loads(await reader.readexactly(length)))
        pieces = self.answers.pop(0)
        status = 200 if not pieces or not isinstance(pieces[0], int) else pieces.pop(0)
        writer.write(f"HTTP/1.1 {status} Said\r\nContent-Type: text/event-stream\r\n".encode())
        writer.write(b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            if piece is None:
                break
            if isinstance(piece, asyncio.Event):
                await piece.wait()
                continue
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        else:
            writer.write(b"0\r\n\r\n")
        writer.close()


@pytest.fixture
def chat():
    """Run a chat server, and a brain that asks it."""

    @asynccontextmanager
    async def running(*answers, tools=(), clock=None, timeout_s=60.0, served=False, **options):
        server = ChatServer()
        server.answers = list(answers)
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        chosen = BrainOptions(engine="openai", url=f"http://127.0.0.1:{port}", **options)
        brain = HttpBrain(
            chosen.model_copy(update={"timeout_s": timeout_s}),
            {tool.name: tool for tool in tools},
            **({"now": clock} if clock else {}),
        )
        yield brain, server
        if not served:  # a backend closes its brain
            await brain.aclose()
        listening.close()  # no wait: an answer may hang

    return running


async def said(brain, text="where is it", room="kitchen"):
    async with aclosing(brain.answer(Question(text, room))) as pieces:
        return [piece async for piece in pieces]


def roles(request):
    return [(each["role"], each["content"]) for each in request["messages"][1:]]


async def test_an_answer_arrives_piece_by_piece(chat):
    hold = asyncio.Event()
    async with chat([*NOON[:2], hold, *NOON[2:]]) as (brain, server):
        async with aclosing(brain.answer(Question("where is it"))) as pieces:
            assert await anext(pieces) == "It is no"
            hold.set()
            assert [piece async for piece in pieces] == ["on."]
        assert server.requests[0]["stream"] is True


async def test_the_first_sound_comes_before_the_answer_is_complete(chat, serve, connect, beep):
    hold = asyncio.Event()
    slow = [delta(content="It is here. And"), hold, delta(content=" there."), DONE]
    async with chat(slow, served=True) as (brain, _server):
        engines = Engines(ScriptedEar("where is it"), brain, ScriptedVoice())
        async with connect(serve(engines, password="jarvis")) as ear:
            await ear.utter(beep)
            before = await ear.until(wire.TTS_CHUNK)
            assert wire.TTS_DONE not in [event for event, _ in before]
            hold.set()
            events = await ear.until(wire.TTS_DONE)
            assert events[-1] == (wire.TTS_DONE, {"totalChunks": 2})


async def test_what_the_household_knows_needs_no_server(chat, tmp_path):
    household = HouseholdBrain(lambda: datetime(2024, 5, 6, 15, 7).astimezone(), tmp_path)
    async with chat(NOON) as (brain, server):
        both = LocalFirstBrain(household, brain)
        assert both.provider == "openai"
        assert await said(both, "what time is it") == ["It is 3:07 PM."]
        assert await said(both, "stop") == [""]
        assert server.requests == []
        assert await said(both, "where is it") == ["It is no", "on."]
        await both.aclose()


async def test_each_room_has_a_history_with_a_bound_and_an_end(chat):
    now = [0.0]
    async with chat(*[NOON] * 6, history=2, clock=lambda: now[0]) as (brain, server):
        for text in ("one", "two", "three", "four"):
            await said(brain, f"say {text}")
        assert roles(server.requests[3]) == [
            ("user", "say two"), ("assistant", "It is noon."),
            ("user", "say three"), ("assistant", "It is noon."),
            ("user", "say four"),
        ]  # fmt: skip
        await said(brain, "hello", room="study")
        assert roles(server.requests[4]) == [("user", "hello")]
        now[0] += 601
        await said(brain, "say five")
        assert roles(server.requests[5]) == [("user", "say five")]


def lamp(calls):
    async def switch(arguments, question):
        calls.append((arguments, question))
        return "the lamp is " + arguments["state"]

    return Tool("lamp", "Switches the lamp.", {"type": "object"}, switch)


async def test_the_model_calls_tools_and_then_answers(chat):
    calls = []
    asks = [call("la", '{"sta'), delta(tool_calls=[{"index": 0, "function": {"name": "mp"}}])]
    asks += [delta(tool_calls=[{"index": 0, "function": {"arguments": 'te": "on"}'}}])]
    asks += [call("dance", "{}", index=1, call_id="c2"), call("lamp", "[", index=2), DONE]
    async with chat(asks, NOON, tools=[lamp(calls)]) as (brain, server):
        assert "".join(await said(brain, "light please")) == "It is noon."
    assert calls == [({"state": "on"}, Question("light please", "kitchen"))]
    first, second = server.requests
    assert first["tools"][0]["function"]["name"] == "lamp"
    assert [(each["role"], each.get("content")) for each in second["messages"][2:]] == [
        ("assistant", ""),
        ("tool", "the lamp is on"),
        ("tool", "error: there is no tool dance"),
        ("tool", "error: the arguments are no JSON object"),
    ]
    assert second["messages"][3]["tool_call_id"] == "c1"


async def test_a_model_that_only_calls_tools_is_stopped(chat):
    endless = [[call("lamp", '{"state": "on"}'), DONE]] * TOOL_ROUNDS
    async with chat(*endless, tools=[lamp([])]) as (brain, server):
        with pytest.raises(EngineError, match="called tools in 5 requests"):
            await said(brain)
    assert "tools" not in server.requests[-1]  # asked to answer at last


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ([*NOON[:2], None], "cannot be used: "),
        (NOON[:3], "ended before the answer was complete"),
        ([b"data: {\n"], "completions cannot be used: expected JSON, got '{'"),
        ([b'data: {"error": {"message": "too busy"}}\n\n'], "chat server failed: .*too busy"),
        ([b"data: " + b"x" * 2_000_000], "sent more than 1048576 bytes"),
        ([*(call("lamp", "", index=n) for n in range(CALLS + 1)), DONE], "more than 8 tools"),
        ([delta(tool_calls=[5]), DONE], "calls a tool without a function"),
        ([*NOON[:2], asyncio.Event()], r"took more than 0\.2 s"),
    ],
)
async def test_a_server_that_misbehaves_is_an_error(chat, answer, complaint):
    async with chat(answer, timeout_s=0.2 if "took" in complaint else 60.0) as (brain, _server):
        with pytest.raises(EngineError, match=complaint) as failed:
            await said(brain)
    assert len(str(failed.value)) < 300


async def test_an_answer_is_complete_with_a_reason_for_its_end(chat):
    """Some servers close the stream without [DONE]."""
    end = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
    async with chat([*NOON[:3], end]) as (brain, _server):
        assert await said(brain) == ["It is no", "on."]


async def test_an_interrupted_answer_is_remembered_as_far_as_it_went(chat):
    async with chat([*NOON[:2], asyncio.Event()], NOON) as (brain, server):
        async with aclosing(brain.answer(Question("one", "kitchen"))) as pieces:
            await anext(pieces)
        await said(brain, "two")
        assert roles(server.requests[1])[:2] == [("user", "one"), ("assistant", "It is no")]


# Tools of other packages


GOOD = Tool("good", "", {}, lamp([]).call)


def make_good():
    return GOOD


def make_nothing():
    return None


async def test_the_model_sets_the_volume(chat):
    volumes = []
    asks = [call("set_volume", '{"volumeChange": -20}'), DONE]
    async with chat(asks, NOON, tools=[SET_VOLUME]) as (brain, _server):
        pieces = brain.answer(Question("it hurts", "", volumes.append))
        assert "".join([piece async for piece in pieces]) == "It is noon."
    assert volumes == [VolumeRequest(change=-20)]
    for arguments in ({}, {"volume": "high"}, {"volume": 400}):
        told = await SET_VOLUME.call(arguments, Question("", "", volumes.append))
        assert told.startswith("error: ")
    assert len(volumes) == 1


async def test_a_model_that_takes_no_tools_is_asked_without_them(chat, caplog):
    refusal = [400, b'{"error":"gemma does not support tools"}']
    async with chat(refusal, NOON, NOON, [400, b"bad"], tools=[SET_VOLUME]) as (brain, server):
        assert "".join(await said(brain)) == "It is noon."
        assert "".join(await said(brain)) == "It is noon."
        with pytest.raises(EngineError, match="answered 400: bad"):
            await said(brain)
    assert ["tools" in request for request in server.requests] == [True, False, False, False]
    assert "gemma does not support tools" in caplog.text


def test_known_tools_are_ours_and_those_found_and_bad_ones_are_left_out(monkeypatch, caplog):
    points = [
        EntryPoint(name, f"{__name__}:{name}", tools.GROUP)
        for name in ("GOOD", "make_good", "make_nothing", "missing")
    ]
    loaded = {"GOOD": GOOD, "make_good": make_good, "make_nothing": make_nothing}
    monkeypatch.setattr(EntryPoint, "load", lambda point: loaded[point.name])
    monkeypatch.setattr(
        tools, "entry_points", lambda *, group: [p for p in points if p.group == group]
    )
    assert known_tools() == {"set_volume": SET_VOLUME, "good": GOOD}
    assert [record.getMessage().split(" ")[0] for record in caplog.records[:2]] == [
        "make_good",
        "make_nothing",
    ]
    assert "the tool missing" in caplog.text


async def test_a_tool_that_fails_tells_the_model(caplog):
    async def fail(_arguments, _question):
        raise ZeroDivisionError("secret words")

    async def refuse(_arguments, _question):
        raise EngineError("no such lamp")

    async def talk(_arguments, _question):
        return "x" * 100_000

    each = {
        name: Tool(name, "", {}, use) for name, use in (("f", fail), ("r", refuse), ("t", talk))
    }
    assert await result_of(each, "f", {}, Question("")) == "error: ZeroDivisionError"
    assert "the tool f failed" in caplog.text
    assert await result_of(each, "r", {}, Question("")) == "error: no such lamp"
    assert len(await result_of(each, "t", {}, Question(""))) == RESULT_CHARS


async def test_the_tool_in_the_page_works():
    page = (Path(__file__).parents[3] / "docs" / "backend.md").read_text()
    made = {}
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], made)  # noqa: S102 - our own page
    tool = made["lamp"]
    told = await result_of({"lamp": tool}, "lamp", {"state": "on"}, Question("", "hall"))
    assert told == "the lamp in the hall is on"
    assert tool.as_json()["function"]["name"] == "lamp"
