"""HomeAssistantBrain: answers by Assist, the conversation of Home Assistant, over its HTTP API."""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from typing import Final

from jarvis_backend.brain import Question
from jarvis_backend.config import BrainOptions
from jarvis_backend.engines.openai_http import HttpEngine, printable, read_json
from jarvis_backend.errors import EngineError

PATH: Final = "/api/conversation/process"

MAX_ROOMS: Final = 256
"""Rooms whose conversation is remembered; the one that was silent the longest is forgotten."""


class HomeAssistantBrain(HttpEngine):
    """Asks Home Assistant, which also switches what it controls. Lives on the loop.

    Each room has a conversation of its own, whose id Home Assistant assigns and lets expire after
    some minutes. The key is a long-lived access token.
    """

    provider = "home-assistant"

    hints: Mapping[int, str] = {
        401: "brain.api_key is not a valid long-lived access token of this Home Assistant",
        404: "it has no conversation integration, or is another server",
    }

    def __init__(self, options: BrainOptions) -> None:
        super().__init__(options, "")
        self._language = options.language
        self._conversations: OrderedDict[str, str] = OrderedDict()

    async def answer(self, question: Question) -> AsyncGenerator[str, None]:
        """Yield what Assist says, nothing if it says nothing.

        A sentence that it does not understand is answered with its own apology. Raises EngineError.
        """
        if said := await self._ask(question.text, question.room):
            yield said

    async def _ask(self, text: str, room: str) -> str:
        known = {
            "conversation_id": self._conversations.get(room, ""),
            "language": self._language,
            "agent_id": self._model,
        }
        asked = {name: value for name, value in known.items() if value}
        _, body = await self._post(PATH, json={"text": text, **asked})
        match read_json(body):
            case {"response": {"speech": dict(speech)}, **rest}:
                self._remember(room, rest.get("conversation_id"))
                return _spoken(speech)
            case _:
                raise EngineError("Home Assistant's answer has no response.speech")

    def _remember(self, room: str, conversation_id: object) -> None:
        if room and isinstance(conversation_id, str):
            self._conversations[room] = conversation_id
            self._conversations.move_to_end(room)
        if len(self._conversations) > MAX_ROOMS:
            self._conversations.popitem(last=False)


def _spoken(speech: Mapping[str, object]) -> str:
    """Return the text of ``speech``, which is empty if Assist says nothing."""
    match speech:
        case {"plain": {"speech": str(text)}}:
            return printable(text).strip()
        case _:
            return ""
