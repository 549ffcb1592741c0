"""The brain as a client of `/v1/chat/completions`: streamed, with a history and with tools."""

import asyncio
import json
import logging
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from jarvis_backend.brain import Question
from jarvis_backend.config import BrainOptions
from jarvis_backend.engines.openai_http import (
    JSON_BYTES,
    HttpEngine,
    excerpt,
    printable,
    raw_pieces,
    read_json,
    unusable,
)
from jarvis_backend.errors import EngineError
from jarvis_backend.tools import Tool, result_of

TOOL_ROUNDS: Final = 5
"""Requests of one answer in which the model may call tools."""

CALLS: Final = 8
"""Tools that the model may call in one request."""

MAX_ROOMS: Final = 256
"""Rooms with a history; the one that spoke least recently is forgotten."""

_LOG: Final = logging.getLogger(__name__)

_DATA: Final = b"data:"
_END: Final = b"[DONE]"


@dataclass(slots=True)
class _Call:
    """One call of a tool, whose parts arrive one after another."""

    call_id: str = ""
    name: str = ""
    arguments: str = ""

    def as_json(self) -> dict[str, object]:
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": self.call_id, "type": "function", "function": function}


@dataclass(slots=True)
class _History:
    """The exchanges of one room, the newest last, and when the last one was."""

    exchanges: deque[tuple[str, str]]
    used_at: float = 0.0


@dataclass(slots=True)
class _Round:
    """What one request has brought."""

    text: str = ""
    calls: dict[int, _Call] = field(default_factory=dict)
    is_complete: bool = False
    """The server has given a reason for the end."""


class _ToolsRefusedError(EngineError):
    """The server, or its model, takes no tools."""


