"""Assist of Home Assistant as the brain, against a small server here."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jarvis_backend.brain import Question
from jarvis_backend.config import BackendConfigError, BrainOptions, load
from jarvis_backend.errors import EngineError
from jarvis_backend.home_assistant import MAX_ROOMS, PATH, HomeAssistantBrain


def said(text, conversation="01ABC"):
    """An answer as the documentation of Home Assistant's API has it."""
    speech = {"plain": {"speech": text, "extra_data": None}} if text else {}
    response = {"response_type": "action_done", "language": "en", "speech": speech, "data": {}}
    return {
        "continue_conversation": False,
        "response": response,
        "conversation_id": conversation,
    }


@pytest.fixture
def home():
    """Answers ``home.answer`` with ``home.status``, and keeps what it is asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.server.asked.append((self.path, self.headers["Authorization"], body))
            answer = json.dumps(self.server.answer).encode()
            self.send_response(self.server.status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.status, server.answer, server.asked = 200, said(" The light is on. "), []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(home, *questions, **options):
    async def scene():
        brain = HomeAssistantBrain(BrainOptions(url=home.url, api_key="secret", **options))
        try:
            return [
                "".join([piece async for piece in brain.answer(Question(*question))])
                for question in questions
            ]
        finally:
            await brain.aclose()

    return asyncio.run(scene())


def test_a_question_is_answered(home):
    assert ask(home, ["turn on the light"], language="en", model="conversation.llm") == [
        "The light is on."
    ]
    assert home.asked == [
        (
            PATH,
            "Bearer secret",
            {"text": "turn on the light", "language": "en", "agent_id": "conversation.llm"},
        )
    ]


def test_each_room_has_a_conversation_and_a_question_without_a_room_begins_one(home):
    rooms = ["kitchen", "kitchen", "bath", "", ""]
    ask(home, *(["and now?", room] for room in rooms))
    sent = [body.get("conversation_id") for _, _, body in home.asked]
    assert sent == [None, "01ABC", None, None, None]


def test_old_conversations_are_forgotten(home):
    rooms = [f"room {number}" for number in range(MAX_ROOMS + 1)]
    ask(home, *(["hello", room] for room in [*rooms, rooms[-1], rooms[0]]))
    sent = [body.get("conversation_id") for _, _, body in home.asked]
    assert sent[-2:] == ["01ABC", None]


def test_an_answer_without_speech_is_empty(home):
    home.answer = said("")
    assert ask(home, ["be quiet"]) == [""]


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (401, "401: Unauthorized", "401: brain.api_key is not a valid long-lived access token"),
        (404, "", "404: it has no conversation integration"),
        (500, {"message": "broken"}, "500: .*broken"),
        (200, {"response": "yes"}, "no response.speech"),
    ],
)
def test_a_refusal_says_what_to_do_and_never_the_token(home, status, answer, words):
    home.status, home.answer = status, answer
    with pytest.raises(EngineError, match=words) as raised:
        ask(home, ["hello"])
    assert "secret" not in str(raised.value)


def test_the_token_may_be_in_a_private_file(tmp_path, monkeypatch):
    monkeypatch.delenv("JARVIS_PASSWORD", raising=False)
    file = tmp_path / "token"
    file.write_text("secret\n")
    file.chmod(0o600)
    options = ["--brain.engine=home-assistant", "--brain.url=http://homeassistant.local:8123"]
    config = load([*options, f"--brain.api-key-file={file}"])
    assert config.brain.api_key.get_secret_value() == "secret"
    file.chmod(0o644)
    with pytest.raises(BackendConfigError, match="0600"):
        load([*options, f"--brain.api-key-file={file}"])


@pytest.mark.parametrize(
    ("part", "engine", "url", "expected"),
    [
        ("brain", "home-assistant", "", "http:// or https:// and a host"),
        ("brain", "home-assistant", "homeassistant.local", "http:// or https:// and a host"),
        ("stt", "wyoming", "http://127.0.0.1:10300", "tcp:// and a host and a port"),
        ("tts", "wyoming", "tcp://127.0.0.1", "tcp:// and a host and a port"),
        ("tts", "wyoming", "tcp://127.0.0.1:99999", "tcp:// and a host and a port"),
    ],
)
def test_an_address_that_cannot_be_one_is_a_mistake(part, engine, url, expected):
    with pytest.raises(BackendConfigError, match=expected):
        load([f"--{part}.engine={engine}", f"--{part}.url={url}"])
