"""Tools: functions that a language model may call while it answers.

One is ours. Another package offers one by an entry point in the group `jarvis_backend.tools`;
docs/backend.md has an example.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Final

from jarvis_backend.brain import Question
from jarvis_backend.errors import EngineError
from jarvis_backend.text import one_line
from jarvis_ear.wires.messages import LOUDEST, UNCHANGED, VolumeRequest

_LOG: Final = logging.getLogger(__name__)

GROUP: Final = "jarvis_backend.tools"
"""Group of the entry points. Each is a Tool, or a function without arguments that returns one."""

RESULT_CHARS: Final = 8_000
"""Maximum length of a result; the rest is dropped."""


@dataclass(frozen=True)
class Tool:
    """A function that a language model may call. Immutable."""

    name: str
    """Its name for the model: letters, digits, `_` and `-`."""
    description: str
    """What it does, for the model."""
    parameters: Mapping[str, Any]
    """JSON Schema of the arguments: an object."""
    call: Callable[[Mapping[str, Any], Question], Awaitable[str]]
    """Takes the arguments, which the model chose and nobody checked, and what was asked; returns
    the result for the model. It runs on the loop of the server and must not block it. The model
    gets the name of an exception as the result."""

    def as_json(self) -> dict[str, object]:
        """Return the tool as `/v1/chat/completions` takes it."""
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": dict(self.parameters),
        }
        return {"type": "function", "function": function}


async def _set_volume(arguments: Mapping[str, Any], question: Question) -> str:
    request = VolumeRequest.read(arguments)
    if request.problem or request == UNCHANGED:
        return f"error: {request.problem or 'expected volume or volumeChange'}"
    question.set_volume(request)
    return "done when the answer is complete"


_ARGUMENTS: Final = {
    "volume": {"type": "integer", "minimum": 0, "maximum": LOUDEST},
    "volumeChange": {"type": "integer", "minimum": -LOUDEST, "maximum": LOUDEST},
}
SET_VOLUME: Final = Tool(
    "set_volume",
    "Sets how loud your answers are, or makes them louder or quieter. Give one argument.",
    {"type": "object", "properties": _ARGUMENTS},
    _set_volume,
)
"""Our own tool: another volume for the satellite that asked."""


def known_tools() -> dict[str, Tool]:
    """Return ours and those of all installed packages by name; an unusable one is logged."""
    tools = {SET_VOLUME.name: SET_VOLUME}
    for point in entry_points(group=GROUP):
        try:
            loaded = point.load()
            tool = loaded if isinstance(loaded, Tool) else loaded()
        except Exception as error:  # noqa: BLE001 - foreign code must not stop the backend
            why = one_line(f"{type(error).__name__}: {error}")
            _LOG.warning("the tool %s (%s) is left out: %s", point.name, point.value, why)
            continue
        if isinstance(tool, Tool) and tool.name not in tools:
            tools[tool.name] = tool
        else:
            _LOG.warning("%s (%s) is left out: it is no new Tool", point.name, point.value)
    return tools


async def result_of(
    tools: Mapping[str, Tool], name: str, arguments: object, question: Question
) -> str:
    """Call a tool; return its result, or what went wrong, for the model."""
    tool = tools.get(name)
    if tool is None:
        return f"error: there is no tool {one_line(name)}"
    if not isinstance(arguments, dict):
        return "error: the arguments are no JSON object"
    try:
        return str(await tool.call(arguments, question))[:RESULT_CHARS]
    except EngineError as error:
        return f"error: {one_line(str(error))}"
    except Exception as error:  # noqa: BLE001 - foreign code must not end the turn
        _LOG.exception("the tool %s failed", tool.name)
        return f"error: {type(error).__name__}"
