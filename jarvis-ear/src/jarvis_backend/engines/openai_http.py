"""The three engines that are a server somewhere: any that speaks the HTTP dialect of OpenAI."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import httpx
import numpy as np
import numpy.typing as npt

from jarvis_backend.config import BrainOptions, SpeechToTextOptions, TextToSpeechOptions
from jarvis_backend.engines.engine import LiveTranscription, Speech
from jarvis_backend.engines.redecoding import Redecoder
from jarvis_backend.errors import EngineError
from jarvis_backend.text import one_line
from jarvis_ear.audio.wav import pcm_to_wav

ANSWER_BYTES: Final = 16 * 1024 * 1024
"""Largest answer that is read: a minute of uncompressed speech is three."""

JSON_BYTES: Final = 1024 * 1024
"""Largest answer in JSON that is read: it holds a few sentences."""

_COMPLAINT_BYTES: Final = 1000
"""As much of a server's error as is looked at."""

_USUAL_MODELS: Final = {"stt": "whisper-1", "brain": "gpt-4o-mini", "tts": "tts-1"}
"""Names the original service knows; local servers mostly take any."""


class HttpApi:
    """One server and one key. Lives on the loop; its connections are closed with ``aclose``."""

    def __init__(self, url: str, key: str, timeout_s: float) -> None:
        self._base = url.rstrip("/").removesuffix("/v1")
        self._timeout_s = timeout_s
        # No proxies and no .netrc from the environment: sound of a room goes where it was told to.
        self._client = httpx.AsyncClient(
            timeout=timeout_s,
            trust_env=False,
            headers={
                "Accept-Encoding": "identity",  # a few bytes could become gigabytes
                **({"Authorization": f"Bearer {key}"} if key else {}),
            },
        )

    async def post(
        self,
        path: str,
        *,
        most_bytes: int = JSON_BYTES,
        json: Mapping[str, object] | None = None,
        data: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
    ) -> tuple[str, bytes]:
        """Send, and return the content type and body of the answer; all within the deadline.

        Raises EngineError if there is none, or one of more than ``most_bytes``.
        """
        url = f"{self._base}{path}"
        try:
            async with asyncio.timeout(self._timeout_s):
                async with self._client.stream(
                    "POST", url, json=json, data=data, files=files
                ) as answer:
                    body = await _body(answer, most_bytes)
        except TimeoutError:
            raise EngineError(f"{url} took more than {self._timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise EngineError(f"{url} cannot be used: {error or type(error).__name__}") from error
        if answer.status_code != httpx.codes.OK:
            raise EngineError(f"{url} answered {answer.status_code}: {_complaint(body)}")
        return answer.headers.get("content-type", ""), body

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()


class HttpSpeechToText:
    """Understands by `/v1/audio/transcriptions`. Lives on the loop."""

    name = "openai"

    def __init__(self, options: SpeechToTextOptions) -> None:
        self._options = options
        self._api = HttpApi(options.url, options.api_key.get_secret_value(), options.timeout_s)
        self._redecoder = Redecoder(self.transcribe)

    async def prepare(self) -> None:
        """Nothing to load here."""

    async def transcribe(self, pcm: npt.NDArray[np.int16]) -> str:
        """Send the sound as one WAV file."""
        _, body = await self._api.post(
            "/v1/audio/transcriptions",
            data={
                "model": self._options.model or _USUAL_MODELS["stt"],
                "language": self._options.language,
                "response_format": "json",
            },
            files={"file": ("utterance.wav", pcm_to_wav(pcm.tobytes()), "audio/wav")},
        )
        return _text(_json(body), "text").strip()

    def listen(self) -> LiveTranscription:
        """Send the utterance again and again while it grows."""
        return self._redecoder.listen()

    async def aclose(self) -> None:
        """Close its connections."""
        await self._api.aclose()


class HttpBrain:
    """Answers by `/v1/chat/completions`. Lives on the loop; remembers nothing between turns."""

    provider = "openai"

    def __init__(self, options: BrainOptions) -> None:
        self._options = options
        self._api = HttpApi(options.url, options.api_key.get_secret_value(), options.timeout_s)

    async def answer(self, text: str) -> str:
        """Ask the model."""
        _, body = await self._api.post(
            "/v1/chat/completions",
            json={
                "model": self._options.model or _USUAL_MODELS["brain"],
                "messages": [
                    {"role": "system", "content": self._options.instructions},
                    {"role": "user", "content": text},
                ],
            },
        )
        match _json(body):
            case {"choices": [{"message": {"content": str(answer)}}, *_]}:
                return _printable(answer).strip()
            case _:
                raise EngineError("the chat server's answer has no choices[0].message.content")

    async def aclose(self) -> None:
        """Close its connections."""
        await self._api.aclose()


class HttpTextToSpeech:
    """Speaks by `/v1/audio/speech`. Lives on the loop."""

    name = "openai"

    def __init__(self, options: TextToSpeechOptions) -> None:
        self._options = options
        self._api = HttpApi(options.url, options.api_key.get_secret_value(), options.timeout_s)

    async def speak(self, sentence: str) -> Speech:
        """Ask for one WAV file."""
        content_type, audio = await self._api.post(
            "/v1/audio/speech",
            most_bytes=ANSWER_BYTES,
            json={
                "model": self._options.model or _USUAL_MODELS["tts"],
                "voice": self._options.voice or "alloy",
                "input": sentence,
                "response_format": "wav",
            },
        )
        if not audio:
            raise EngineError("the speech server sent no sound")
        return Speech(_media_type(content_type), audio)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._api.aclose()


async def _body(answer: httpx.Response, most_bytes: int) -> bytes:
    """Read the body as it was sent: nothing is decompressed."""
    coding = answer.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise EngineError(f"{answer.url} answered in {one_line(coding)!r}, expected no compression")
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > most_bytes:
            raise EngineError(f"{answer.url} sent more than {most_bytes} bytes")
    return bytes(body)


def _complaint(body: bytes) -> str:
    return one_line(body[:_COMPLAINT_BYTES].decode(errors="replace"))


def _json(body: bytes) -> Any:  # noqa: ANN401 - foreign JSON; whoever asks for a field checks it
    try:
        return httpx.Response(200, content=body).json()
    except (ValueError, RecursionError):  # RecursionError: thousands of brackets
        raise EngineError(f"expected JSON, got {_complaint(body)!r}") from None


def _text(answer: object, key: str) -> str:
    match answer:
        case dict() if isinstance(text := answer.get(key), str):
            return _printable(text)
        case _:
            raise EngineError(f"the server's answer has no text {key!r}")


def _printable(text: str) -> str:
    """Replace halves of letters, which JSON can hold and nothing else can."""
    return text.encode(errors="replace").decode()


def _media_type(content_type: str) -> str:
    """Keep the type and drop its parameters; a server that names none was asked for a WAV."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type if media_type.startswith("audio/") else "audio/wav"
