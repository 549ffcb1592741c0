"""Speech engines as clients of a server that speaks the HTTP API of OpenAI."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

import httpx
import numpy as np
import numpy.typing as npt

from jarvis_backend.config import BrainOptions, SpeechToTextOptions, TextToSpeechOptions
from jarvis_backend.engines.engine import LiveTranscription, Speech, StatelessEngine
from jarvis_backend.engines.redecoding import Redecoding
from jarvis_backend.errors import EngineError, why_unreachable
from jarvis_backend.text import one_line
from jarvis_ear.audio.wav import pcm_to_wav

ANSWER_BYTES: Final = 16 * 1024 * 1024
"""Maximum size of an answer: a minute of uncompressed speech is 3 MiB."""

JSON_BYTES: Final = 1024 * 1024
"""Maximum size of an answer in JSON, which holds a few sentences."""

_ERROR_BYTES: Final = 1000
"""Part of an error message that is read."""


class HttpEngine(StatelessEngine):
    """A client of one server with one key. Lives on the loop."""

    name: str = "openai"
    hints: Mapping[int, str] = {}
    """What a status of an error probably means, for the log."""

    def __init__(
        self, options: BrainOptions | SpeechToTextOptions | TextToSpeechOptions, model: str
    ) -> None:
        """Use the server and model of ``options``, or ``model`` of the original service."""
        self._base = options.url.rstrip("/").removesuffix("/v1")
        self._timeout_s = options.timeout_s
        self._model = options.model or model
        key = options.api_key.get_secret_value()
        # trust_env: no proxy or .netrc of the environment may redirect the sound of a room.
        self._client = httpx.AsyncClient(
            timeout=options.timeout_s,
            trust_env=False,
            headers={
                "Accept-Encoding": "identity",  # a few bytes could become gigabytes
                **({"Authorization": f"Bearer {key}"} if key else {}),
            },
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _post(
        self,
        path: str,
        *,
        max_bytes: int = JSON_BYTES,
        json: Mapping[str, object] | None = None,
        data: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
    ) -> tuple[str, bytes]:
        """Send a request; return the content type and the body of the answer.

        Raises EngineError without an answer of at most ``max_bytes`` within the time-out.
        """
        url = f"{self._base}{path}"
        try:
            async with asyncio.timeout(self._timeout_s):
                async with self._client.stream(
                    "POST", url, json=json, data=data, files=files
                ) as answer:
                    body = await _body(answer, max_bytes)
        except TimeoutError:
            raise EngineError(f"{url} took more than {self._timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise unusable(url, error) from error
        if answer.status_code != httpx.codes.OK:
            hint = self.hints.get(answer.status_code) or excerpt(body)
            raise EngineError(f"{url} answered {answer.status_code}: {hint}")
        return answer.headers.get("content-type", ""), body


class HttpSpeechToText(HttpEngine):
    """Speech-to-text by `/v1/audio/transcriptions`. Lives on the loop."""

    def __init__(self, options: SpeechToTextOptions) -> None:
        super().__init__(options, "whisper-1")
        self._language = options.language
        self._redecoding = asyncio.Lock()

    async def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:
        """Send the sound as one WAV file."""
        _, body = await self._post(
            "/v1/audio/transcriptions",
            data={"model": self._model, "language": self._language, "response_format": "json"},
            files={"file": ("utterance.wav", pcm_to_wav(pcm.tobytes()), "audio/wav")},
        )
        match read_json(body):
            case {"text": str(text)}:
                return printable(text).strip()
            case _:
                raise EngineError("the server's answer has no text 'text'")

    def listen(self) -> LiveTranscription:
        """Send the utterance repeatedly while it grows."""
        return Redecoding(self.transcribe, self._redecoding)


class HttpTextToSpeech(HttpEngine):
    """Text-to-speech by `/v1/audio/speech`. Lives on the loop."""

    def __init__(self, options: TextToSpeechOptions) -> None:
        super().__init__(options, "tts-1")
        self._voice = options.voice or "alloy"

    async def speak(self, sentence: str) -> Speech:
        """Request one WAV file."""
        content_type, audio = await self._post(
            "/v1/audio/speech",
            max_bytes=ANSWER_BYTES,
            json={
                "model": self._model,
                "voice": self._voice,
                "input": sentence,
                "response_format": "wav",
            },
        )
        if not audio:
            raise EngineError("the speech server sent no sound")
        return Speech(_media_type(content_type), audio)


def unusable(url: str, error: Exception) -> EngineError:
    """Return the error about a request without an answer."""
    why = why_unreachable(error)
    return EngineError(f"{url} cannot be used: {why}; expected a server that answers there")


async def raw_pieces(answer: httpx.Response, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """Yield the body without decompressing it. Raises EngineError if it is larger."""
    coding = answer.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise EngineError(f"{answer.url} answered in {one_line(coding)!r}, expected no compression")
    size = 0
    async for piece in answer.aiter_raw():
        size += len(piece)
        if size > max_bytes:
            raise EngineError(f"{answer.url} sent more than {max_bytes} bytes")
        yield piece


async def _body(answer: httpx.Response, max_bytes: int) -> bytes:
    return b"".join([piece async for piece in raw_pieces(answer, max_bytes)])


def excerpt(body: bytes) -> str:
    """Return the beginning of a body on one line, for an error."""
    return one_line(body[:_ERROR_BYTES].decode(errors="replace"))


def read_json(body: bytes) -> Any:  # noqa: ANN401 - foreign JSON; the caller checks each field
    """Return the value of ``body``, or raise EngineError."""
    try:
        return httpx.Response(200, content=body).json()
    except (ValueError, RecursionError):  # RecursionError: thousands of brackets
        raise EngineError(f"expected JSON, got {excerpt(body)!r}") from None


def printable(text: str) -> str:
    """Replace lone surrogates, which JSON can express and UTF-8 cannot."""
    return text.encode(errors="replace").decode()


def _media_type(content_type: str) -> str:
    """Keep the type and drop its parameters; a server that names none was asked for a WAV."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type if media_type.startswith("audio/") else "audio/wav"
