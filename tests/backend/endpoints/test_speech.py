"""The speech of a text over HTTP."""

import pytest

from fakes.engines import ScriptedVoice, scripted
from jarvis_backend.endpoints.http import SPEECH_PATH as PATH
from jarvis_backend.engines.engine import MissingEngine
from jarvis_ear.audio.wav import decode_wav


def test_a_text_becomes_one_wav_file_with_all_its_sentences(start_client):
    voice = ScriptedVoice()
    client = start_client(scripted(tts=voice))
    one, both = (client.post(PATH, json={"text": text}) for text in ("One.", "One. Two."))
    assert both.headers["content-type"] == "audio/wav"
    assert voice.asked == ["One.", "One.", "Two."]
    sounds = [decode_wav(each.content, max_seconds=10) for each in (one, both)]
    assert [sound.rate for sound in sounds] == [16_000, 16_000]
    assert 0 < len(sounds[0].pcm) < len(sounds[1].pcm)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        *(({"text": text}, 400) for text in ("", "x" * 11, 7, None, "```code```")),
        ({}, 400),
        ([], 400),
        ({"text": "x" * 20_000}, 413),
    ],
)
def test_a_text_that_is_none_is_refused(start_client, body, status):
    client = start_client(limits={"reply_chars": 10})
    assert client.post(PATH, json=body).status_code == status


@pytest.mark.parametrize(
    ("voice", "status"), [(MissingEngine("install one"), 501), (ScriptedVoice(fails=["One."]), 503)]
)
def test_a_backend_without_a_voice_says_so(start_client, voice, status):
    assert start_client(scripted(tts=voice)).post(PATH, json={"text": "One."}).status_code == status


def test_it_needs_a_token_as_everything_does(start_client):
    client = start_client(require_token=True)
    assert client.post(PATH, json={"text": "One."}).status_code == 401
    headers = {"Authorization": f"Bearer {client.token()}"}
    assert client.post(PATH, json={"text": "One."}, headers=headers).status_code == 200
