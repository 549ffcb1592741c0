"""The engines that are a server somewhere, against a small server here."""

import gzip
import json
import threading
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from jarvis_backend.brain import Question
from jarvis_backend.config import BrainOptions, SpeechToTextOptions, TextToSpeechOptions
from jarvis_backend.engines import openai_http
from jarvis_backend.engines.engine import Speech
from jarvis_backend.engines.openai_brain import HttpBrain
from jarvis_backend.engines.openai_http import HttpSpeechToText, HttpTextToSpeech
from jarvis_backend.errors import EngineError
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.wires import socketio as wire

PCM = np.arange(1000, dtype=np.int16)
CHAT = {"choices": [{"message": {"role": "assistant", "content": " Noon. "}}]}


class Service:
    """Answers every request alike, and remembers what it was asked."""

    def __init__(self):
        self.status, self.type, self.body = 200, "application/json", b"{}"
        self.coding = ""
        """Content-Encoding, unless empty."""
        self.drops = False
        """Send the body byte by byte, for ever."""
        self.requests = []
        self.hold = threading.Event()
        self.hold.set()
        self.never = threading.Event()

    def answer(self, body, status=200, content_type="application/json"):
        self.status, self.type = status, content_type
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.fixture(scope="module")
def running():
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            service.requests.append((self.path, dict(self.headers), body))
            service.hold.wait(10)
            self.send_response(service.status)
            self.send_header("Content-Type", service.type)
            if service.coding:
                self.send_header("Content-Encoding", service.coding)
            if not service.drops:
                self.send_header("Content-Length", str(len(service.body)))
            self.end_headers()
            try:
                self.wfile.write(service.body)
                while service.drops:
                    self.wfile.write(b" ")
                    service.never.wait(0.05)
            except ConnectionError:
                self.close_connection = True  # the engine had enough

        def log_message(self, *_):
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    yield service
    service.hold.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def service(running):
    running.requests.clear()
    running.hold.set()
    running.coding, running.drops = "", False
    return running


SOON_S = 0.2
"""A time-out that no owner may choose."""


def chosen(kind, url, timeout_s=15.0, **options):
    """Options for the server at ``url``, whose time-out may be absurd."""
    return kind(engine="openai", url=url, **options).model_copy(update={"timeout_s": timeout_s})


async def hear(url, **options):
    async with aclosing(HttpSpeechToText(chosen(SpeechToTextOptions, url, **options))) as engine:
        return await engine.transcribe(PCM)


async def think(url, **options):
    options = chosen(BrainOptions, url, **options)
    async with aclosing(HttpBrain(options, {})) as engine:
        return "".join([piece async for piece in engine.answer(Question("where is it"))])


async def say(url, **options):
    async with aclosing(HttpTextToSpeech(chosen(TextToSpeechOptions, url, **options))) as engine:
        return await engine.speak("Noon.")


async def test_sound_is_sent_as_a_file_and_text_comes_back(service):
    service.answer({"text": " what time is it "})
    assert await hear(service.url, model="small", language="en") == "what time is it"
    ((path, headers, body),) = service.requests
    assert path == "/v1/audio/transcriptions"
    assert headers["Content-Type"].startswith("multipart/form-data")
    assert pcm_to_wav(PCM.tobytes()) in body
    assert b'name="file"; filename="utterance.wav"' in body
    assert b"small" in body
    assert "Authorization" not in headers


async def test_a_question_is_sent_with_the_instructions(service):
    service.answer(CHAT)
    assert await think(service.url, model="tiny", instructions="Be brief.") == "Noon."
    ((path, _, body),) = service.requests
    assert path == "/v1/chat/completions"
    assert json.loads(body) == {
        "model": "tiny",
        "stream": True,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "where is it"},
        ],
    }


async def test_a_sentence_is_sent_and_sound_comes_back(service):
    service.answer(b"RIFF...", content_type="audio/wav; rate=1")
    assert await say(service.url, voice="nova") == Speech("audio/wav", b"RIFF...")
    ((path, _, body),) = service.requests
    assert path == "/v1/audio/speech"
    asked = json.loads(body)
    assert (asked["input"], asked["voice"], asked["response_format"]) == ("Noon.", "nova", "wav")
    service.answer(b"RIFF...", content_type="application/octet-stream")
    assert (await say(service.url)).content_type == "audio/wav"


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
async def test_the_address_may_be_written_with_or_without_its_version(service, suffix):
    service.answer(CHAT)
    await think(service.url + suffix)
    assert service.requests[0][0] == "/v1/chat/completions"


async def test_the_key_is_sent_and_never_shown(service):
    service.answer({"error": "no"}, 401)
    with pytest.raises(EngineError, match=r'answered 401: {"error": "no"}') as failed:
        await think(service.url, api_key="top-secret")
    assert service.requests[0][1]["Authorization"] == "Bearer top-secret"
    assert "top-secret" not in str(failed.value)