class HttpBrain(HttpEngine):
    """Answers by `/v1/chat/completions`, sentence by sentence. Lives on the loop.

    Each room has a history of its own. Bound: ``brain.history`` exchanges in
    ``MAX_ROOMS`` rooms. Policy: the oldest is forgotten, and all after ``brain.history_s`` without
    one.
    """

    provider = "openai"

    def __init__(
        self,
        options: BrainOptions,
        tools: Mapping[str, Tool],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Offer ``tools`` to the model; ``now`` is a monotonic clock."""
        super().__init__(options, "gpt-4o-mini")
        self._options = options
        self._tools = tools
        self._now = now
        self._histories: OrderedDict[str, _History] = OrderedDict()

    async def answer(self, question: Question) -> AsyncGenerator[str, None]:
        """Yield the pieces of the answer as the model makes them."""
        said = ""
        try:
            async for piece in self._ask(question):
                said += piece
                yield piece
        finally:
            if said:  # also what a person who interrupted has heard
                self._remember(question, said)

    async def _ask(self, question: Question) -> AsyncGenerator[str, None]:
        """Request answers until one of them calls no tool."""
        messages = [
            {"role": "system", "content": self._options.instructions},
            *self._history(question.room),
            {"role": "user", "content": question.text},
        ]
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        for number in range(TOOL_ROUNDS):
            this = _Round()
            request = {"model": self._model, "messages": messages, "stream": True}
            if self._tools and number < TOOL_ROUNDS - 1:
                request["tools"] = [each.as_json() for each in self._tools.values()]
            try:
                async for piece in self._stream(request, this, deadline):
                    yield piece
            except _ToolsRefusedError as refused:
                _LOG.warning("the model is asked without tools from now on: %s", refused)
                self._tools = {}
                continue
            if not this.calls:
                return
            calls = list(this.calls.values())
            messages.append(
                {
                    "role": "assistant",
                    "content": this.text,
                    "tool_calls": [call.as_json() for call in calls],
                }
            )
            for call in calls:
                result = await self._within(deadline, self._call(call, question))
                messages.append({"role": "tool", "tool_call_id": call.call_id, "content": result})
        raise EngineError(f"the model called tools in {TOOL_ROUNDS} requests and did not answer")

    async def _call(self, call: _Call, question: Question) -> str:
        try:
            arguments = json.loads(call.arguments or "{}")
        except (ValueError, RecursionError):
            arguments = None
        return await result_of(self._tools, call.name, arguments, question)

    async def _stream(
        self, request: Mapping[str, object], this: _Round, deadline: float
    ) -> AsyncGenerator[str, None]:
        """Send one request; yield the pieces of its text, and collect the calls of tools.

        A server that does not stream answers with one JSON object.
        """
        url = f"{self._base}/v1/chat/completions"
        try:
            async with self._client.stream("POST", url, json=request) as answer:
                pieces = self._pieces(answer, deadline)
                if answer.status_code != httpx.codes.OK:
                    body = b"".join([piece async for piece in pieces])
                    refused = "tools" in request and b"tool" in body.lower()
                    kind = _ToolsRefusedError if refused else EngineError
                    raise kind(f"{url} answered {answer.status_code}: {excerpt(body)}")
                if "event-stream" not in answer.headers.get("content-type", ""):
                    body = b"".join([piece async for piece in pieces])
                    yield self._take_whole(_read_piece(url, body), this)
                    return
                async for line in _lines(pieces):
                    if not line.startswith(_DATA):
                        continue
                    data = line.removeprefix(_DATA).strip()
                    if data == _END:
                        return
                    if piece := self._take_piece(_read_piece(url, data), this):
                        yield piece
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            if isinstance(error, TimeoutError | httpx.TimeoutException):
                raise self._too_late(url) from None
            raise unusable(url, error) from error
        if not this.is_complete:  # some servers send no [DONE]
            raise EngineError(f"{url} ended before the answer was complete")

    async def _pieces(self, answer: httpx.Response, deadline: float) -> AsyncGenerator[bytes, None]:
        """Yield the body, as long as it is not too large and not too late."""
        pieces = raw_pieces(answer, JSON_BYTES)
        while (piece := await self._within(deadline, anext(pieces, None))) is not None:
            yield piece

    async def _within(self, deadline: float, work: Any) -> Any:  # noqa: ANN401 - what ``work`` returns
        try:
            async with asyncio.timeout_at(deadline):
                return await work
        except TimeoutError:
            raise self._too_late(self._base) from None

    def _too_late(self, url: str) -> EngineError:
        return EngineError(f"{url} took more than {self._timeout_s:g} s")

    def _take_whole(self, value: Any, this: _Round) -> str:  # noqa: ANN401 - foreign JSON
        match value:
            case {"choices": [{"message": {"tool_calls": [_, *_] as calls} as message}, *_]}:
                _add_calls(calls, this)
                this.text = str(message.get("content") or "")
            case {"choices": [{"message": {"content": str(text)}}, *_]}:
                this.text = printable(text).strip()
            case _:
                raise EngineError("the chat server's answer has no choices[0].message.content")
        return this.text

    def _take_piece(self, value: Any, this: _Round) -> str:  # noqa: ANN401 - foreign JSON
        match value:
            case {"choices": [{"finish_reason": str()}, *_]}:
                this.is_complete = True
        match value:
            case {"error": error}:
                raise EngineError(f"the chat server failed: {excerpt(str(error).encode())}")
            case {"choices": [{"delta": {"tool_calls": list(calls)}}, *_]}:
                _add_calls(calls, this)
            case {"choices": [{"delta": {"content": str(text)}}, *_]}:
                piece = printable(text)
                this.text += piece
                return piece
            case _:
                pass  # a role, a reason for the end, or the use of tokens
        return ""

    def _history(self, room: str) -> list[dict[str, object]]:
        known = self._histories.get(room)
        if known is None or self._now() - known.used_at > self._options.history_s:
            self._histories.pop(room, None)
            return []
        return [
            {"role": role, "content": text}
            for exchange in known.exchanges
            for role, text in zip(("user", "assistant"), exchange, strict=True)
        ]

    def _remember(self, question: Question, said: str) -> None:
        history = self._histories.pop(question.room, None)
        history = history or _History(deque(maxlen=self._options.history))
        history.exchanges.append((question.text, said))
        history.used_at = self._now()
        self._histories[question.room] = history
        while len(self._histories) > MAX_ROOMS:
            self._histories.popitem(last=False)


def _read_piece(url: str, data: bytes) -> Any:  # noqa: ANN401 - foreign JSON
    """Return the value of ``data``, or raise EngineError that names the server."""
    try:
        return read_json(data)
    except EngineError as error:
        raise EngineError(f"{url} cannot be used: {error}") from None


async def _lines(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line
    yield rest


def _add_calls(calls: list[Any], this: _Round) -> None:
    """Add parts of calls of tools. A server that sends no index sends whole calls."""
    for part in calls:
        match part:
            case {"function": {} as function}:
                index = part.get("index", len(this.calls))
                if index not in this.calls and len(this.calls) >= CALLS:
                    raise EngineError(f"the model calls more than {CALLS} tools at once")
                call = this.calls.setdefault(index, _Call())
                call.call_id = str(part.get("id") or call.call_id)
                call.name += str(function.get("name") or "")
                call.arguments += str(function.get("arguments") or "")
                if len(call.arguments) > JSON_BYTES:
                    raise EngineError(f"the arguments of a tool have more than {JSON_BYTES} bytes")
            case _:
                raise EngineError("the chat server calls a tool without a function")
