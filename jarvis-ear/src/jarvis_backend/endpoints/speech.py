"""``POST /api/tts``: the speech of a text, as one WAV file."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from jarvis_backend.config import Limits
from jarvis_backend.endpoints.http import json_body
from jarvis_backend.endpoints.turns import pcm_of
from jarvis_backend.engines.engine import TextToSpeech
from jarvis_backend.errors import EngineError, EngineMissing
from jarvis_backend.text import sentences
from jarvis_ear.audio.wav import pcm_to_wav

_LOG: Final = logging.getLogger(__name__)

PATH: Final = "/api/tts"


def speech_routes(
    require_access: Callable[[Request], Awaitable[None]], tts: TextToSpeech, limits: Limits
) -> APIRouter:
    """Return the route that speaks a text. ``limits.speakers`` sentences are spoken at a time."""
    routes = APIRouter()
    slots = asyncio.Semaphore(limits.speakers)

    async def pcm(sentence: str) -> bytes:
        async with slots:
            speech = await tts.speak(sentence)
        return await asyncio.to_thread(pcm_of, speech)

    @routes.post(PATH, dependencies=[Depends(require_access)])
    async def speak(request: Request) -> Response:
        text = (await json_body(request)).get("text")
        if not isinstance(text, str) or not 0 < len(text) <= limits.reply_chars:
            raise HTTPException(400, f"expected a text of 1 to {limits.reply_chars} letters")
        try:
            parts = [await pcm(each) for each in sentences(text, max_chars=limits.reply_chars)]
        except EngineMissing as missing:
            raise HTTPException(501, str(missing)) from None
        except EngineError as error:
            _LOG.warning("a text is not spoken: %s", error)
            raise HTTPException(503, "the text cannot be spoken") from None
        sound = b"".join(parts)
        if not sound:
            raise HTTPException(400, "expected a text with something to speak")
        return Response(pcm_to_wav(sound), media_type="audio/wav")

    return routes