NO_JSON = r"expected JSON, got '"
NO_CHOICES = ({}, [], "x", {"choices": []}, {"choices": [{"message": {"content": None}}]})
NO_TEXT = ({}, [], {"text": 5})
DEEP = (b"[" * 500_000, b'{"a":' * 100_000, b"[" * 99_999 + b"]" * 99_999)
LONG = {"text": "x" * 2_000_000, **CHAT}


@pytest.mark.parametrize(
    ("ask", "body", "complaint"),
    [
        *((think, body, "has no choices") for body in NO_CHOICES),
        *((hear, body, "has no text 'text'") for body in NO_TEXT),
        (hear, b"<html>" + b"x" * 1000, NO_JSON + "<html>x"),
        *((ask, body, NO_JSON) for ask in (hear, think) for body in DEEP),
        *((ask, LONG, "sent more than 1048576 bytes") for ask in (hear, think)),
        (say, b"", "sent no sound"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)[:20]),
)
async def test_an_answer_of_another_form_is_an_error(service, ask, body, complaint):
    service.answer(body)
    with pytest.raises(EngineError, match=complaint) as failed:
        await ask(service.url)
    assert len(str(failed.value)) < 300


async def test_an_endless_answer_is_cut_off(service, monkeypatch):
    monkeypatch.setattr(openai_http, "ANSWER_BYTES", 1000)
    service.answer(bytes(100_000), content_type="audio/wav")
    with pytest.raises(EngineError, match="sent more than 1000 bytes"):
        await say(service.url)


async def test_nothing_is_decompressed(service):
    """3 kB that are a gigabyte: zeros packed twice."""
    packed = gzip.compress(bytes(16 * 1024 * 1024))
    bomb = gzip.compress(packed * 64)
    assert len(bomb) < 10_000
    for coding in ("gzip", "gzip, gzip", "deflate", "br"):
        service.answer(bomb)
        service.coding = coding
        for ask in (hear, think, say):
            with pytest.raises(EngineError, match=f"answered in '{coding}', expected no compr"):
                await ask(service.url)
    assert {headers["Accept-Encoding"] for _, headers, _ in service.requests} == {"identity"}


@pytest.mark.parametrize("ask", [hear, think, say])
async def test_a_server_that_hangs_or_sends_byte_by_byte_is_given_up(service, ask):
    service.answer(b"{", content_type="audio/wav")
    service.drops = True
    with pytest.raises(EngineError, match=r"took more than 0\.2 s"):
        await ask(service.url, timeout_s=SOON_S)
    service.hold.clear()
    with pytest.raises(EngineError, match=r"took more than 0\.2 s|cannot be used: "):
        await ask(service.url, timeout_s=SOON_S)


async def test_half_a_letter_is_replaced(service):
    service.answer(b'{"text": "a\\ud800b"}')
    assert await hear(service.url) == "a?b"
    service.answer(b'{"choices": [{"message": {"content": "\\udfff."}}]}')
    assert await think(service.url) == "?."


@pytest.mark.parametrize(
    "answer",
    [
        (b"[" * 500_000, 200, ""),
        (b"\x1f\x8b", 200, "gzip"),
        (b"{}", 200, ""),
        (b"", 500, ""),
        (b"\xff\xfe\xff", 200, ""),
    ],
)
async def test_every_failure_ends_in_an_error_and_the_next_turn_works(
    serve, connect, beep, service, answer
):
    stt = SpeechToTextOptions(engine="openai", url=service.url)
    body, status, service.coding = answer
    service.answer(body, status)
    async with connect(serve(None, stt=stt, tts=TextToSpeechOptions(engine="none"))) as ear:
        await ear.utter(beep)
        told = await ear.until(wire.ERROR)
        assert wire.TRANSCRIPT not in [event for event, _ in told]
        assert await ear.next() == (wire.LISTENING, {})
        service.answer({"text": "what time is it"})
        service.coding = ""
        await ear.utter(beep)
        await ear.until(wire.TTS_DONE)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:1", "connection refused"),
        ("http://[", ".*"),
        ("http://a b", ".*name.*"),
        ("", r"no TLS connection \(.*\)"),
    ],
)
async def test_a_server_that_cannot_be_reached_is_an_error_in_our_words(service, url, why):
    url = url or service.url.replace("http:", "https:")
    with pytest.raises(EngineError, match=f"cannot be used: {why}; expected a server that answers"):
        await think(url)


async def test_no_proxy_is_asked_and_an_identity_coding_is_accepted(service, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    service.answer(CHAT)
    service.coding = "Identity"
    assert await think(service.url) == "Noon."
