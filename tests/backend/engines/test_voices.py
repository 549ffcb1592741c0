"""Speech by the programs and the library of this machine."""

import asyncio
import os
import shutil
import sys

import pytest

from jarvis_backend.config import TextToSpeechOptions
from jarvis_backend.engines.program import ESPEAK_NG, FLITE, Program, ProgramVoice
from jarvis_backend.engines.voices import EspeakLibraryVoice
from jarvis_backend.errors import EngineError, EngineMissing
from jarvis_ear.audio.wav import decode_wav

SENTENCE = "It is 3:07 PM."


def program(which):
    if shutil.which(which.name) is None:
        pytest.skip(f"{which.name} is not installed")
    return ProgramVoice(which, TextToSpeechOptions())


@pytest.fixture(params=["flite", "espeak-ng", "espeak-library"])
def make(request):
    return {
        "flite": lambda: program(FLITE),
        "espeak-ng": lambda: program(ESPEAK_NG),
        "espeak-library": lambda: EspeakLibraryVoice(TextToSpeechOptions()),
    }[request.param]


def speak(make, *texts):
    async def work():
        voice = make()
        try:
            return await asyncio.gather(*(voice.speak(text) for text in texts))
        finally:
            await voice.aclose()

    return asyncio.run(work())


def lasts(speech):
    return decode_wav(speech.audio, max_seconds=60).seconds


@pytest.mark.usefixtures("leaves_no_thread")
def test_a_sentence_becomes_a_wav_that_lasts_as_long_as_saying_it(make):
    (speech,) = speak(make, SENTENCE)
    assert speech.content_type == "audio/wav"
    sound = decode_wav(speech.audio, max_seconds=60)
    assert 1 < sound.seconds < 4
    assert abs(sound.mono()).max() > 2000


def test_two_sentences_at_once_do_not_mix(make):
    texts = (SENTENCE, "Good night.")
    together = [lasts(speech) for speech in speak(make, *texts)]
    alone = [lasts(*speak(make, text)) for text in texts]
    assert together == pytest.approx(alone, rel=0.1)  # the library never says a thing twice alike


@pytest.mark.parametrize(
    "text", ["-o /nowhere/x $(false) `false` ; false", "<speak>one</speak>", "été", "'\"\\"]
)
def test_no_text_is_an_order(make, text):
    (speech,) = speak(make, text)
    assert lasts(speech) > 0.1


def test_an_unknown_voice_is_an_error():
    with pytest.raises(EngineError, match="no voice 'nobody'"):
        speak(lambda: EspeakLibraryVoice(TextToSpeechOptions(voice="nobody")), SENTENCE)


# Programs that misbehave


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Put a shell script on the search path, as a voice."""

    def make(body):
        path = tmp_path / "talker"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        talker = Program("talker", "", lambda _voice, text, wav: (str(text), str(wav)))
        return lambda timeout_s=10: ProgramVoice(
            talker, TextToSpeechOptions.model_construct(voice="", timeout_s=timeout_s)
        )

    return make


def test_the_text_goes_through_a_file(script):
    (speech,) = speak(script('cp "$1" "$2"'), "Hello $HOME")
    assert speech.audio == b"Hello $HOME\n"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("echo 'no   such\nthing' >&2; exit 3", "^talker ended with status 3: no such thing$"),
        ("true", "^talker wrote no sound$"),
        (': > "$2"', "^talker wrote 0 bytes"),
        ('head -c 20000000 /dev/zero > "$2"', "^talker wrote 20000000 bytes, expected 1 to"),
        ("yes complaint | head -c 1000000 >&2; exit 1", "^talker ended with status 1: complaint"),
    ],
)
def test_a_program_that_fails_is_told(script, body, complaint):
    with pytest.raises(EngineError, match=complaint) as failed:
        speak(script(body), "x")
    assert len(str(failed.value)) < 300


def test_a_program_that_hangs_is_killed(script):
    hanging = script("exec sleep 100")
    with pytest.raises(EngineError, match=r"^talker took more than 0\.2 s$"):
        speak(lambda: hanging(0.2), "x")


def test_a_program_that_is_not_there_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EngineMissing, match=r"apt install flite"):
        ProgramVoice(FLITE, TextToSpeechOptions())


def test_a_library_that_is_not_there_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(EngineMissing, match=r"pip install espeakng-loader"):
        EspeakLibraryVoice(TextToSpeechOptions())
