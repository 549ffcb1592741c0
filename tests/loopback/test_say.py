"""A text in the voice of a backend, over real sockets: the token, and every refusal."""

from contextlib import contextmanager

import pytest
import requests

from fakes.engines import scripted
from jarvis_backend.config import BackendConfig
from jarvis_backend.engines.engine import MissingEngine
from jarvis_backend.server import Server
from jarvis_ear.audio.wav import decode_wav
from jarvis_ear.backend import BackendClient
from jarvis_ear.config import BackendOptions
from jarvis_ear.errors import ConnectFailed, Rejected, RemoteProtocolError
from jarvis_ear.link import speech

PASSWORD = "open sesame"


@contextmanager
def backend(engines=None, **options):
    config = BackendConfig(port=0, password=PASSWORD, **options)
    with Server(config, engines or scripted()) as server:
        yield server.url


def speak(url, text="One.", **options):
    given = {"password": PASSWORD} | options
    return BackendClient(BackendOptions(url=url, **given)).speak(text)


@pytest.mark.parametrize("require_token", [False, True])
def test_the_backend_speaks_with_a_token_if_it_wants_one(require_token):
    with backend(require_token=require_token) as url:
        assert len(decode_wav(speak(url), max_seconds=10).pcm) > 0


def test_a_configured_token_replaces_the_login():
    with backend(require_token=True) as url:
        login = requests.post(f"{url}/api/auth/login", json={"password": PASSWORD}, timeout=10)
        assert speak(url, token=login.json()["token"], password="wrong")
        with pytest.raises(Rejected):
            speak(url, token="another")


def test_a_wrong_password_is_refused():
    with backend(require_token=True) as url, pytest.raises(Rejected):
        speak(url, password="wrong")


def test_a_backend_without_a_voice_or_without_the_route_has_none(monkeypatch):
    with backend(scripted(tts=MissingEngine("install one"))) as url:
        with pytest.raises(ConnectFailed, match="no speech for texts: status 501") as failed:
            speak(url)
        assert failed.value.exit_status == 69
        monkeypatch.setattr(speech, "PATH", "/api/another")
        with pytest.raises(ConnectFailed, match="no speech for texts: status 404"):
            speak(url)


def test_a_backend_that_is_away_or_does_not_take_the_text(monkeypatch):
    with backend() as url:
        with pytest.raises(RemoteProtocolError, match="status 400"):
            speak(url, "")
        monkeypatch.setattr(speech, "MAX_SPEECH_BYTES", 10)
        with pytest.raises(RemoteProtocolError, match="over 10 bytes"):
            speak(url)
    with pytest.raises(ConnectFailed):
        speak(url)
